// Package net runs the net scripts: whole clusters whose nodes are network namespaces, real agents, real CNI calls, real
// packets (package nettest). Each */*.txtar is a sentence about what a user gets. They need root.
//
// # Stations
//
// Packets go from station to station. A node is called by its name (a), a pod by its node's and its own (a/web), the machine beyond all nodes is outside, and
// svc/NAME is a service of namespace default. Addresses stand in the environment: $a4, $a6 and $amac of node a, $web4 and
// $web6 of pod web, $outside4 and $outside6. $cgroups is where a node finds its control group.
//
// # Commands
//
//	node NAME… [KEY=VALUE…]        nodes with agents that run with these keys of the configuration
//	pod NODE/NAME [N] [LABEL=VALUE…]
//	                               a pod, attached by CNI ADD, or N at once, NAME0 and so on; namespace=N and port-NAME=N
//	                               are no labels, nor are networks=TEXT and pool=NAME, annotations, statefulset=NAME, its controller, and
//	                               mirrors=UID: a static pod, by that name of its runtime's
//	label NODE/NAME LABEL=VALUE…   other labels for it
//	remove NODE/NAME [N]           its end, with CNI DEL, or that of N
//	add|del NODE/NAME              only the CNI call, once more
//	apply|delete FILE…             objects as YAML; returns when that is in all kernels
//	serve STATION PORT             a TCP and a UDP server that say which address called; dial starts them
//	dial [-4|-6] [-u|-m] [-p] FROM TO:PORT [size=BYTES] [bulk=BYTES]
//	                               one call, in both families unless told, TCP unless -u, or -m: datagrams of a socket that
//	                               is not connected; prints the answers, with -p and the caller's peer. What it
//	                               says is size bytes long; with bulk that many follow each way. ! wants silence, or with
//	                               -e an error such as a refusal
//	ping [-4|-6] FROM TO [size=BYTES]      ICMP echo, never fragmented
//	open NAME [-4|-6] [-u|-m] FROM TO:PORT [port=N]
//	                               a TCP connection (-u, -m: UDP socket), from a certain port
//	say NAME                               a word on it, and the answer
//	keep NAME FROM TO              pings, datagrams and words on a connection from now on, in both families
//	calls NAME [-4|-6] [-u|-m] FROM TO:PORT  calls that each begin anew, from now on
//	intrude NAME FROM TO           datagrams, each of which is to be denied
//	kept NAME…                     the end of these; prints what was lost and what arrived, and wants neither
//	alternate N FILE…              one file after the other is applied, N in all, or fewer on a machine that is slow
//	send STATION PACKET [ports=FIRST-LAST] a frame (package packet) from its eth0; or as many as there are ports, each of
//	                                       which stands once where PACKET says PORT
//	heard STATION                          what its servers were told
//	flows NODE [verdict=V] [type=verdict] [direction=D] [port=N] [reason=R] [from=NAMESPACE/POD] [to=NAMESPACE/POD] [service=NAMESPACE/NAME] [answers=NAMESPACE/NAME] [from-ip=IP] [to-ip=IP] [protocol=P] [last=DURATION]
//	                               waits for such a flow and prints it, with the policies; service is what was called, and
//	                               answers what an answer is of
//	packets FILE                   lines FROM TO PROTOCOL[/PORT] allow|deny [POLICY]: as many calls, at once, each in both
//	                               families; what is denied is silent, and a flow names the policy
//	certificates                   of agents, a relay and its client, in $WORK/tls: agent.crt, agent.key, ca.crt
//	follow NODE FROM TO:PORT       a relay there, a client that follows all flows through it by mTLS, and calls, each from
//	                               another port, from now on
//	followed                       the end of these; prints what was told. Each call's end is told once by each node, or the client was told
//	                               that the node was away then
//	rejoined                       waits until the client was told that all nodes are there
//	advertise NODE                 from now on the outside knows where its pods are
//	narrow BYTES                   the MTU between the wire and outside
//	offload STATION DEVICE tx|gro on|off   what a device of a station, or of the wire, leaves to the next: checksums of what it sends
//	                               (tx), or of what it takes in batches (gro)
//	quit|crash NODE                its agent (stop and kill are the script's own)
//	start NODE [KEY=VALUE…]        another one, with other keys of the configuration
//	start NODE other               an agent of another version: conntrack rows of another shape
//	reboot NODE                    the machine restarts: containers and kernel begin anew, the disk stays; start its agent
//	recreate NODE/NAME             a new container for a pod after that, and DEL for the one before
//	disk NODE tiny|full|free       that of its journal: a small one of its own, filled, cleared
//	kernel NODE                    what its kernel holds of Weftnet
//	show NODE TABLE                a table of its agent
//	machine NAME… [KEY=VALUE…]     nodes whose agents have never run; start starts them
//	confine NODE CAPABILITY…       all that its agent has, from its next start on; NONE: none
//	rouse NODE                     starts its agent and does not wait until that takes pods; settle waits for all agents
//	call NODE/NAME [LABEL=VALUE…]  begins the CNI ADD of a new pod, described as for pod, and does not wait for it
//	trouble NODE [TABLE]           waits until something is not in place, and prints why
//	plugins NODE NAME=FILE…        CNI plugins on it, as the agent's init container puts them there
//	standard NODE…                 the standard CNI plugins on them
//	uplink DEVICE NODE…            a further device of theirs, all on one switch
//	networks NODE/NAME TEXT        what a pod that runs asks for from now on; settle waits until it has that
//	nic NODE/NAME INTERFACE        addresses of a NIC of it: also in $web_net1_4 and $web_net1_6
//	multus NODE                    a configuration of Multus on it, before that of its agent
//	meta NODE/NAME ADD|DEL|STATUS INTERFACE NETWORK
//	                               a plugin that calls others calls for one more NIC of a pod, or asks for the node's status
//	delegates NODE/NAME ADD|DEL INTERFACE FILE
//	                               the standard plugin of that configuration is called for one more NIC of a pod, as by Multus, whose
//	                               words the pod's annotation network-status has then
//	said NODE/NAME OLD NEW         another word stands in that annotation
//	inside NODE/NAME COMMAND…      any program in its network namespace
//	told NODE TABLE [REGEXP]       waits for such a row in a table of its agent and prints it
//	shares [RESOURCE…]             nodes that are added from now on share addresses, by an API server of which these resources exist, too
//	enter FILE                     puts objects into that
//	books [PREFIX…]                waits for objects, and prints those whose paths (GROUP/VERSION/…) begin so
//	cut NODE…, heal NODE…          the agents of these do not reach that server, or do again
//	trace NODE                     all on it that Weftnet could have left a trace in: devices, routes, settings, files, …
//	daemon NODE NAME [wait=TEXT] PROGRAM ARGUMENT…
//	                               a program that runs on it until the script ends; returns when it says that it is ready
//	                               (sd_notify), or TEXT. Its files are in $WORK; $run_NODE stands for the node's /run
//	end NODE NAME                  ends it, as its owner does
//	until NODE COMMAND…            any program on it, again and again until it succeeds
//	clock DURATION                 sets the clock on the wall forward, or back, for the whole machine; needs [own-machine]
//	logged NODE REGEXP             waits until its agent has logged that
//	weft NODE COMMAND…             the program weft on it
//	ask STATION ADDRESS:PORT PATH  asks there by HTTP once, and prints the answer
//	asked STATION ADDRESS:PORT PATH TEXT  asks until the answer has this text
//	bind [-u] NODE ADDRESS:PORT    takes a port there for a moment, TCP unless -u
//	on NODE COMMAND…               any program on it, or on the machine outside
package net
