package kube

import (
	"fmt"
	"iter"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Rows turns objects into rows of the input tables. Its methods are called inside transactions only.
type Rows struct {
	t     *table.Tables
	kinds map[string]kind
	node  string            // name of this node
	flags map[string]string // settings that win over the ConfigMap

	nodes      map[string]table.Node        // what CiliumNodes say
	nodeLabels map[string]map[string]string // what Nodes say
	pending    map[string][]string          // table -> kinds whose first full list is not in
}

// kind fills a table from objects of one kind. Objects are of the type that its resource is read as.
type kind interface {
	put(tx *state.Tx, object any)
	remove(tx *state.Tx, object any)
	replace(tx *state.Tx, objects []any)
}

// Kinds of objects, in the order in which a newcomer would read them.
const (
	configMap        = "ConfigMap"
	ciliumNode       = "CiliumNode"
	node             = "Node"
	namespace        = "Namespace"
	pod              = "Pod"
	ciliumIdentity   = "CiliumIdentity"
	ciliumEndpoint   = "CiliumEndpoint"
	service          = "Service"
	endpointSlice    = "EndpointSlice"
	policy           = language.KindCilium
	clusterPolicy    = language.KindClusterwide
	kubernetesPolicy = language.KindKubernetes
	tieredPolicy     = language.KindClusterNetwork
	cidrGroup        = "CiliumCIDRGroup"
)

// NewRows makes rows as the node of this name sees them. Flags are settings that win over those of the ConfigMap; they
// are in the table as soon as anything is.
func NewRows(t *table.Tables, nodeName string, flags map[string]string) *Rows {
	r := &Rows{
		t: t, node: nodeName, flags: flags,
		nodes: map[string]table.Node{}, nodeLabels: map[string]map[string]string{},
		pending: map[string][]string{
			t.Nodes.Name():    {ciliumNode, node},
			t.Policies.Name(): {policy, clusterPolicy, kubernetesPolicy, tieredPolicy},
		},
	}
	r.kinds = map[string]kind{
		configMap:      settingsKind{r},
		ciliumNode:     ciliumNodeKind{r},
		node:           nodeKind{r},
		namespace:      simple(t.Namespaces, namespaceRow, func(o metav1.Object) state.Key { return state.Join(o.GetName()) }),
		pod:            simple(t.Pods, podRow, byName[*corev1.Pod]),
		service:        simple(t.Services, serviceRow, byName[*corev1.Service]),
		endpointSlice:  simple(t.EndpointSlices, endpointSliceRow, byName[*discoveryv1.EndpointSlice]),
		ciliumEndpoint: simple(t.Endpoints, endpointRow, byName[*v2.CiliumEndpoint]),
		ciliumIdentity: simple(t.Identities, identityRow, func(o *v2.CiliumIdentity) state.Key {
			n, _ := number(o.Name)
			return state.Join(uint32(n))
		}),
		cidrGroup:        simple(t.CIDRGroups, cidrGroupRow, func(o *v2.CiliumCIDRGroup) state.Key { return state.Join(o.Name) }),
		policy:           policyKind(r, policy, language.Cilium),
		clusterPolicy:    policyKind(r, clusterPolicy, language.Clusterwide),
		kubernetesPolicy: policyKind(r, kubernetesPolicy, language.Kubernetes),
		tieredPolicy:     policyKind(r, tieredPolicy, language.ClusterNetwork),
	}
	return r
}

// Put adds an object or replaces the one with its name. Its error is that objects of this kind make no rows.
func (r *Rows) Put(tx *state.Tx, object runtime.Object) error {
	k, err := r.kindOf(object)
	if err != nil {
		return err
	}
	k.put(tx, object)
	return nil
}

// Delete removes an object, of which only the name and namespace matter.
func (r *Rows) Delete(tx *state.Tx, object runtime.Object) error {
	k, err := r.kindOf(object)
	if err != nil {
		return err
	}
	k.remove(tx, object)
	return nil
}

// MarkSynced says of all tables that what they have is all there is.
func (r *Rows) MarkSynced(tx *state.Tx) {
	r.settings(tx, nil, false)
	for _, t := range []interface{ MarkSynced(*state.Tx) }{
		r.t.Settings, r.t.Nodes, r.t.Namespaces, r.t.Pods, r.t.Identities, r.t.Endpoints, r.t.Services, r.t.EndpointSlices,
		r.t.Policies, r.t.CIDRGroups,
	} {
		t.MarkSynced(tx)
	}
}

func (r *Rows) kindOf(object runtime.Object) (kind, error) {
	name := ""
	switch o := object.(type) {
	case *corev1.ConfigMap:
		if o.Namespace != ConfigNamespace || o.Name != ConfigName {
			return nil, fmt.Errorf("read ConfigMap %s/%s: only %s/%s is configuration", o.Namespace, o.Name, ConfigNamespace, ConfigName)
		}
		name = configMap
	case *v2.CiliumNode:
		name = ciliumNode
	case *corev1.Node:
		name = node
	case *corev1.Namespace:
		name = namespace
	case *corev1.Pod:
		name = pod
	case *v2.CiliumIdentity:
		name = ciliumIdentity
	case *v2.CiliumEndpoint:
		name = ciliumEndpoint
	case *corev1.Service:
		name = service
	case *discoveryv1.EndpointSlice:
		name = endpointSlice
	case *v2.CiliumCIDRGroup:
		name = cidrGroup
	case *v2.CiliumNetworkPolicy:
		name = policy
	case *v2.CiliumClusterwideNetworkPolicy:
		name = clusterPolicy
	case *networkingv1.NetworkPolicy:
		name = kubernetesPolicy
	case *v1alpha2.ClusterNetworkPolicy:
		name = tieredPolicy
	default:
		return nil, fmt.Errorf("read %T: objects of this kind make no rows", object)
	}
	return r.kinds[name], nil
}

// listed notes that the first full list of a kind is in, for a table that several kinds fill.
func listed[R state.Row](r *Rows, tx *state.Tx, t *state.Table[R], kind string) {
	left := slices.DeleteFunc(slices.Clone(r.pending[t.Name()]), func(k string) bool { return k == kind })
	r.pending[t.Name()] = left
	if len(left) == 0 {
		t.MarkSynced(tx)
	}
}

func byName[O metav1.Object](o O) state.Key { return table.ObjectKey(o.GetNamespace(), o.GetName()) }

// mapped is a kind whose objects make one row each, or none.
type mapped[O any, R state.Row] struct {
	table  *state.Table[R]
	row    func(O) (R, bool)
	key    func(O) state.Key // of the row, whether there is one or not
	own    func(r state.Reader) iter.Seq[R]
	listed func(tx *state.Tx)
}

func simple[O any, R state.Row](t *state.Table[R], row func(O) (R, bool), key func(O) state.Key) mapped[O, R] {
	return mapped[O, R]{t, row, key, t.All, t.MarkSynced}
}

func (m mapped[O, R]) put(tx *state.Tx, object any) {
	o := object.(O)
	if row, ok := m.row(o); ok {
		m.table.Put(tx, row)
	} else {
		m.table.Delete(tx, m.key(o))
	}
}

func (m mapped[O, R]) remove(tx *state.Tx, object any) { m.table.Delete(tx, m.key(object.(O))) }

func (m mapped[O, R]) replace(tx *state.Tx, objects []any) {
	have := make(map[state.Key]bool, len(objects))
	for _, o := range objects {
		have[m.key(o.(O))] = true
		m.put(tx, o)
	}
	for row := range m.own(tx) {
		if k := m.table.Key(row); !have[k] {
			m.table.Delete(tx, k)
		}
	}
	m.listed(tx)
}

// policyKind is one of the kinds that share the table Policies.
func policyKind[O metav1.Object](r *Rows, name string, read func(O) table.PolicyObject) kind {
	policies := r.t.Policies
	return mapped[O, table.PolicyObject]{
		policies,
		func(o O) (table.PolicyObject, bool) { return read(o), true },
		func(o O) state.Key {
			namespace := o.GetNamespace()
			if namespace == "" && name != clusterPolicy && name != tieredPolicy {
				namespace = metav1.NamespaceDefault // as read does: a file may leave it out
			}
			return state.Join(name, namespace, o.GetName())
		},
		func(reader state.Reader) iter.Seq[table.PolicyObject] {
			return policies.Prefix(reader, state.Join(name))
		},
		func(tx *state.Tx) { listed(r, tx, policies, name) },
	}
}

// settingsKind is the ConfigMap, whose keys are rows.
type settingsKind struct{ *Rows }

func (k settingsKind) put(tx *state.Tx, object any) {
	k.settings(tx, object.(*corev1.ConfigMap).Data, true)
}
func (k settingsKind) remove(tx *state.Tx, _ any) { k.settings(tx, nil, true) }

func (k settingsKind) replace(tx *state.Tx, objects []any) {
	var data map[string]string
	for _, o := range objects {
		data = o.(*corev1.ConfigMap).Data
	}
	k.settings(tx, data, true)
	k.t.Settings.MarkSynced(tx)
}

func (r *Rows) settings(tx *state.Tx, data map[string]string, all bool) {
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

// ciliumNodeKind gives the rows of Nodes; nodeKind gives them their labels.
type ciliumNodeKind struct{ *Rows }

func (k ciliumNodeKind) put(tx *state.Tx, object any) {
	row, _ := nodeRow(object.(*v2.CiliumNode))
	row.Local = row.Name == k.node
	k.nodes[row.Name] = row
	k.join(tx, row.Name)
}

func (k ciliumNodeKind) remove(tx *state.Tx, object any) {
	name := object.(metav1.Object).GetName()
	delete(k.nodes, name)
	k.join(tx, name)
}

func (k ciliumNodeKind) replace(tx *state.Tx, objects []any) {
	before := k.nodes
	k.nodes = map[string]table.Node{}
	for _, o := range objects {
		k.put(tx, o)
	}
	for name := range before {
		k.join(tx, name)
	}
	listed(k.Rows, tx, k.t.Nodes, ciliumNode)
}

type nodeKind struct{ *Rows }

func (k nodeKind) put(tx *state.Tx, object any) {
	o := object.(metav1.Object)
	k.nodeLabels[o.GetName()] = o.GetLabels()
	k.join(tx, o.GetName())
}

func (k nodeKind) remove(tx *state.Tx, object any) {
	name := object.(metav1.Object).GetName()
	delete(k.nodeLabels, name)
	k.join(tx, name)
}

func (k nodeKind) replace(tx *state.Tx, objects []any) {
	before := k.nodeLabels
	k.nodeLabels = map[string]map[string]string{}
	for _, o := range objects {
		k.put(tx, o)
	}
	for name := range before {
		k.join(tx, name)
	}
	listed(k.Rows, tx, k.t.Nodes, node)
}

// join writes the row of a node from what both kinds say of it.
func (r *Rows) join(tx *state.Tx, name string) {
	row, ok := r.nodes[name]
	if !ok {
		r.t.Nodes.Delete(tx, state.Join(name))
		return
	}
	row.Labels = r.nodeLabels[name]
	r.t.Nodes.Put(tx, row)
}
