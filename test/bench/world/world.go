// Package world is a cluster with many workloads and policies, beside the kernel's own filter that does the same.
//
// # The world it models
//
//	10,000 workloads, 100 of them pods of one node with a label set each; 500 label sets
//	policy i selects label set i, lets two others in at one port, and lets it send to a third; some select everybody
//	Filter: nftables in a network namespace, with a chain per pod and direction, a rule per term, a set per label set
//
// # Invariants
//
//   - Times end when the kernel has what was asked for, in ms.
//
// # Example
//
//	w, err := world.New(ctx, cluster)
//	took, err := w.All(ctx, world.Usual)
package world

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cilium/ebpf"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
)

// How many of each there are.
const (
	Local     = 100    // pods of the node
	Workloads = 10_000 // pods of all nodes
	Apps      = 500    // label sets, those of the node's pods included
	Usual     = 1000   // policies
	Many      = 21_000 // … of a large cluster
	Burst     = 250    // … that come at once
	Shared    = 10     // policies that select every pod
)

// World is a cluster with many workloads and policies.
type World struct {
	*nettest.Cluster
	node    *nettest.Node
	indexes map[int]uint32 // of the policy set of the pod with this app
	sets    *ebpf.Map
	count   int // policies
	turn    int // changes so far
}

// New makes everybody, in a cluster whose first node is named a.
func New(ctx context.Context, c *nettest.Cluster) (*World, error) {
	w := &World{Cluster: c, node: c.Node("a")}
	for i := range Local {
		p, err := w.node.PreparePod(nettest.PodSpec{Name: fmt.Sprint("pod-", i), Labels: map[string]string{"app": appOf(i)}})
		if err == nil {
			_, err = p.Add()
		}
		if err != nil {
			return nil, err
		}
	}
	var objects []runtime.Object
	for i := Local; i < Apps; i++ {
		o := &v2.CiliumIdentity{SecurityLabels: map[string]string{
			"k8s:app": appOf(i), "k8s:io.kubernetes.pod.namespace": metav1.NamespaceDefault, "k8s:io.cilium.k8s.policy.cluster": "default",
			"k8s:io.cilium.k8s.policy.serviceaccount": "default",
		}}
		o.Name = fmt.Sprint(firstIdentity + i)
		objects = append(objects, o)
	}
	for i := range Workloads - Local {
		o := &v2.CiliumEndpoint{}
		o.Namespace, o.Name = metav1.NamespaceDefault, fmt.Sprint("remote-", i)
		o.Status.State = v2.EndpointReady
		o.Status.Identity = &v2.EndpointIdentity{ID: int64(firstIdentity + Local + i%(Apps-Local))}
		o.Status.Networking = &v2.EndpointNetworking{NodeIP: "172.29.0.1", Addressing: []v2.AddressPair{{IPV4: addressOf(i).String()}}}
		objects = append(objects, o)
	}
	if err := w.Put(objects...); err != nil {
		return nil, err
	}
	return w, w.Settle(ctx)
}

func appOf(i int) string { return fmt.Sprint("app-", i%Apps) }

// Shared policies are every hundredth of the first 1,000.
const every = Usual / Shared

func shared(i int) int         { return i%Shared*every + every - 1 }
func isShared(number int) bool { return number < Usual && number%every == every-1 }

// policy is the i-th policy, in a version.
func policy(i, version int) string {
	subject := fmt.Sprintf(`"matchLabels": {"app": %q}`, appOf(i))
	if isShared(i) {
		subject = ""
	}
	return fmt.Sprintf(`{"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "policy-%d", "namespace": %q},
		"spec": {"endpointSelector": {%s},
		"ingress": [{"fromEndpoints": [{"matchLabels": {"app": %q}}, {"matchLabels": {"app": %q}}], "toPorts": [{"ports": [{"port": "%d", "protocol": "TCP"}]}]}],
		"egress": [{"toEndpoints": [{"matchLabels": {"app": %q}}]}]}}`,
		i, metav1.NamespaceDefault, subject, appOf(7*i+1), appOf(13*i+3), 1000+i%30_000+version, appOf(3*i+2))
}

// put puts policies, each in the next version.
func (w *World) put(numbers ...int) error {
	w.turn++
	var list []json.RawMessage
	for _, i := range numbers {
		list = append(list, json.RawMessage(policy(i, w.turn)))
	}
	objects, err := process.Decode(list)
	if err != nil {
		return err
	}
	return w.Put(objects...)
}

// All puts n policies, beside a few that are there, and takes the time until they are in force.
func (w *World) All(ctx context.Context, n int) ([]float64, error) {
	var numbers []int
	for i := w.count; i < n; i++ {
		numbers = append(numbers, i)
	}
	w.count = n
	began := time.Now()
	for len(numbers) > 0 {
		some := min(len(numbers), 1000)
		if err := w.put(numbers[:some]...); err != nil {
			return nil, err
		}
		numbers = numbers[some:]
	}
	if err := w.Settle(ctx); err != nil {
		return nil, err
	}
	return []float64{milliseconds(time.Since(began))}, w.find(ctx)
}

// find learns where the kernel has the sets of the node's pods.
func (w *World) find(ctx context.Context) (err error) {
	nics, err := w.node.Table(ctx, "nics")
	if err != nil {
		return err
	}
	indexes := map[string]string{}
	for _, cells := range nics.Cells {
		row := map[string]string{}
		for i, name := range nics.Header {
			row[name] = cells[i]
		}
		indexes[row["IPv4"]] = row["Set"]
	}
	w.indexes = map[int]uint32{}
	for i := range Local {
		index, err := strconv.ParseUint(indexes[w.node.Pod(fmt.Sprint("pod-", i)).Addresses[0].String()], 10, 32)
		if err != nil {
			return fmt.Errorf("find the policy set of pod-%d: %w", i, err)
		}
		w.indexes[i] = uint32(index)
	}
	if w.sets == nil {
		err = w.node.Do(func() error {
			w.sets, err = ebpf.LoadPinnedMap(filepath.Join("/sys/fs/bpf/weft", "sets"), &ebpf.LoadPinOptions{ReadOnly: true})
			return err
		})
	}
	return err
}

// revision is that of the policy set of the pod with an app.
func (w *World) revision(app int) (uint64, error) {
	var v abi.Set
	if err := w.sets.Lookup(w.indexes[app], &v); err != nil {
		return 0, fmt.Errorf("read set of pod-%d: %w", app, err)
	}
	return v.Revision, nil
}

// one changes a policy and takes the time until the sets of some pods have other revisions.
func (w *World) one(ctx context.Context, number int, of ...int) (float64, error) {
	before := make([]uint64, len(of))
	for i, app := range of {
		var err error
		if before[i], err = w.revision(app); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	if err := w.put(number); err != nil {
		return 0, err
	}
	for i, app := range of {
		for now := before[i]; now == before[i]; {
			var err error
			if now, err = w.revision(app); err != nil {
				return 0, err
			}
			if time.Since(began) > 10*time.Second {
				return 0, fmt.Errorf("the set of pod-%d is as it was 10 s after policy-%d has changed", app, number)
			}
		}
	}
	took := milliseconds(time.Since(began))
	return took, w.Settle(ctx)
}

// Ones changes policies of single label sets, one after the other.
func (w *World) Ones(ctx context.Context, times int) (took []float64, err error) {
	for i := range times {
		app := i * 37 % (Local - 1) // the last is that of a policy for all
		one, err := w.one(ctx, app+Apps*(i%(w.count/Apps)), app)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// Shared changes policies that select all pods, one after the other.
func (w *World) Shared(ctx context.Context, times int) (took []float64, err error) {
	var all []int
	for i := range Local {
		all = append(all, i)
	}
	for i := range times {
		one, err := w.one(ctx, shared(i), all...)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// Bursts changes Many policies at once and takes the time from when all have been put until all nodes enforce them.
func (w *World) Bursts(ctx context.Context, times int) (took []float64, err error) {
	for i := range times {
		var numbers []int
		for j := range Burst {
			numbers = append(numbers, (i*Burst+j)%w.count)
		}
		if err := w.put(numbers...); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := w.Settle(ctx); err != nil {
			return nil, err
		}
		took = append(took, milliseconds(time.Since(began)))
	}
	return took, nil
}

// Relabel gives pods labels that no pod had, and takes the time until all nodes enforce what follows.
func (w *World) Relabel(ctx context.Context, times int) (took []float64, err error) {
	for i := range times {
		p := w.node.Pod(fmt.Sprint("pod-", i%Local))
		labels := p.PodSpec.Labels
		for _, tier := range []string{fmt.Sprint("tier-", i), ""} {
			other := map[string]string{"app": labels["app"], "tier": tier}
			if tier == "" {
				other = labels
			}
			began := time.Now()
			if err := p.Label(ctx, other); err != nil {
				return nil, err
			}
			took = append(took, milliseconds(time.Since(began)))
		}
	}
	return took, nil
}

// firstIdentity is the number of the first label set.
const firstIdentity = 10_000

// addressOf is the address of a pod of another node.
func addressOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 16, byte(i >> 8), byte(i)}) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
