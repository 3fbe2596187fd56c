// Package agent puts one node's parts together and runs them: sources that write facts, derivations, loops that make the
// kernel and the API server follow, the CNI server, the flow observer. It decides nothing itself.
//
//	source/kube, source/netdev, source/cni -> tables -> derive/* -> reconcile -> sink/{link,route,bpfmap,kube}
//
// What there is to run is the list of package feature.
//
// Start comes in two steps, since programs are loaded with facts about the node: first the links and the tunnel device
// (which need settings and the node's own addresses), then the datapath and all that lives in its maps. Everything else
// waits for its facts by itself. Stop is the end of the context; what is in the kernel stays and works on.
package agent
