package kind

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/cilium/v2alpha1"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/language/cilium"
	"weftnet.io/weftnet/internal/language/kubernetes"
	"weftnet.io/weftnet/internal/language/kubevirt"
	"weftnet.io/weftnet/internal/language/multi"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/language/redirect"
	"weftnet.io/weftnet/internal/language/tiered"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Services with this label are for another proxy than the default one, and slices with that one for none at all.
const foreignProxy, headless = "!service.kubernetes.io/service-proxy-name", "!" + corev1.IsHeadlessService

const (
	everywhere = Agent | Operator | Inventory | Files
	policies   = everywhere | Webhook | Lint
)

// All is the registry. Inventories list kinds in this order.
var All = []Kind{
	{
		Name: "Namespace", Group: core, Resource: "namespaces", New: of[corev1.Namespace](),
		Readers: everywhere | Files, Metadata: Agent,
		fill: one(func(t *table.Tables) *state.Table[table.Namespace] { return t.Namespaces }, namespaceRow,
			func(o metav1.Object) state.Key { return state.Join(o.GetName()) }),
	},
	{
		Name: "Node", Group: core, Resource: "nodes", New: of[corev1.Node](),
		Readers: everywhere, Metadata: Agent | Operator,
		fill: func(r *Rows, k *Kind) Filler { return nodes{r, k} },
	},
	{
		Name: "Pod", Group: core, Resource: "pods", Namespaced: true, New: of[corev1.Pod](),
		Readers: Agent | Operator | Inventory, Metadata: Operator,
		Narrow: func(node string) metav1.ListOptions {
			return metav1.ListOptions{FieldSelector: "spec.nodeName=" + node}
		},
		fill: one(func(t *table.Tables) *state.Table[table.Pod] { return t.Pods }, podRow, byName[*corev1.Pod]),
	},
	{
		Name: "Service", Group: core, Resource: "services", Namespaced: true, New: of[corev1.Service](),
		Readers: everywhere, Metadata: Operator,
		Narrow: func(string) metav1.ListOptions { return metav1.ListOptions{LabelSelector: foreignProxy} },
		fill:   one(func(t *table.Tables) *state.Table[table.Service] { return t.Services }, serviceRow, byName[*corev1.Service]),
	},
	{
		Name: "EndpointSlice", Group: discovery, Resource: "endpointslices", Namespaced: true, New: of[discoveryv1.EndpointSlice](),
		Readers: Agent | Inventory | Files,
		Narrow: func(string) metav1.ListOptions {
			return metav1.ListOptions{LabelSelector: foreignProxy + "," + headless}
		},
		fill: one(func(t *table.Tables) *state.Table[table.EndpointSlice] { return t.EndpointSlices }, endpointSliceRow,
			byName[*discoveryv1.EndpointSlice]),
	},
	{
		Name: language.KindKubernetes, Group: networking, Resource: "networkpolicies", Namespaced: true, New: of[networkingv1.NetworkPolicy](),
		Readers: policies, policy: rules(kubernetes.Policy), fill: policyRows,
	},
	{
		Name: language.KindCilium, Group: ciliumIO, Resource: v2.NetworkPolicyResource, Namespaced: true, New: of[v2.CiliumNetworkPolicy](),
		Readers: policies, policy: rules(cilium.Policy), fill: policyRows,
		Conditions: status(func(o *v2.CiliumNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions }),
	},
	{
		Name: language.KindClusterwide, Group: ciliumIO, Resource: v2.ClusterwideNetworkPolicyResource, New: of[v2.CiliumClusterwideNetworkPolicy](),
		Readers: policies, policy: rules(cilium.ClusterwidePolicy), fill: policyRows,
		Conditions: status(func(o *v2.CiliumClusterwideNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions }),
	},
	{
		Name: language.KindClusterNetwork, Group: tiers, Resource: "clusternetworkpolicies", New: of[v1alpha2.ClusterNetworkPolicy](),
		Readers: policies, Optional: true, policy: rules(tiered.Policy), fill: policyRows,
		Conditions: status(func(o *v1alpha2.ClusterNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions }),
	},
	{
		Name: language.KindMultiNetwork, Group: multiNetwork, Resource: multi.Resource, Namespaced: true, New: of[multi.Object](),
		Also: []string{"k8s.cni.cncf.io/v1beta2"}, Readers: policies, Optional: true, policy: rules(multi.Policy), fill: policyRows,
	},
	{
		Name: CIDRGroup, Group: ciliumIO, Resource: v2.CIDRGroupResource, New: of[v2.CiliumCIDRGroup](), Also: []string{"cilium.io/v2alpha1"},
		Readers: everywhere | Lint, Optional: true,
		fill: one(func(t *table.Tables) *state.Table[table.CIDRGroup] { return t.CIDRGroups }, cidrGroupRow,
			func(o *v2.CiliumCIDRGroup) state.Key { return state.Join(o.Name) }),
	},
	{
		Name: redirect.Kind, Group: ciliumIO, Resource: v2.LocalRedirectPolicyResource, Namespaced: true, New: of[v2.CiliumLocalRedirectPolicy](),
		Readers: everywhere | Lint, Optional: true, gaps: redirectGaps,
		fill: one(func(*table.Tables) *state.Table[redirect.Row] { return redirect.Table }, redirectRow, byName[*v2.CiliumLocalRedirectPolicy]),
	},
	{
		Name: "CiliumNode", Group: ciliumIO, Resource: v2.NodeResource, New: of[v2.CiliumNode](),
		Readers: everywhere, fill: func(r *Rows, k *Kind) Filler { return ciliumNodes{r, k} },
	},
	{
		Name: "ConfigMap", Group: core, Resource: "configmaps", Namespaced: true, New: of[corev1.ConfigMap](),
		Readers: everywhere, Only: struct{ Namespace, Name string }{ConfigNamespace, ConfigName},
		fill: func(r *Rows, k *Kind) Filler { return settings{r, k} },
	},
	{
		Name: "CiliumIdentity", Group: ciliumIO, Resource: v2.IdentityResource, New: of[v2.CiliumIdentity](),
		Readers: Agent | Operator,
		fill: one(func(t *table.Tables) *state.Table[table.Identity] { return t.Identities }, identityRow, func(o *v2.CiliumIdentity) state.Key {
			n, _ := number(o.Name)
			return state.Join(uint32(n))
		}),
	},
	{
		Name: "CiliumEndpoint", Group: ciliumIO, Resource: v2.EndpointResource, Namespaced: true, New: of[v2.CiliumEndpoint](),
		Readers: Agent | Operator,
		fill:    one(func(t *table.Tables) *state.Table[table.Endpoint] { return t.Endpoints }, endpointRow, byName[*v2.CiliumEndpoint]),
	},
	{
		Name: "CiliumEndpointSlice", Group: alpha, Resource: "ciliumendpointslices", New: of[v2alpha1.CiliumEndpointSlice](),
	},
	{
		Name: "CiliumBandwidthPolicy", Group: ciliumIO, Resource: v2.BandwidthPolicyResource, New: of[v2.CiliumBandwidthPolicy](),
		Readers: Operator, Lacks: "spec.egress: bandwidth is not limited and traffic not marked yet",
		Conditions: status(func(o *v2.CiliumBandwidthPolicy) *[]metav1.Condition { return &o.Status.Conditions }),
	},
	{
		Name: "CiliumPodIPPool", Group: alpha, Resource: v2alpha1.PodIPPoolResource, New: of[v2alpha1.CiliumPodIPPool](),
		Readers: everywhere, Optional: true, gaps: poolGaps,
		fill: one(func(*table.Tables) *state.Table[netobject.Pool] { return netobject.Pools }, netobject.PoolRow,
			func(o *v2alpha1.CiliumPodIPPool) state.Key { return state.Join(o.Name) }),
	},
	{
		Name: "CiliumLoadBalancerIPPool", Group: ciliumIO, Resource: v2.LoadBalancerIPPoolResource, New: of[v2.CiliumLoadBalancerIPPool](),
		Readers: Operator, Lacks: "spec.blocks: services of type LoadBalancer are not given addresses of a pool yet",
		Conditions: status(func(o *v2.CiliumLoadBalancerIPPool) *[]metav1.Condition { return &o.Status.Conditions }),
	},
	{
		Name: "NetworkAttachmentDefinition", Group: cncf, Resource: netobject.DefinitionResource, Namespaced: true,
		New: of[netobject.NetworkAttachmentDefinition](), Readers: everywhere | Webhook, Optional: true, gaps: definitionGaps,
		fill: one(func(*table.Tables) *state.Table[netobject.Named] { return netobject.Table }, netobject.Row, byName[*netobject.NetworkAttachmentDefinition]),
	},
	{
		Name: "OverlayNetwork", Group: weftnet, Resource: netobject.OverlayResource, New: of[netobject.OverlayNetwork](),
		Readers: everywhere, Optional: true, gaps: overlayGaps,
		Conditions: status(func(o *netobject.OverlayNetwork) *[]metav1.Condition { return &o.Status.Conditions }),
		fill: one(func(*table.Tables) *state.Table[netobject.Overlay] { return netobject.Overlays }, netobject.OverlayRow,
			func(o *netobject.OverlayNetwork) state.Key { return state.Join(o.Name) }),
	},
	{
		Name: "PodInterface", Group: weftnet, Resource: netobject.InterfaceResource, Namespaced: true, New: of[netobject.PodInterface](),
		Readers: Agent, Optional: true,
		fill: one(func(*table.Tables) *state.Table[netobject.Peer] { return netobject.Peers }, netobject.PeerRow, byName[*netobject.PodInterface]),
	},
	{
		Name: "VirtualMachine", Group: virtual, Resource: kubevirt.MachineResource, Namespaced: true, New: of[kubevirt.VirtualMachine](),
		Readers: Agent | Inventory, Optional: true, Guest: kubevirt.Name,
		fill: one(func(*table.Tables) *state.Table[kubevirt.Machine] { return kubevirt.Machines }, kubevirt.Row, byName[*kubevirt.VirtualMachine]),
	},
	{
		Name: "VirtualMachineInstance", Group: virtual, Resource: kubevirt.InstanceResource, Namespaced: true, New: of[kubevirt.VirtualMachineInstance](),
		Readers: Agent | Inventory, Optional: true, Guest: kubevirt.Name,
		fill: one(func(*table.Tables) *state.Table[kubevirt.Instance] { return kubevirt.Instances }, kubevirt.InstanceRow, byName[*kubevirt.VirtualMachineInstance]),
	},
}

type object[T any] interface {
	*T
	Object
}

// of makes new objects of a type.
func of[T any, P object[T]]() func() Object { return func() Object { return P(new(T)) } }

func sameType(a, b any) bool { return reflect.TypeOf(a) == reflect.TypeOf(b) }

// rules has objects of a type read by a language.
func rules[O Object](read func(O) table.PolicyObject) func(Object) table.PolicyObject {
	return func(o Object) table.PolicyObject { return read(o.(O)) }
}

// status finds the conditions of objects of a type.
func status[O Object](at func(O) *[]metav1.Condition) func(Object) *[]metav1.Condition {
	return func(o Object) *[]metav1.Condition { return at(o.(O)) }
}
