// Package machine has the tables of virtual machines: what KubeVirt's objects say of those whose pods are on this node.
//
// # The world it models
//
// A guest runs in a pod, which KubeVirt makes for a VirtualMachineInstance, which it makes for a VirtualMachine. What people change is the
// last, and KubeVirt carries little of that to a pod that runs:
//
//	Machines   shop/db  labels {app: db}  storage shop/storage-net 02:…:01    what the VirtualMachine says, now
//	Instances  shop/db  of shop/db        labels {app: db-1}                  what its pod was made of
//	pod shop/virt-launcher-db-x7k2p, made by VirtualMachineInstance db
//	->  Of(r, pod)  is machine shop/db; to policy its labels are {app: db}
//
// # Invariants
//
//   - A machine and its instance have one name.
//   - An instance that no machine owns says for itself what it is; what KubeVirt made of it stays as its pod has it.
//   - Of a pod that an instance made, nothing is said before both that and the machine which owns it are known.
//   - Labels that KubeVirt itself gives are the pod's: a machine does not change them.
//
// # Example
//
//	if m, ok := machine.Of(r, pod); ok && m.Lacks == "" {
//		fmt.Println(m.Name, m.Labels(pod))
//	}
package machine

import (
	"maps"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
)

// NIC is one that a machine has: an element of networks with the interface of its name.
type NIC struct {
	Name       string // of the network, in the machine
	Definition string // namespace/name of a NetworkAttachmentDefinition; empty: it is in the pod network
	MAC        string // as the interface has it; empty: any
}

func (n NIC) String() string { return strings.TrimSpace(n.Name + " " + n.Definition + " " + n.MAC) }

// Machine is a VirtualMachine.
type Machine struct {
	Namespace, Name, UID string
	Labels               map[string]string // of the template
	Own, Template        string            // annotation k8s.v1.cni.cncf.io/networks of its own and of the template; empty: none
	NICs                 []NIC             // of the template
}

func (Machine) Header() []string { return []string{"Namespace", "Name", "NICs", "Labels"} }
func (m Machine) Row() []string {
	return []string{m.Namespace, m.Name, column.List(m.NICs), column.Labels(m.Labels)}
}

// Machines are those whose pods are on this node.
var Machines = table.Declare("machines", func(r Machine) state.Key { return table.ObjectKey(r.Namespace, r.Name) })

// Instance is a VirtualMachineInstance.
type Instance struct {
	Namespace, Name, UID string
	Machine              string            // name of the VirtualMachine that owns it; empty: none
	Labels               map[string]string // that its pods got when they were made
	Asked                string            // annotation k8s.v1.cni.cncf.io/networks; empty: none
	NICs                 []NIC
}

func (Instance) Header() []string {
	return []string{"Namespace", "Name", "Machine", "NICs", "Labels"}
}

func (i Instance) Row() []string {
	return []string{i.Namespace, i.Name, i.Machine, column.List(i.NICs), column.Labels(i.Labels)}
}

// Instances are those whose pods are on this node.
var Instances = table.Declare("machine-instances", func(r Instance) state.Key { return table.ObjectKey(r.Namespace, r.Name) })

// Kind is the kind of what owns the addresses of a machine's pod.
const Kind = "VirtualMachine"

// maker is the kind of what makes the pods of machines.
const maker = "VirtualMachineInstance"

// Name is that of the machine in a pod; empty: there is none.
func Name(p table.Pod) string {
	if p.Owner.Kind == Kind && p.Owner.Namespace == p.Namespace {
		return p.Owner.Name
	}
	return ""
}

// Owner is what keeps the addresses of a machine of this name.
func Owner(namespace, name string) address.Owner {
	return address.Owner{APIVersion: "kubevirt.io/v1", Kind: Kind, Namespace: namespace, Name: name}
}

// Guest is the machine in a pod, as far as it is known.
type Guest struct {
	Namespace, Name string
	Machine         Machine  // zero: none
	Instance        Instance // zero: none
	Lacks           string   // what is not known of it and must be, in words; empty: nothing
}

// Of is the machine in a pod; false: there is none.
func Of(r state.Reader, p table.Pod) (Guest, bool) {
	g := Guest{Namespace: p.Namespace, Name: Name(p)}
	if g.Name == "" {
		return g, false
	}
	key := table.ObjectKey(g.Namespace, g.Name)
	made, owned := false, false
	g.Instance, made = Instances.One(r, key)
	g.Machine, owned = Machines.One(r, key)
	switch {
	case !made && p.Made.Kind == maker:
		g.Lacks = maker + " " + g.Title()
	case !owned && g.Instance.Machine != "":
		g.Lacks = Kind + " " + g.Title()
	case made && g.Instance.Machine == "":
		g.Machine = Machine{} // another of its name, which has not made it
	}
	return g, true
}

// Pods are the keys of the pods of this node in which a machine of this name is.
func Pods(t *table.Tables, r state.Reader, namespace, name string) (keys []state.Key) {
	for p := range t.Pods.Prefix(r, state.Join(namespace)) {
		if Name(p) == name {
			keys = append(keys, t.Pods.Key(p))
		}
	}
	return keys
}

// Inputs are what a derivation rests on that asks Of about pods: of names what it computes for a pod.
func Inputs(t *table.Tables, of func(r state.Reader, pod state.Key) []state.Key) []state.Input {
	all := func(r state.Reader, namespace, name string) (keys []state.Key) {
		for _, pod := range Pods(t, r, namespace, name) {
			keys = append(keys, of(r, pod)...)
		}
		return keys
	}
	return []state.Input{
		state.On(Machines, func(r state.Reader, m Machine) []state.Key { return all(r, m.Namespace, m.Name) }),
		state.On(Instances, func(r state.Reader, i Instance) []state.Key { return all(r, i.Namespace, i.Name) }),
	}
}

// Title names it in messages: namespace/name.
func (g Guest) Title() string { return g.Namespace + "/" + g.Name }

// Labels are those of its pod as policies see them: what the template of its machine says now is in the place of what it said when the pod was
// made.
func (g Guest) Labels(p table.Pod) map[string]string {
	if g.Machine.Name == "" {
		return p.Labels
	}
	out := maps.Clone(p.Labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.DeleteFunc(out, func(key, value string) bool {
		was, carried := g.Instance.Labels[key]
		return carried && was == value && !identity.IsKubeVirts(key)
	})
	for key, value := range g.Machine.Labels {
		if !identity.IsKubeVirts(key) {
			out[key] = value
		}
	}
	return out
}
