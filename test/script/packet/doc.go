// Package packet runs the packet scripts: one packet at a time through one program in the kernel (BPF_PROG_TEST_RUN),
// against maps that the script fills through the agent's own sinks. Each *.txtar is a sentence about the datapath.
//
// Commands:
//
//	nic NAME ADDR[,ADDR] identity=N           a workload's NIC on this node; $NAME is its device
//	node ADDR[,ADDR]                          addresses of this node (identity host)
//	open PROTO ADDR:PORT ADDR:PORT            a connection of this node that is open before its first policy
//	firewall                                  this node has a policy set itself: that of the name node
//	host PREFIX identity=N [flags=a,b] [tunnel=ADDR]
//	policy NAME DIRECTION PEER PROTO[/PORT] allow|deny|implicit|pass [tier=TIER] [rank=N] [view=VIEW]
//	                                          entries of the set of a NIC; takes force with enforce
//	range NAME outside|node|pod PREFIX CLASS [gone]                 classes of addresses, peers of entries; likewise
//	enforce NAME
//	service ADDR:PORT/PROTO [affinity=S] BACKEND:PORT…
//	config KEY=VALUE…                         before the first nic: overlay, port, masquerade4, masquerade6
//	send PROGRAM DEVICE[,mark=N][,iif=N] 'PACKET'   prints what became of it, then one line per event
package packet
