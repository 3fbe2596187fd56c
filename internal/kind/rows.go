package kind

import (
	"fmt"
	"iter"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Rows turns objects into rows of the input tables. Its methods are called inside transactions only.
type Rows struct {
	t     *table.Tables
	kinds map[string]Filler      // by name of the kind
	types map[reflect.Type]*Kind // of their objects
	node  string                 // name of this node
	flags map[string]string      // settings that win over the ConfigMap

	nodes      map[string]table.Node        // what CiliumNodes say
	nodeLabels map[string]map[string]string // what Nodes say
	leaving    map[string]bool              // Nodes that are being deleted
	tainted    bool                         // an autoscaler is about to delete this node
	pending    map[string]int               // table -> kinds whose first full list is not in
	listed     map[string]bool              // kinds whose is
}

// Filler fills a table from objects of one kind. Objects are of the type that the kind is read as: its own, or
// *metav1.PartialObjectMetadata.
type Filler interface {
	Put(tx *state.Tx, object any)
	Remove(tx *state.Tx, object any)
	Replace(tx *state.Tx, objects []any) // by a full list
	fills() marker
}

// marker is a table as the lists of its kinds see it.
type marker interface {
	Name() string
	MarkSynced(*state.Tx)
}

// CIDRGroup is the kind of groups of prefixes, which policies name.
const CIDRGroup = "CiliumCIDRGroup"

// NewRows makes rows as the node of this name sees them. Flags are settings that win over those of the ConfigMap; they
// are in the table as soon as anything is.
func NewRows(t *table.Tables, nodeName string, flags map[string]string) *Rows {
	r := &Rows{
		t: t, node: nodeName, flags: flags, kinds: map[string]Filler{}, types: map[reflect.Type]*Kind{},
		nodes: map[string]table.Node{}, nodeLabels: map[string]map[string]string{}, leaving: map[string]bool{},
		pending: map[string]int{}, listed: map[string]bool{},
	}
	for k := range ReadBy(Agent) {
		f := k.fill(r, k)
		r.kinds[k.Name], r.types[reflect.TypeOf(k.New())] = f, k
		r.pending[f.fills().Name()]++
	}
	return r
}

// Of is what fills a table from objects of a kind that agents read.
func (r *Rows) Of(k *Kind) Filler { return r.kinds[k.Name] }

// Put adds an object or replaces the one with its name. Its error is that objects of this kind make no rows.
func (r *Rows) Put(tx *state.Tx, object runtime.Object) error {
	f, err := r.of(object)
	if err != nil {
		return err
	}
	f.Put(tx, object)
	return nil
}

// Delete removes an object, of which only the name and namespace matter.
func (r *Rows) Delete(tx *state.Tx, object runtime.Object) error {
	f, err := r.of(object)
	if err != nil {
		return err
	}
	f.Remove(tx, object)
	return nil
}

// MarkSynced says of all tables that what they have is all there is.
func (r *Rows) MarkSynced(tx *state.Tx) {
	r.putSettings(tx, nil, false)
	for _, f := range r.kinds {
		f.fills().MarkSynced(tx)
	}
}

func (r *Rows) of(object runtime.Object) (Filler, error) {
	k := r.types[reflect.TypeOf(object)]
	if k == nil {
		return nil, fmt.Errorf("read %T: objects of this kind make no rows", object)
	}
	if o, ok := object.(Object); ok && !k.Has(o.GetNamespace(), o.GetName()) {
		return nil, fmt.Errorf("read %s %s/%s: only %s/%s is configuration", k.Name, o.GetNamespace(), o.GetName(), k.Only.Namespace, k.Only.Name)
	}
	return r.kinds[k.Name], nil
}

// first notes that the first full list of a kind is in. Several kinds may fill a table.
func (r *Rows) first(tx *state.Tx, k *Kind, t marker) {
	if !r.listed[k.Name] {
		r.listed[k.Name] = true
		r.pending[t.Name()]--
	}
	if r.pending[t.Name()] == 0 {
		t.MarkSynced(tx)
	}
}

// Listed notes that all objects of a kind which this node needs are in.
func (r *Rows) Listed(tx *state.Tx, k *Kind) { r.first(tx, k, r.kinds[k.Name].fills()) }

func byName[O metav1.Object](o O) state.Key { return table.ObjectKey(o.GetNamespace(), o.GetName()) }

// mapped is a kind whose objects make one row each, or none.
type mapped[O any, R state.Row] struct {
	rows  *Rows
	kind  *Kind
	table *state.Table[R]
	row   func(O) (R, bool)
	key   func(O) state.Key // of the row, whether there is one or not
	own   func(r state.Reader) iter.Seq[R]
}

// one is the filler of a table that no other kind fills.
func one[O any, R state.Row](in func(*table.Tables) *state.Table[R], row func(O) (R, bool), key func(O) state.Key) func(*Rows, *Kind) Filler {
	return func(r *Rows, k *Kind) Filler {
		t := in(r.t)
		return mapped[O, R]{r, k, t, row, key, t.All}
	}
}

func (m mapped[O, R]) fills() marker { return m.table }

func (m mapped[O, R]) Put(tx *state.Tx, object any) {
	o := object.(O)
	if row, ok := m.row(o); ok {
		m.table.Put(tx, row)
	} else {
		m.table.Delete(tx, m.key(o))
	}
}

func (m mapped[O, R]) Remove(tx *state.Tx, object any) { m.table.Delete(tx, m.key(object.(O))) }

func (m mapped[O, R]) Replace(tx *state.Tx, objects []any) {
	have := make(map[state.Key]bool, len(objects))
	for _, o := range objects {
		have[m.key(o.(O))] = true
		m.Put(tx, o)
	}
	for row := range m.own(tx) {
		if k := m.table.Key(row); !have[k] {
			m.table.Delete(tx, k)
		}
	}
	m.rows.first(tx, m.kind, m.table)
}

// policyRows fills table Policies, which several kinds share.
func policyRows(r *Rows, k *Kind) Filler {
	t := r.t.Policies
	return mapped[Object, table.PolicyObject]{
		r, k, t,
		func(o Object) (table.PolicyObject, bool) { return k.policy(o), true },
		func(o Object) state.Key {
			namespace := o.GetNamespace()
			if namespace == "" && k.Namespaced {
				namespace = metav1.NamespaceDefault // as languages do: a file may leave it out
			}
			return state.Join(k.Name, namespace, o.GetName())
		},
		func(reader state.Reader) iter.Seq[table.PolicyObject] { return t.Prefix(reader, state.Join(k.Name)) },
	}
}

// settings is the ConfigMap, whose keys are rows.
type settings struct {
	*Rows
	kind *Kind
}

func (s settings) fills() marker { return s.t.Settings }

func (s settings) Put(tx *state.Tx, object any) {
	s.putSettings(tx, object.(*corev1.ConfigMap).Data, true)
}
func (s settings) Remove(tx *state.Tx, _ any) { s.putSettings(tx, nil, true) }

func (s settings) Replace(tx *state.Tx, objects []any) {
	var data map[string]string
	for _, o := range objects {
		data = o.(*corev1.ConfigMap).Data
	}
	s.putSettings(tx, data, true)
	s.first(tx, s.kind, s.t.Settings)
}

func (r *Rows) putSettings(tx *state.Tx, data map[string]string, all bool) {
	want := map[string]string{}
	for name, value := range data {
		want[name] = value
	}
	for name, value := range r.flags {
		want[name] = value
	}
	for name, value := range want {
		r.t.Settings.Put(tx, table.Setting{Name: name, Value: value})
	}
	if !all {
		return
	}
	for s := range r.t.Settings.All(tx) {
		if _, ok := want[s.Name]; !ok {
			r.t.Settings.Delete(tx, state.Join(s.Name))
		}
	}
}

// ciliumNodes gives the rows of Nodes; nodes gives them their labels.
type ciliumNodes struct {
	*Rows
	kind *Kind
}

func (k ciliumNodes) fills() marker { return k.t.Nodes }

func (k ciliumNodes) Put(tx *state.Tx, object any) {
	row, _ := nodeRow(object.(*v2.CiliumNode))
	row.Local = row.Name == k.node
	k.nodes[row.Name] = row
	k.join(tx, row.Name)
}

func (k ciliumNodes) Remove(tx *state.Tx, object any) {
	name := object.(metav1.Object).GetName()
	delete(k.nodes, name)
	k.join(tx, name)
}

func (k ciliumNodes) Replace(tx *state.Tx, objects []any) {
	before := k.nodes
	k.nodes = map[string]table.Node{}
	for _, o := range objects {
		k.Put(tx, o)
	}
	for name := range before {
		k.join(tx, name)
	}
	k.first(tx, k.kind, k.t.Nodes)
}

type nodes struct {
	*Rows
	kind *Kind
}

func (k nodes) fills() marker { return k.t.Nodes }

func (k nodes) Put(tx *state.Tx, object any) {
	o := object.(metav1.Object)
	k.nodeLabels[o.GetName()] = o.GetLabels()
	delete(k.leaving, o.GetName())
	if o.GetDeletionTimestamp() != nil {
		k.leaving[o.GetName()] = true
	}
	if whole, ok := object.(*corev1.Node); ok && o.GetName() == k.node {
		k.tainted = isTainted(whole)
	}
	k.join(tx, o.GetName())
}

func (k nodes) Remove(tx *state.Tx, object any) {
	name := object.(metav1.Object).GetName()
	delete(k.nodeLabels, name)
	delete(k.leaving, name)
	k.join(tx, name)
}

func (k nodes) Replace(tx *state.Tx, objects []any) {
	before := k.nodeLabels
	k.nodeLabels, k.leaving = map[string]map[string]string{}, map[string]bool{}
	for _, o := range objects {
		k.Put(tx, o)
	}
	for name := range before {
		k.join(tx, name)
	}
	k.first(tx, k.kind, k.t.Nodes)
}

// join writes the row of a node from what both kinds say of it.
func (r *Rows) join(tx *state.Tx, name string) {
	row, ok := r.nodes[name]
	if !ok {
		r.t.Nodes.Delete(tx, state.Join(name))
		return
	}
	row.Labels = r.nodeLabels[name]
	row.Leaving = name == r.node && (r.leaving[name] || r.tainted)
	r.t.Nodes.Put(tx, row)
}

// OwnNode notes what only the whole Node of this node says: of Nodes agents read metadata alone. Nil: there is none.
func (r *Rows) OwnNode(tx *state.Tx, node *corev1.Node) {
	if tainted := node != nil && isTainted(node); tainted != r.tainted {
		r.tainted = tainted
		r.join(tx, r.node)
	}
}

// toBeDeleted is a taint: an autoscaler is about to delete the node
// (https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/utils/taints/taints.go).
const toBeDeleted = "ToBeDeletedByClusterAutoscaler"

func isTainted(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == toBeDeleted })
}
