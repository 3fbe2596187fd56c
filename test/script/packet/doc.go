// Package packet runs the packet scripts: one packet at a time through one program in the kernel (BPF_PROG_TEST_RUN),
// against maps that the script fills through the agent's own sinks. Each */*.txtar is a sentence about the datapath.
//
// Commands:
//
//	nic NAME ADDR[,ADDR] identity=N [network=N]   a workload's NIC on this node, in the pod network or an overlay network; $NAME is its device
//	node ADDR[,ADDR]                          addresses of this node (identity host)
//	open PROTO ADDR:PORT ADDR:PORT            a connection of this node that is open before its first policy
//	firewall                                  this node has a policy set itself: that of the name node
//	ipcache PREFIX identity=N [network=N] [flags=a,b] [tunnel=ADDR] [mac=MAC] [ifindex=N] | gone
//	policy NAME DIRECTION PEER PROTO[/PORT] allow|deny|implicit|pass [tier=TIER] [rank=N] [view=VIEW]
//	                                          entries of the set of a NIC; takes force with enforce
//	range NAME outside|node|pod PREFIX CLASS [gone]                 classes of addresses, peers of entries; likewise
//	enforce NAME
//	become NAME OTHER                         a NIC has the identity and the set of another from now on
//	service ADDR:PORT/PROTO [outside|here|behind] [direct] [silent] [passes] [affinity=S] [sources=[!]PREFIX,…] [maglev=SIZE] BACKEND:PORT[,terminating][,far]…
//	                                          outside: for calls from outside; here: of this node, for all; with !: not these sources;
//	                                          gone, last: it is not offered any more; direct: by DSR; maglev: calls find their backend in a table of that size;
//	                                          passes: who may not call it, or finds no backend, goes on by behind, or as it is
//	forget ADDR:PORT/PROTO                    takes such a frontend away
//	wire DEVICE ADDR/BITS… ADDR=MAC…          makes a device one of a link, with neighbours
//	config KEY=VALUE…                         before the first nic: overlay, port, tunnel, masquerade4, masquerade6,
//	                                          tcp-open (seconds), ports (FIRST-LAST), connections (rows), events (in a second),
//	                                          outside (ADDR[,ADDR] of this node, which translates what the outside calls; off: not any more),
//	                                          silent (no call of a service without backends is answered),
//	                                          geneve (device in which calls by DSR go on; none: it is to be, and is not)
//	reload KEY=VALUE…                         another configuration while packets flow; masquerade4= turns it off
//	world FILE… [mode=M] [allow-localhost=V] [cidr=nodes,pods] [node-labels=true]
//	                                          pods, policies and all that these speak of, as YAML: the pods are NICs of
//	                                          this node, which is node a, and what the policies say is in force
//	packets FILE                              lines FROM TO PROTOCOL[/PORT] allow|deny|default-deny [RULE, RULE…]: the first
//	                                          packet of a connection each, what became of it, and the rules that decided
//	send PROGRAM DEVICE[,mark=N][,by=socket][,iif=DEVICE][,gso=BYTES][,vlan=TCI[+TCI]] 'PACKET'
//	                                          prints what became of it, then one line per event; the mark is what a program
//	                                          of ours has written, or a local socket; gso: many segments in one, of so
//	                                          many bytes each; vlan: its tags, the outermost first
//	answer PROGRAM DEVICE 'WORDS'                   sends the answer to the packet that was let go last, with these flags, or length
//	error PROGRAM DEVICE 'unreachable port'         the same with an ICMP error about it, from where it went
//
//	events                                    the events that no command has printed yet
//	counters                                  how many packets were counted at which hook, and for what
//	verdicts                                  how many verdicts policies gave in which direction
//	pass SECONDS                              time passes for all connections
//	still                                     from now on no other time passes for what tables keep, however slow the machine is
//	refusals [N|earned]                       how many calls from outside each CPU may still answer; prints what is left
//	ends                                      of how many ends of connections the kernel has told since the last ends
//	connections                               how many rows of conntrack are remembered how: open, answered (what is no
//	                                          TCP), opening, closing, and called from elsewhere or adopted
//	handshakes PROGRAM,DEVICE PROGRAM,DEVICE RANGE 'ADDR:PORT > ADDR:N'
//	                                          three packets of TCP for each number of the range, which stands for PORT: the
//	                                          caller's by the first program, the callee's by the second
//
// # What explain says
//
// TestTheKernelDoesWhatExplainSays plays random clusters (package oracle/random, with services, in both families) into the
// kernel from the tables of an agent, and holds each packet's verdicts against those of weft policy explain. A failure names
// the seed of its world; services choose among several backends by chance, so that it may take another try.
//
// # Policies
//
// These scripts hold the rows of upstream's reference, each with a table of packets and the rules that decide:
//
//	empty, nil, absent              empty_nil_and_absent_differ
//	default deny, modes, probes     a_direction_closes_for_the_pods_of_a_rule
//	peers, namespaces, CIDRs        peers_are_what_their_text_says; a_peer_by_address_is_outside_the_cluster
//	ports, names, ICMP              ports_are_what_their_text_says
//	precedence                      deny_beats_allow_whatever_is_more_specific; an_earlier_tier_decides_or_passes_on
//	audit                           what_is_audited_or_staged_is_told_and_passes
//	nodes as subjects               a_node_has_a_policy_of_its_own
//	a change, on what is open       a_policy_change_bites_on_the_next_packet; a_peer_that_changes_its_identity_is_judged_anew;
//	                                a_workload_that_becomes_another_is_judged_anew
package packet
