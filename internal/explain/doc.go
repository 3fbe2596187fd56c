// Package explain answers questions of people about policies from the tables of an agent: may this end talk with that one,
// and why; what may a workload talk with at all.
//
// # The world it models
//
// A person names an end of a connection by what they know of it; policies know identities. An end is
//
//	shop/web                a pod or virtual machine (any node's), else a service: each of its backends
//	10.0.0.7, [fd00::7]     the workload or node that has the address, else what lies outside
//	node:worker             a node; pods on the host network are theirs
//	host, world, …          what has no labels of its own; host is the node that the other end is on
//	shop/db:5432            … with a port, and a protocol: shop/dns:53/udp, shop/web:http, shop/db:icmp, shop/db:icmp/13
//	node:worker:31847       a node port: each backend of its service
//	node:worker:8080        a hostPort: the pod of that node that has it
//
// A connection is allowed if the egress policies of one end and the ingress policies of the other allow it. Nodes have
// policies if enable-host-firewall says so, and let pass what bpf/lib/node.h exempts; what is outside has none. To what is
// on it a node is host, to all others remote-node, whichever node answers. A workload always reaches itself.
//
// Who calls a service is led to a backend where it sends, if programs of its node do that, and policies see nothing but the backend. Where
// another node leads on, the policies of three decide: of who sends, about the node; of the node, if its netfilter leads on by what
// programs do not take for a service; of who serves, about who sends. A client from outside is itself to a backend on the node that it
// called; on another one it comes by the tunnel without its address, natively as the node that it called.
//
// # Invariants
//
//   - Verdicts are those of policy.Judge and policy.Entries, from which the kernel's are made: nothing is decided here.
//   - The same tables give the same answer, filled by an agent or by files of manifests.
//   - An end that is not known is an error that says so, never a guess.
//   - An address with a zone is one that who filled the tables made up: it finds workloads, and is not told.
//
// # Example
//
//	answers, err := explain.Explain(snapshot, tables, "", "shop/web", "shop/db:5432")
//	answers[0].Ingress.Rules // cnp shop/allow-web ingress[0].toPorts[0]
package explain
