// Package kube brings Kubernetes objects into the input tables.
//
// # The world it models
//
// A client-go Reflector per kind lists and watches, reconnects and backs off; its store is ours and keeps nothing: an
// object becomes rows (package kind) and is forgotten, so memory holds only the fields in use, once.
//
// # Invariants
//
//   - A table is synced when the first full list of every kind that fills it is in. A list that could not be read changes
//     nothing: while the API server is away, the tables stay as they were.
//   - A full list removes what it does not have and leaves alone what has not changed: a resync ripples nowhere.
//   - Events of all kinds reach the tables in the order in which they came, as many per transaction as have piled up.
//   - An object that makes no sense makes no row; it never stops the watch of the others.
//   - Kinds that have CRDs are not asked for before these exist.
//   - Of kinds that pods name objects of, only those objects are followed which pods of this node name, each by itself, as kubelets follow
//     what pods mount: the API server finds who watches one object without asking all.
//
// # Example
//
//	source, err := kube.New(kube.Config{API: api, Node: "n1"}, db, tables)
//	…
//	go source.Run(ctx)
package kube
