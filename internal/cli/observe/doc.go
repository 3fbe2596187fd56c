// Package observe is weft observe, and what Hubble's client has beside it: flows, agent events, and the state of who serves them.
//
//	weft observe [flows]        GetFlows of an agent, a relay, or a file that an exporter or -o json wrote
//	weft observe agent-events   GetAgentEvents
//	weft observe debug-events   GetDebugEvents
//	hubble observe …            the same, if the program is called hubble
//	hubble status, list nodes, list namespaces, watch peers, version
//
// Flags, defaults and outputs are those of `hubble`; docs/compatibility.md says what is added. A file is filtered here, by the same
// compiled filters as an agent's.
//
// Invariant: what a flag says is in the request, in the order in which flags are said, or the command line is refused: nothing is
// ever shown that was filtered out, whatever the server.
//
//	root.AddCommand(observe.Command(env))
package observe
