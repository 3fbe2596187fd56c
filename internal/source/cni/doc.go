// Package cni turns the calls of a container runtime into facts: an Attachment row per NIC that an ADD asked for and no
// DEL has taken away.
//
// # The world it models
//
// A container runtime calls a plugin once per interface and event (CNI specification 0.3.1 to 1.1.0), and never repeats
// what has succeeded. So this package is the only one that knows which containers are attached, and keeps it on disk:
//
//	ADD  ->  addresses taken  ->  journal  ->  Attachment row  ->  (derivations, sinks)  ->  Ready row  ->  result
//	DEL  ->  row deleted      ->  journal  ->  link gone       ->  addresses rest        ->  success
//
// It makes no device and programs nothing. An ADD waits until the Ready row says that link, datapath and policy are in
// place; an ADD that waits in vain takes back what it did and says which of them is missing. A DEL succeeds if anything,
// or all, is gone already.
//
// # Invariants
//
//   - An attachment is journalled before anything else can see it, and its row is the journal's content: a restart
//     brings back every row before the table is marked synced.
//   - Calls about one (container ID, interface) run one after the other; a second ADD finds the first one's row and
//     gives the same result.
//   - An address belongs to one attachment; it is free again only when the attachment's link is gone, and rests then.
//   - An incarnation number is never used twice on a node, not after restarts either.
//   - Whatever a runtime, a person or a broken disk feeds it ends in a CNI error that names the field, never in a panic.
//
// # Example
//
//	server, err := cni.New(cni.Options{Tables: tables, DB: db, StateDir: journal.StateDir, Kernel: links, Log: log})
//	server.Register(mux)
//	err = cni.WriteConf("/etc/cni/net.d", cni.Conf{Socket: agent.Socket}) // once the node is ready
package cni
