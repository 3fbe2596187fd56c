// Package oracle says what policies mean, from their raw text, slowly and in the words of the languages' own references.
//
// # The world it models
//
// A World is what people wrote: policies, namespaces, pods, services and so on, as decoded JSON. A Packet goes between two
// Ends in a direction. Judge reads every policy anew for every packet, one sentence of the reference after the other, and
// says whether the packet passes and which policies decide:
//
//	C1-C5, C8   CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy: docs/compatibility.md and upstream's reference
//	API         NetworkPolicy: the comments of networking.k8s.io/v1
//	tier        ClusterNetworkPolicy: those of policy.networking.k8s.io/v1alpha2, in package tier
//	modes       annotation policy.weftnet.io/mode, of policies and namespaces, and policy-audit-mode: docs/policy.md
//
// Judge asks tier Admin, then the other kinds, then tier Baseline. Verdict audit comes with the rules that would deny.
// Foresee says what would become of the packet if staged policies were enforced.
//
// # Invariants
//
//   - It shares no code with the project: no type, no parser, no table of it. What both get right they got right twice.
//   - Nothing is kept from one packet to the next but whether an object is valid.
//   - What is valid and not enforced yet fails closed: an element that allows allows nothing, one that denies denies more.
//
// # Tests
//
//	go test ./test/oracle                                               worlds, malformed policies, each a few
//	go test ./test/oracle -run Text -rapid.checks=2000 -timeout 1h      ten million packets
//	                                                                    each also as staged policies would have it
//	go test ./test/oracle -run Malformed -malformed 10000 -timeout 1h   -malformed.first N begins at another
//	go test ./test/oracle -fuzz FuzzALabelSelector -fuzztime 10m
//
// # Example
//
//	w := &oracle.World{Policies: []oracle.Object{policy}, Pods: pods, Namespaces: namespaces, Cluster: "default"}
//	w.Judge(oracle.Packet{Ingress: true, Subject: w.Pod("shop", "db"), Peer: w.Pod("shop", "web"), Protocol: "TCP", Port: 5432})
//	// {allow [cnp shop/db ingress[0].toPorts[0]]}
package oracle
