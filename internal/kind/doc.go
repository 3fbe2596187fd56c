// Package kind is the registry of the kinds of API objects: what each is, who reads it, and which rows it becomes.
//
// # The world it models
//
// A kind is one element of All. What handles objects takes from it what it needs:
//
//	source/kube           which resources an agent follows, and what of them
//	source/kube/inventory which ones `weft policy --kubeconfig` lists
//	operator              which CRDs it waits for, and which objects get a status or an event
//	cli/policy            which objects of files become rows
//	lint, lint/schema     which objects are policies, and what the API server asks of them
//	deploy/test           which rights the chart gives, and which objects the webhook is asked about
//
// Each kind that an agent reads fills one input table:
//
//	ConfigMap kube-system/cilium-config  -> Settings (flags of the same names win)
//	CiliumNode, Node (its labels)        -> Nodes
//	Namespace                            -> Namespaces
//	Pod of this node                     -> Pods
//	CiliumIdentity                       -> Identities
//	CiliumEndpoint                       -> Endpoints
//	Service, EndpointSlice               -> Services, EndpointSlices
//	CiliumCIDRGroup                      -> CIDRGroups
//	CiliumLocalRedirectPolicy            -> redirects (package table/redirect)
//	OverlayNetwork                       -> overlay-networks (package table/overlay)
//	PodInterface                         -> peers (package table/peer)
//	VirtualMachine, VirtualMachineInstance -> machines, machine-instances (package table/machine), of pods of this node
//	CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, ClusterNetworkPolicy, MultiNetworkPolicy -> Policies (package language)
//
// # Invariants
//
//   - A new kind is one element, and one of groups if its API group is new.
//   - An object that makes no sense makes no row; it never keeps others from theirs.
//   - A table is synced when the first full list of every kind that fills it is in. A full list removes what it does not
//     have and leaves alone what has not changed.
//
// # Example
//
//	for k := range kind.ReadBy(kind.Agent) {
//		fmt.Println(k.GroupVersion, k.Resource) // cilium.io/v2 ciliumnetworkpolicies
//	}
//	rows := kind.NewRows(tables, "n1", nil)
//	err = db.Write(func(tx *state.Tx) error { return rows.Put(tx, service) })
package kind
