// Package kube brings Kubernetes objects into the input tables.
//
// # The world it models
//
// Each kind of object fills one table:
//
//	ConfigMap kube-system/cilium-config  -> Settings (flags of the same names win)
//	CiliumNode, Node (its labels)        -> Nodes
//	Namespace                            -> Namespaces
//	Pod of this node                     -> Pods
//	CiliumIdentity                       -> Identities
//	CiliumEndpoint                       -> Endpoints
//	Service, EndpointSlice               -> Services, EndpointSlices
//	CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, ClusterNetworkPolicy -> Policies (package language)
//
// A client-go Reflector per kind lists and watches, reconnects and backs off; its store is ours and keeps nothing: an
// object becomes a row and is forgotten, so memory holds only the fields in use, once. Rows does the translation, and
// does it without an API server too, for tests that feed tables from files.
//
// # Invariants
//
//   - A table is synced when the first full list of every kind that fills it is in. A list that could not be read changes
//     nothing: while the API server is away, the tables stay as they were.
//   - A full list removes what it does not have and leaves alone what has not changed: a resync ripples nowhere.
//   - Events of all kinds reach the tables in the order in which they came, as many per transaction as have piled up.
//   - An object that makes no sense makes no row; it never stops the watch of the others.
//   - Kinds of cilium.io, and ClusterNetworkPolicy, are not asked for before their CRD exists.
//
// # Example
//
//	source, err := kube.New(kube.Config{API: api, Node: "n1"}, db, tables)
//	…
//	go source.Run(ctx)
//
//	rows := kube.NewRows(tables, "n1", nil) // the same without an API server
//	err = db.Write(func(tx *state.Tx) error { return rows.Put(tx, service) })
package kube
