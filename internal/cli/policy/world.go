package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/manifest"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// world fills the tables of an agent from objects: a cluster as it would be with them and nothing else. Pods get
// identities by their labels, and addresses if they have none: with a zone, so that no CIDR holds them, and they are not shown.
func world(objects []*manifest.Object) (*table.Tables, *state.Snapshot, error) {
	t, db := table.New()
	rows := kind.NewRows(t, "", nil)
	err := db.Write(func(tx *state.Tx) error {
		for _, o := range slices.Concat(objects, missingNodes(objects)) {
			if err := put(tx, rows, o); err != nil {
				return err
			}
		}
		rows.MarkSynced(tx)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	config.New(t).Step(db)
	err = db.Write(func(tx *state.Tx) error {
		said := t.Config(tx)
		filter, _ := identity.NewFilter(said.Labels)
		workloads := manifest.Workloads(objects, cmp.Or(said.ClusterName, "default"), func(p identity.Pod) identity.Labels {
			labels, _ := identity.Identify(filter, p, policyinput.Asking(tx, t))
			return labels
		})
		putWorkloads(tx, t, workloads)
		served := map[state.Key]bool{}
		for slice := range t.EndpointSlices.All(tx) {
			served[table.ObjectKey(slice.Namespace, slice.Service)] = true
		}
		for _, o := range objects {
			if o.APIVersion == "v1" && o.Kind == "Service" && !served[table.ObjectKey(cmp.Or(o.Namespace, metav1.NamespaceDefault), o.Name)] {
				putBackends(tx, t, o, workloads)
			}
		}
		return nil
	})
	return t, db.Snapshot(), err
}

func put(tx *state.Tx, rows *kind.Rows, o *manifest.Object) error {
	k := kind.Find(o.APIVersion, o.Kind)
	if k == nil || !k.Is(kind.Files) || !k.Has(o.Namespace, o.Name) {
		return nil
	}
	object := k.New()
	if err := o.Decode(object); err != nil {
		return fmt.Errorf("%s: %s cannot be read: %w; 'weft policy check' says what is wrong", o.At(""), o.Title(), err)
	}
	if k.Namespaced {
		object.SetNamespace(cmp.Or(object.GetNamespace(), metav1.NamespaceDefault))
	}
	return rows.Put(tx, object)
}

func putWorkloads(tx *state.Tx, t *table.Tables, workloads []manifest.Workload) {
	numbers := map[string]identity.Number{}
	for _, w := range workloads {
		numbers[w.Labels.String()] = 0
	}
	for i, text := range slices.Sorted(maps.Keys(numbers)) {
		numbers[text] = identity.Number(256 + i)
	}
	for i := range workloads {
		w := &workloads[i]
		if w.HostNetwork {
			t.Pods.Put(tx, table.Pod{Namespace: w.Namespace, Name: w.Name, Node: w.Node, HostNetwork: true})
			continue
		}
		if len(w.Addresses) == 0 {
			w.Addresses = []netip.Addr{invented(i, w.Kind)}
		}
		if len(w.HostPorts) > 0 {
			pod := table.Pod{Namespace: w.Namespace, Name: w.Name, Node: w.Node}
			for _, p := range w.HostPorts {
				pod.HostPorts = append(pod.HostPorts, table.PodHostPort(p))
			}
			t.Pods.Put(tx, pod)
		}
		n := numbers[w.Labels.String()]
		row := table.Endpoint{Namespace: w.Namespace, Name: w.Name, Identity: n, Addresses: w.Addresses}
		if node, ok := t.Nodes.One(tx, state.Join(w.Node)); ok {
			row.Node = node.Underlay()
		}
		for _, p := range w.NamedPorts {
			row.NamedPorts = append(row.NamedPorts, table.NamedPort(p))
		}
		t.Identities.Put(tx, table.Identity{Number: n, Labels: w.Labels})
		t.Endpoints.Put(tx, row)
	}
}

// invented is an address for a workload that has none. Most kinds stand for several pods.
func invented(i int, kind string) netip.Addr {
	a := netip.MustParseAddr("fe80::").As16()
	a[13], a[14], a[15] = byte(i>>16), byte(i>>8), byte(i)
	zone := explain.ZoneOfSeveral
	switch kind {
	case "Pod", "VirtualMachine", "VirtualMachineInstance":
		zone = "one"
	}
	return netip.AddrFrom16(a).WithZone(zone)
}

// missingNodes are the CiliumNodes that agents would make of those Nodes that have none among the objects.
func missingNodes(objects []*manifest.Object) (out []*manifest.Object) {
	there := map[string]bool{}
	for _, o := range objects {
		there[o.Name] = there[o.Name] || o.Kind == "CiliumNode"
	}
	for _, o := range objects {
		var n corev1.Node
		if o.APIVersion != "v1" || o.Kind != "Node" || there[o.Name] || o.Decode(&n) != nil {
			continue
		}
		made := v2.CiliumNode{ObjectMeta: metav1.ObjectMeta{Name: o.Name}}
		for _, a := range n.Status.Addresses {
			made.Spec.Addresses = append(made.Spec.Addresses, v2.NodeAddress{Type: string(a.Type), IP: a.Address})
		}
		made.Spec.IPAM.PodCIDRs = n.Spec.PodCIDRs
		if text, err := json.Marshal(made); err == nil {
			out = append(out, &manifest.Object{File: o.File, APIVersion: "cilium.io/v2", Kind: "CiliumNode", Name: o.Name, JSON: text})
		}
	}
	return out
}

// putBackends makes the EndpointSlices that Kubernetes would make of a Service: one for each workload that it selects, and
// for each family.
func putBackends(tx *state.Tx, t *table.Tables, o *manifest.Object, workloads []manifest.Workload) {
	var s corev1.Service
	if o.Decode(&s) != nil || len(s.Spec.Selector) == 0 {
		return
	}
	namespace := cmp.Or(s.Namespace, metav1.NamespaceDefault)
	var requirements []identity.Requirement
	for key, value := range s.Spec.Selector {
		requirements = append(requirements, identity.Requirement{Key: identity.SourceK8s + ":" + key, Operator: identity.In, Values: []string{value}})
	}
	selector := identity.NewSelector(requirements...)
	for _, w := range workloads {
		if w.Namespace != namespace || w.HostNetwork || !selector.Matches(w.Labels) {
			continue
		}
		row := table.EndpointSlice{Namespace: namespace, Service: s.Name}
		for _, p := range s.Spec.Ports {
			if target, ok := targetPort(p, w.NamedPorts); ok {
				row.Ports = append(row.Ports, target)
			}
		}
		for i, a := range w.Addresses {
			row.Name = fmt.Sprintf("%s-%s-%s-%d", s.Name, strings.ToLower(w.Kind), w.Name, i)
			row.Endpoints = []table.SliceEndpoint{{Addresses: []netip.Addr{a}, Ready: true, Serving: true, Node: w.Node}}
			t.EndpointSlices.Put(tx, row)
		}
	}
}

func targetPort(p corev1.ServicePort, named engine.NamedPorts) (table.NamedPort, bool) {
	protocol := map[corev1.Protocol]uint8{"": engine.TCP, corev1.ProtocolTCP: engine.TCP, corev1.ProtocolUDP: engine.UDP, corev1.ProtocolSCTP: engine.SCTP}[p.Protocol]
	if p.TargetPort.Type == intstr.String {
		for _, n := range named {
			if n.Name == p.TargetPort.StrVal && n.Protocol == protocol {
				return table.NamedPort{Name: p.Name, Protocol: protocol, Port: n.Port}, true
			}
		}
		return table.NamedPort{}, false
	}
	return table.NamedPort{Name: p.Name, Protocol: protocol, Port: uint16(cmp.Or(p.TargetPort.IntVal, p.Port))}, true
}
