// Package policy turns rules into the entries that the kernel looks up: a pure function of the rules, of who the
// subject is, and of who the peers are.
//
// A Rule selects subjects by their identity labels and says, per direction, which peers may (or must not) talk to them
// on which ports. Terms are alternatives. The meaning of a packet, given the rules that select its subject:
//
//	a deny term matches it                                 → Deny
//	else an allow term matches it                          → Allow
//	else a rule isolates the subject in this direction     → DenyImplicit
//	else                                                   → Allow
//
// Judge computes exactly that and nothing else; it is what everything here is tested against. Entries computes a
// table for which the kernel's lookup gives the same answer: the longest (protocol, port) prefix among the entries of
// the packet's peer, the longest among those of any peer, and of the two the one with the higher precedence (the peer's
// own when equal). As the longest prefix need not be the strongest rule, Entries leaves out each entry that a stronger
// one covers: with `deny TCP` for peer 300, no `allow TCP 80` for peer 300 exists.
//
// Two more things are looked up by what a peer is at its address: blocks of prefixes, and named ports in egress where workloads
// of one identity do not agree (package named). Both are classes of addresses, which Ranges divides; an entry for a class is
// like one for a peer.
//
// Example: a rule that lets frontends (identity 300) reach port 5432 of databases makes for a database
//
//	ingress any any/any   deny-implicit  precedence 0  by cnp shop/db
//	ingress 1   any/any   allow          precedence 1             (the node itself: kubelet probes)
//	ingress 300 tcp/5432  allow          precedence 1  by cnp shop/db ingress[0].toPorts[0]
//	egress  any any/any   allow          precedence 0
//
// Invariants: entries are sorted, unique by (direction, peer, protocol, port prefix) and independent of the order of
// rules and peers; both directions have an entry for any peer and any protocol; a term without peers or without ports
// matches nothing, so what a reader of rules leaves out never opens anything.
package policy
