// Package control runs the control scripts: a whole agent, its CNI server included, without a kernel and without a
// cluster. Both are played by fakes that forget nothing when the agent restarts and let a tenth of all calls fail. Each
// *.txtar is a sentence about what follows from what.
//
// The node is n1 with 172.30.0.1 and fd30::1 on eth0. Beside the commands of package scripttest (apply, await, show,
// restart, fail) there are
//
//	add POD                  a CNI ADD for pod POD or NAMESPACE/POD, without waiting for its answer
//	added POD                waits for the answer and prints its addresses
//	del POD                  its CNI DEL
//	gone FILE                the objects of a file are deleted
//	api away|back            the API server is not reached; restart the agent meanwhile to have it start without
//	kernel TABLE             what the fake kernel holds of links, tunnels, routes, ipcache, frontends, nics or hooks, as soon
//	                         as nothing more follows from what the agent knows
package control
