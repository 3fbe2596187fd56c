package workload

import (
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/dependent"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
	"weftnet.io/weftnet/internal/table/mirror"
)

// Derivations keeps Workloads, IdentityClaims, Published and Unmanaged of a node.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{newWorkloads(t), newClaims(t), newPublished(t), newUnmanaged(t)}
}

// workloads computes table Workloads.
type workloads struct {
	t      *table.Tables
	config *state.Memo[config]
	having *dependent.Keys[identity.Labels] // NICs by the labels of their identity
	asked  *dependent.Keys[string]          // by the labels of their pods that the filter leaves out
	in     *dependent.Keys[state.Key]       // by the machine in their pods
}

// config is what the configuration says of labels.
type config struct {
	cluster string
	filter  identity.Filter
}

func newWorkloads(t *table.Tables) state.AnyDerivation {
	w := &workloads{t: t}
	w.config = state.NewMemo(w.read, t.Configs)
	return &state.Derivation[table.Workload]{
		Name:  "workloads",
		Out:   t.Workloads,
		KeyOf: func(w table.Workload) state.Key { return table.AttachmentKey(w.ContainerID, w.Interface) },
		Inputs: []state.Input{
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key { return []state.Key{t.Attachments.Key(a)} }),
			state.On(t.Pods, func(r state.Reader, p table.Pod) []state.Key { return w.ofPod(r, p.Namespace, p.Name) }),
			state.On(machine.Machines, func(_ state.Reader, m machine.Machine) []state.Key {
				return slices.Collect(w.in.On(machine.Machines.Key(m)))
			}),
			state.On(machine.Instances, func(_ state.Reader, i machine.Instance) []state.Key {
				return slices.Collect(w.in.On(machine.Instances.Key(i)))
			}),
			state.On(t.Namespaces, w.ofNamespace),
			state.On(t.Identities, w.ofIdentity),
			state.On(t.SetStatuses, w.ofSet),
			state.On(t.NICStatuses, w.ofNIC),
			state.On(t.Configs, w.ofConfig),
			state.On(t.Policies, w.ofPolicy),
			state.On(t.Services, w.ofService),
		},
		Begin:   w.begin,
		Compute: w.compute,
	}
}

// every names all workloads.
func (w *workloads) every(r state.Reader) (keys []state.Key) {
	for a := range w.t.Attachments.All(r) {
		keys = append(keys, w.t.Attachments.Key(a))
	}
	return keys
}

func (w *workloads) ofPod(r state.Reader, namespace, name string) (keys []state.Key) {
	for a := range w.t.Attachments.By(r, table.ByPod, table.ObjectKey(namespace, name)) {
		keys = append(keys, w.t.Attachments.Key(a))
	}
	return keys
}

func (w *workloads) ofNamespace(r state.Reader, n table.Namespace) (keys []state.Key) {
	for a := range w.t.Attachments.All(r) {
		if a.Namespace == n.Name {
			keys = append(keys, w.t.Attachments.Key(a))
		}
	}
	return keys
}

func (w *workloads) ofIdentity(r state.Reader, i table.Identity) []state.Key {
	keys := slices.Collect(w.having.On(i.Labels))
	for n := range w.t.NICStatuses.By(r, table.ByIdentity, state.Join(uint32(i.Number))) {
		keys = append(keys, w.ofNIC(r, n)...)
	}
	return keys
}

func (w *workloads) ofSet(r state.Reader, s table.SetStatus) []state.Key {
	i, _ := w.t.Identities.One(r, state.Join(uint32(s.Identity)))
	return slices.Collect(w.having.On(i.Labels))
}

func (w *workloads) ofNIC(r state.Reader, n table.NICStatus) (keys []state.Key) {
	for a := range w.t.Attachments.By(r, table.ByNumber, state.Join(n.Incarnation)) {
		keys = append(keys, w.t.Attachments.Key(a))
	}
	return keys
}

func (w *workloads) ofConfig(r state.Reader, c table.Config) []state.Key {
	if c.Concern == settings.OfIdentity {
		return w.every(r)
	}
	return nil
}

// ofPolicy names the workloads with a label that the filter leaves out and the policy may ask about.
func (w *workloads) ofPolicy(_ state.Reader, p table.PolicyObject) (keys []state.Key) {
	if p.NamesServices() {
		return slices.Collect(w.asked.All())
	}
	for _, label := range p.LabelKeys() {
		keys = slices.AppendSeq(keys, w.asked.On(label))
	}
	return keys
}

func (w *workloads) ofService(_ state.Reader, s table.Service) (keys []state.Key) {
	for label := range s.Selector {
		keys = slices.AppendSeq(keys, w.asked.On(label))
	}
	return keys
}

func (w *workloads) read(r state.Reader) config {
	c := w.t.Config(r)
	filter, _ := identity.NewFilter(c.Labels) // settings reports patterns that do not parse
	return config{c.ClusterName, filter}
}

func (w *workloads) begin() {
	w.having, w.asked, w.in = dependent.New[identity.Labels](), dependent.New[string](), dependent.New[state.Key]()
}

// identify gives a NIC the labels of its identity, and files it under them and under the labels that the filter leaves out.
func (w *workloads) identify(r state.Reader, key state.Key, pod table.Pod, namespace table.Namespace) identity.Labels {
	c := w.config.Of(r)
	labels, left := identity.Identify(c.filter, identity.Pod{
		Cluster: c.cluster, Namespace: pod.Namespace, ServiceAccount: pod.ServiceAccount, Labels: pod.Labels, NamespaceLabels: namespace.Labels,
	}, policyinput.Asking(r, w.t))
	w.having.Set(key, labels)
	w.asked.Set(key, left...)
	return labels
}

// podOf finds the pod that a NIC was made for, with the labels that count for policy, and its namespace.
func (w *workloads) podOf(r state.Reader, a table.Attachment) (table.Pod, table.Namespace, bool) {
	pod, ok := w.t.Pods.One(r, table.ObjectKey(a.Namespace, a.Pod))
	if !ok || !mirror.Of(pod, a.UID) {
		return table.Pod{}, table.Namespace{}, false
	}
	if guest, runs := machine.Of(r, pod); runs {
		w.in.Set(w.t.Attachments.Key(a), table.ObjectKey(guest.Namespace, guest.Name))
		if guest.Lacks != "" {
			return table.Pod{}, table.Namespace{}, false
		}
		pod.Labels = guest.Labels(pod)
	}
	namespace, ok := w.t.Namespaces.One(r, state.Join(a.Namespace))
	return pod, namespace, ok
}

func (w *workloads) compute(r state.Reader, key state.Key) []table.Workload {
	w.having.Set(key)
	w.asked.Set(key)
	w.in.Set(key)
	a, ok := w.t.Attachments.One(r, key)
	if !ok {
		return nil
	}
	row := table.Workload{
		ContainerID: a.ContainerID, Interface: a.Interface, Namespace: a.Namespace, Pod: a.Pod, UID: a.UID,
		Network: a.Network, Addresses: a.Addresses,
	}
	if pod, namespace, known := w.podOf(r, a); known {
		row.UID = pod.UID
		row.NamedPorts = pod.NamedPorts
		labels := w.identify(r, key, pod, namespace)
		row.Subject, row.Second = w.subjects(r, a.Incarnation, pod.NamedPorts, labels)
	} else {
		row.NamedPorts, row.Subject = w.former(r, key, a.Incarnation)
	}
	return []table.Workload{row}
}

// subjects are the identity that a workload has, and the one that it will get or had. It keeps its identity until the policy set of its
// next one is in the kernel, and the set of the former one stays until the kernel's NIC row has the next.
func (w *workloads) subjects(r state.Reader, incarnation uint32, ports []table.NamedPort, labels identity.Labels) (is, second table.Subject) {
	want := subject(labels, numberOf(w.t, r, labels), ports)
	there, _ := w.t.NICStatuses.One(r, state.Join(incarnation))
	was, known := w.t.Identities.One(r, state.Join(uint32(there.Identity)))
	if !known || was.Number == want.Identity {
		return want, table.Subject{}
	}
	before := subject(was.Labels, was.Number, ports)
	if _, enforced := w.t.SetStatuses.One(r, want.Set); !enforced {
		return before, want
	}
	return want, before
}

// former is who the kernel takes a NIC for whose pod is not known: it was deleted while its container lives on, or has not come yet after a
// restart. Named ports are those of the set that the kernel has it in, as far as this agent knows that.
func (w *workloads) former(r state.Reader, key state.Key, incarnation uint32) (ports []table.NamedPort, is table.Subject) {
	there, _ := w.t.NICStatuses.One(r, state.Join(incarnation))
	was, known := w.t.Identities.One(r, state.Join(uint32(there.Identity)))
	if !known {
		return nil, table.Subject{}
	}
	w.having.Set(key, was.Labels)
	for s := range w.t.SetStatuses.All(r) {
		if s.Identity == was.Number && s.Index == there.SetIndex {
			ports = readPorts(s.Set)
			break
		}
	}
	return ports, subject(was.Labels, was.Number, ports)
}

func subject(labels identity.Labels, number identity.Number, ports []table.NamedPort) table.Subject {
	s := table.Subject{Labels: labels, Identity: number}
	if number != 0 {
		s.Set = table.SetKey(number, portsText(ports))
	}
	return s
}

// numberOf is the lowest number that the cluster agreed on for a label set, 0 if there is none.
func numberOf(t *table.Tables, r state.Reader, labels identity.Labels) identity.Number {
	var lowest identity.Number
	for i := range t.Identities.By(r, table.ByLabels, state.Join(labels.String())) {
		if lowest == 0 || i.Number < lowest {
			lowest = i.Number
		}
	}
	return lowest
}

// readPorts gives the named ports in the key of a policy set.
func readPorts(set state.Key) (ports []table.NamedPort) {
	_, text, _ := strings.Cut(set.String(), "/")
	for _, p := range policy.ParseNamedPorts(text) {
		ports = append(ports, table.NamedPort(p))
	}
	return ports
}

// portsText is the canonical text of named ports, part of the key of a policy set.
func portsText(ports []table.NamedPort) string {
	named := make(policy.NamedPorts, len(ports))
	for i, p := range ports {
		named[i] = policy.NamedPort(p)
	}
	return named.String()
}
