package measure

import (
	"strings"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
)

// Carried counts what the pods of this node have sent and received, as their connections tell while they go on and when they end: by namespace, and on request
// by pod and by virtual machine.
type Carried struct {
	mu                   sync.Mutex
	namespaces, pods, vm *carried
	byPod, byVM          bool
}

// carried are the counters of one level.
type carried struct{ bytes, packets *series[prometheus.Counter] }

func newCarried(level string, limit int, labels ...string) *carried {
	labels = append(labels, "direction")
	return &carried{
		bytes: counters("weft_"+level+"_bytes_total", "Bytes of IP packets that pods of this node have sent (transmit) and received (receive), by "+level+
			"; of connections, when they end and in intervals before.", labels, limit),
		packets: counters("weft_"+level+"_packets_total", "The packets of weft_"+level+"_bytes_total.", labels, limit),
	}
}

// NewCarried counts by namespace alone.
func NewCarried(limit int) *Carried {
	return &Carried{namespaces: newCarried("namespace", limit, "namespace"), pods: newCarried("pod", limit, "namespace", "pod"), vm: newCarried("vm", limit, "namespace", "vm")}
}

// By says what else is counted apart from now on.
func (c *Carried) By(pod, vm bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byPod, c.byVM = pod, vm
}

// Take counts what a connection has carried, at those ends of it that are on this node.
func (c *Carried) Take(source, destination *flowpb.Endpoint, sent, received flow.Carried) {
	c.mu.Lock()
	pod, vm := c.byPod, c.byVM
	c.mu.Unlock()
	for _, at := range []struct {
		end     *flowpb.Endpoint
		out, in flow.Carried
	}{{source, sent, received}, {destination, received, sent}} {
		if at.end.GetID() == 0 || at.end.GetPodName() == "" {
			continue
		}
		namespace, name := at.end.GetNamespace(), at.end.GetPodName()
		c.namespaces.add(nil, at.out, at.in, namespace)
		of := []Pod{{namespace, name}}
		if pod {
			c.pods.add(of, at.out, at.in, namespace, name)
		}
		if machine := machineOf(at.end); vm && machine != "" {
			c.vm.add(of, at.out, at.in, namespace, machine)
		}
	}
}

func (c *carried) add(pods []Pod, out, in flow.Carried, labels ...string) {
	for _, way := range []struct {
		direction string
		n         flow.Carried
	}{{"transmit", out}, {"receive", in}} {
		values := append(labels[:len(labels):len(labels)], way.direction)
		c.bytes.at(pods, values...).Add(float64(way.n.Bytes))
		c.packets.at(pods, values...).Add(float64(way.n.Packets))
	}
}

// machineOf is the name of the virtual machine that a pod runs: as the pod's name has it (virt-launcher-NAME-12345), else its label, which may be the
// name that the guest gives itself, and is known only while a policy asks for it.
func machineOf(e *flowpb.Endpoint) string {
	name, ok := strings.CutPrefix(e.GetPodName(), "virt-launcher-")
	if i := strings.LastIndexByte(name, '-'); ok && i > 0 {
		return name[:i]
	}
	for _, l := range e.GetLabels() {
		if name, ok := strings.CutPrefix(l, "k8s:vm.kubevirt.io/name="); ok {
			return name
		}
	}
	return ""
}

// Forget takes out the series of pods that live no more, once they have been gone for a minute.
func (c *Carried) Forget(now time.Time, lives func(Pod) bool) {
	for _, s := range c.all() {
		s.forget(now, lives)
	}
}

func (c *Carried) all() []anySeries {
	return []anySeries{c.namespaces.bytes, c.namespaces.packets, c.pods.bytes, c.pods.packets, c.vm.bytes, c.vm.packets}
}

// Describe implements prometheus.Collector.
func (c *Carried) Describe(out chan<- *prometheus.Desc) { describe(c.all(), out) }

// Collect implements prometheus.Collector.
func (c *Carried) Collect(out chan<- prometheus.Metric) { collect(c.all(), out) }
