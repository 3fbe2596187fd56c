// Package cli is the program weft: what a person asks a node.
//
//	weft observe   flows, from Hubble's API           (flags of `hubble observe`)
//	weft status    how the agent is, and what of the configuration is in force
//	weft table     the agent's state, table by table
//	weft policy    what policies do, and what is wrong with them   (package policy below)
//	weft service   which services there are, beside what the kernel has of them   (package service below)
//	weft lab       a cluster on this machine          (runs weft-lab)
//	weft uninstall takes Weftnet off this node        (package install)
//
// Where no agent runs, or a flag says so, status, table, policy and service ask each agent of a cluster, and observe its relay, by a
// kubeconfig (package remote below).
//
// It decides nothing: it asks the agent on its unix sockets, prints, and turns the answer into an exit status. 0: all
// is well. 1: the answer is that something is not well, or there was no answer; a sentence on standard error says
// what, on which object, and what to do. 2: the command line makes no sense.
//
// Filter flags follow Hubble, also where that surprises: a flag for either side (--pod) together with another one
// (--port) asks for flows from that pod and port, or to that pod and port; --not negates the one filter after it.
//
//	os.Exit(cli.Run(context.Background(), cli.System(), os.Args[1:]))
package cli
