// Package observe makes flows of what the datapath reports, keeps the last ones, and serves them as Hubble does.
//
//	sources (ring buffer) -> decode -> resolver (tables) -> Flow -> journal -> clients (observer.Observer), followers
//
// The kernel writes one record per new connection, first answer, close, verdict and drop (bpf/lib/event.h), never one
// per packet. A record has numbers only: addresses, identities, an ifindex, the number of a list of rules. Enrichment
// looks them up in the tables as they are at that moment: pods and labels (workloads, endpoints, identities), services
// (frontends), interfaces (devices), and the policies that decided (rule-lists): of an allow those that allow, of a
// deny those that deny, of a missing allow those that isolate the pod.
//
// An allowed TCP connection between pods of one node shows as
//
//	shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) policy-verdict:L3-L4 EGRESS ALLOWED (TCP Flags: SYN)
//	shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) policy-verdict:L3-L4 INGRESS ALLOWED (TCP Flags: SYN)
//	shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) to-endpoint FORWARDED (TCP Flags: SYN)
//	shop/web-1:4000 (ID:4711) <- shop/db-0:5432 (ID:815) to-endpoint FORWARDED (TCP Flags: SYN, ACK)
//
// Each type of event has one file, event_*.go, and one line in kinds: how its record is read and what its flow says. A flow's
// message is made when a client asks for it, of what was looked up when its event came: most are overwritten before.
//
// Sources run side by side and put their flows into one journal. Whatever reads it, a client or a follower inside the
// agent, has a place of its own there, which is its queue: a slow one holds up no other.
//
// Invariants: a flow is never changed once it is in the journal; the journal holds the last N whatever the load; a reader
// that is too slow is told how many flows it missed (LostEvent), and all readers how many events the kernel held back. A
// record that makes no sense is counted and passed over.
//
// Where clients find it, and which ones are served, is not said here: package serve below puts it on the node's unix socket and on
// the network, beside peer.Peer (package peer), by which relays find the nodes.
//
//	o := observe.New(tables, db, observe.Options{Node: "n1"})
//	go o.Run(ctx, ring)
//	o.Register(grpcServer)
package observe
