package service

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/control"
	"weftnet.io/weftnet/test/bench/report"
)

// How much there is of what changes.
const (
	many      = 10_000 // services
	endpoints = 10     // of each, all of other nodes
	balancers = 1000   // services that are load balancers, too, where there are some
	changes   = 500
)

// crowd is many services, the first of which are load balancers.
type crowd struct {
	name      string
	settings  map[string]string
	balancers int
}

var crowds = []crowd{
	{"cluster addresses alone", map[string]string{"kube-proxy-replacement": "true"}, 0},
	{fmt.Sprintf("%s of them load balancers, by Maglev", thousands(balancers)), map[string]string{"kube-proxy-replacement": "true", "bpf-lb-algorithm": "maglev"}, balancers},
}

// plus is an address so many after a first one.
func plus(first netip.Addr, n int) netip.Addr {
	b := first.As4()
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])+uint32(n))))
}

var firstEndpoint, firstBalancer = netip.MustParseAddr("10.64.0.0"), netip.MustParseAddr("100.64.0.1")

// backend is the j-th endpoint of a service.
func backend(i, j int) netip.Addr { return plus(firstEndpoint, 16*i+j) }

func meta(i int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprint("crowd-", i)}
}

const targetPort = 8080

func (w crowd) service(i int) *corev1.Service {
	s := &corev1.Service{ObjectMeta: meta(i)}
	s.Spec.ClusterIP = control.AddressOf(i).String()
	s.Spec.Type, s.Spec.ClusterIPs, s.Spec.IPFamilies = corev1.ServiceTypeClusterIP, []string{s.Spec.ClusterIP}, []corev1.IPFamily{corev1.IPv4Protocol}
	s.Spec.Ports = []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: control.Port}}
	if i < w.balancers {
		s.Spec.Type, s.Spec.Ports[0].NodePort = corev1.ServiceTypeLoadBalancer, int32(30_000+i)
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: plus(firstBalancer, i).String()}}
	}
	return s
}

// slice is that of a service in a version: of each version the last endpoint is another one.
func slice(i, version int) *discoveryv1.EndpointSlice {
	port, name, protocol, ready := int32(targetPort), "http", corev1.ProtocolTCP, true
	s := &discoveryv1.EndpointSlice{ObjectMeta: meta(i), AddressType: discoveryv1.AddressTypeIPv4}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: s.Name}
	s.Ports = []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &port}}
	for j := range endpoints {
		if j == endpoints-1 {
			j += version % 4
		}
		node := fmt.Sprint("remote-", j)
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{backend(i, j).String()}, NodeName: &node, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready},
		})
	}
	return s
}

func (w crowd) objects() (list []runtime.Object) {
	for i := range many {
		list = append(list, w.service(i), slice(i, 0))
	}
	return list
}

// measured is what came of a crowd.
type measured struct {
	fresh, restart []float64 // s, from tables that are synced to the kernel
	one, other     []float64 // ms, of one endpoint; and after the node's own labels have changed
	now, most      float64   // bytes of the agent's process
	charge, peak   float64   // … of its control group
	maps           map[string]float64
	spent          [4][]float64 // CPU time of the process, s until it is settled and ms per change, in the order of the above: what else runs here changes it least
}

// Changes measures how soon many services are in the kernel.
func Changes(ctx context.Context, b Bench) (s report.Section, err error) {
	s.Title = fmt.Sprintf("%s services of %d endpoints", thousands(many), endpoints)
	took := report.Table{Header: []string{"time", "p50", "p99", "most", "CPU time"}}
	memory := report.Table{Header: []string{"MiB", "RSS", "RSS at most", "control group", "at most", "maps of services", "all maps"}}
	for i, w := range crowds {
		m, err := b.crowd(ctx, w, fmt.Sprint("crowd", i))
		if err != nil {
			return s, fmt.Errorf("%s: %w", w.name, err)
		}
		for n, x := range []struct {
			what, unit string
			list       []float64
			aim, share float64
		}{
			{"a new node: from synced tables to the kernel", "s", m.fresh, 2, 0.5},
			{"an agent that starts again: the same", "s", m.restart, 0, 0},
			{"one endpoint changed, in the kernel", "ms", m.one, 20, 0.99},
			{"the same, right after a label of the node has changed", "ms", m.other, 0, 0},
		} {
			p := func(q float64) string { return fmt.Sprintf("%.2f %s", report.Quantile(x.list, q), x.unit) }
			cpu := fmt.Sprintf("%.2f %s", report.Median(m.spent[n]), x.unit)
			took.Rows = append(took.Rows, []string{w.name + ": " + x.what, p(0.5), p(0.99), p(1), cpu})
			b.Progress("%-50s %-56s p50 %10s  p99 %10s  CPU %10s", w.name, x.what, p(0.5), p(0.99), cpu)
			if x.aim > 0 {
				got := report.Quantile(x.list, x.share)
				s.Targets = append(s.Targets, report.Aimed(fmt.Sprintf("%s: %s, p%.0f", w.name, x.what, 100*x.share), fmt.Sprintf("≤ %.0f %s", x.aim, x.unit), p(x.share), got <= x.aim))
				s.Chart.Groups = append(s.Chart.Groups, chart.Group{Name: w.name + ": " + x.what, Unit: x.unit, Target: x.aim, Bars: []chart.Bar{
					{Name: "Weftnet", Value: got, Least: report.Quantile(x.list, 0), Most: report.Quantile(x.list, 1), Ours: true},
				}})
			}
		}
		s.Targets = append(s.Targets, report.Aimed(w.name+": RSS at most", "≤ 150 MiB", mebibytes(m.most), m.most <= 150<<20))
		memory.Rows = append(memory.Rows, []string{w.name, mebibytes(m.now), mebibytes(m.most), mebibytes(m.charge), mebibytes(m.peak), mebibytes(m.ofServices()), mebibytes(m.maps["all"])})
		b.Progress("%-50s %s: %s", w.name, strings.Join(memory.Header[1:], ", "), strings.Join(memory.Rows[i][1:], ", "))
	}
	s.Tables, s.Chart.Title = []report.Table{took, memory}, s.Title
	s.Notes = append(s.Notes, fmt.Sprintf("Each service has an address of its own and a port, each endpoint is another. All objects are there when an agent starts; from the moment at which its tables have them "+
		"to the last write into a map, the programs' loading included. CPU time is that of the process, from its start, or per change. %s endpoints change, one after the other; a time ends when the kernel's map `slots` leads to the new one. The process was told of services one "+
		"after the other, as by an API server. The control group is charged the process, the files that it has read, maps and programs.", thousands(changes)))
	return s, nil
}

func mebibytes(v float64) string { return fmt.Sprintf("%.1f", v/(1<<20)) }

// ofServices is what the maps of services take.
func (m measured) ofServices() (sum float64) {
	for _, name := range []string{"services", "slots", "backends", "maglev", "service_sources", "affinities"} {
		sum += m.maps[name]
	}
	return sum
}

func (b Bench) crowd(ctx context.Context, w crowd, name string) (m measured, err error) {
	objects := w.objects()
	for round := range b.Rounds {
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		if err := b.start(w, fmt.Sprint(name, "-", round), objects, &m); err != nil {
			return m, err
		}
		b.Progress("round %d/%d  %-50s fresh %.2f s, again %.2f s", round+1, b.Rounds, w.name, m.fresh[round], m.restart[round])
	}
	g, err := cgroup.New("weft-bench-" + name)
	if err != nil {
		return m, err
	}
	defer g.Close()
	c, a, err := b.prepare(name, w.settings)
	if err != nil {
		return m, err
	}
	defer c.Close()
	a.Groups = g.Procs()
	if err := a.Start(); err != nil {
		return m, err
	}
	for some := range slices.Chunk(objects, 500) { // as clients of an API server ask for them
		if err := c.Put(some...); err != nil {
			return m, err
		}
	}
	if err := c.Settle(ctx); err != nil {
		return m, err
	}
	if m.now, m.most, err = cgroup.Resident(a.Process()); err != nil {
		return m, err
	}
	if m.charge, m.peak, err = g.Charged(); err != nil {
		return m, err
	}
	if m.maps, err = weigh(a); err != nil {
		return m, err
	}
	k, err := openKernel(a)
	if err != nil {
		return m, err
	}
	defer k.Close()
	spent := func(into *[]float64, began time.Duration) (time.Duration, error) {
		now, err := g.Spent()
		*into = append(*into, (now-began).Seconds()*1000/changes)
		return now, err
	}
	began, err := g.Spent()
	if err != nil {
		return m, err
	}
	if m.one, err = w.turn(ctx, c, k, 1, func(int) error { return nil }); err != nil {
		return m, err
	}
	if began, err = spent(&m.spent[2], began); err != nil {
		return m, err
	}
	m.other, err = w.turn(ctx, c, k, 2, func(n int) error {
		o := &corev1.Node{}
		o.Name, o.Labels = a.Name, map[string]string{"turn": fmt.Sprint(n)}
		return c.Put(o)
	})
	if err == nil {
		_, err = spent(&m.spent[3], began)
	}
	return m, err
}

// start measures an agent that knows everything when it starts, on a node that never had one, and again.
func (b Bench) start(w crowd, name string, objects []runtime.Object, m *measured) error {
	c, a, err := b.prepare(name, w.settings)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Put(objects...); err != nil {
		return err
	}
	g, err := cgroup.New("weft-bench-" + name)
	if err != nil {
		return err
	}
	defer g.Close()
	a.Groups = g.Procs()
	for n, into := range []*[]float64{&m.fresh, &m.restart} {
		began, err := g.Spent()
		if err != nil {
			return err
		}
		if err := a.Start(); err != nil {
			return err
		}
		took, err := settled(a)
		if err != nil {
			return err
		}
		now, err := g.Spent()
		if err != nil {
			return err
		}
		*into, m.spent[n] = append(*into, took.Seconds()), append(m.spent[n], (now-began).Seconds())
		a.Stop()
	}
	return nil
}

var settledFirst = regexp.MustCompile(strings.Replace(process.SettledFirst, "%v", `(\S+)`, 1))

// settled reads how long the last agent of a node took from what it knew to the kernel.
func settled(n *nettest.Node) (time.Duration, error) {
	found := settledFirst.FindAllStringSubmatch(n.Log(), -1)
	if len(found) == 0 {
		return 0, fmt.Errorf("the agent of node %s has not told when it was settled:\n%s", n.Name, n.Log())
	}
	return time.ParseDuration(found[len(found)-1][1])
}

// turn changes endpoints of services, one after the other, and takes the time of each until the kernel has it, in ms.
func (w crowd) turn(ctx context.Context, c *nettest.Cluster, k *kernel, version int, before func(n int) error) (took []float64, err error) {
	among := many
	if w.balancers > 0 {
		among = w.balancers
	}
	for n := range changes {
		i := n * 37 % among
		if err := before(n); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := c.Put(slice(i, version)); err != nil {
			return nil, err
		}
		if err := k.await(w.frontend(i), backend(i, endpoints-1+version)); err != nil {
			return nil, fmt.Errorf("endpoint of crowd-%d: %w", i, err)
		}
		took = append(took, float64(time.Since(began))/float64(time.Millisecond))
		if err := c.Settle(ctx); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// frontend is where a service is called.
func (w crowd) frontend(i int) abi.ServiceKey {
	key := abi.ServiceKey{Addr: abi.From(control.AddressOf(i)), Port: abi.Port(control.Port), Protocol: 6, Net: abi.NetPods}
	if i < w.balancers {
		key.Addr, key.Scope = abi.From(plus(firstBalancer, i)), uint8(abi.ScopeOutside)
	}
	return key
}

// kernel is the maps by which a frontend finds its backends.
type kernel struct{ services, slots, backends *ebpf.Map }

func openKernel(n *nettest.Node) (*kernel, error) {
	k := &kernel{}
	return k, n.Do(func() (err error) {
		for name, m := range map[string]**ebpf.Map{"services": &k.services, "slots": &k.slots, "backends": &k.backends} {
			if *m, err = ebpf.LoadPinnedMap(filepath.Join(process.PinDir, name), &ebpf.LoadPinOptions{ReadOnly: true}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k *kernel) Close() {
	for _, m := range []*ebpf.Map{k.services, k.slots, k.backends} {
		m.Close()
	}
}

// await returns when the last slot of a frontend leads to an address.
func (k *kernel) await(key abi.ServiceKey, want netip.Addr) error {
	var v abi.Service
	if err := k.services.Lookup(key, &v); err != nil {
		return fmt.Errorf("look for its frontend in map services: %w", err)
	}
	for began := time.Now(); ; {
		var id uint32
		var has abi.Backend
		if err := k.slots.Lookup(abi.SlotKey{Service: v.Id, Slot: endpoints - 1}, &id); err != nil {
			return fmt.Errorf("look for its last slot in map slots: %w", err)
		}
		if k.backends.Lookup(id, &has) == nil && has.Addr.IP() == want { // it may have gone by now
			return nil
		}
		if time.Since(began) > 10*time.Second {
			return fmt.Errorf("the last slot leads to %v after 10 s, not to %v", has.Addr.IP(), want)
		}
	}
}

// weigh reads what the maps of a node take, in bytes; "all": all of them.
func weigh(n *nettest.Node) (map[string]float64, error) {
	all := map[string]float64{}
	err := n.Do(func() error {
		list, err := filepath.Glob(process.PinDir + "/*")
		if err != nil {
			return err
		}
		for _, path := range list {
			m, err := ebpf.LoadPinnedMap(path, nil)
			if err != nil {
				continue // a folder
			}
			info, err := m.Info()
			m.Close()
			if err != nil {
				return fmt.Errorf("ask about map %s: %w", path, err)
			}
			size, _ := info.Memlock() // every kernel tells
			all[filepath.Base(path)] = float64(size)
			all["all"] += float64(size)
		}
		return nil
	})
	return all, err
}
