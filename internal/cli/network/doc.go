// Package network is weft net: what is known of further networks, which pods and virtual machines have beside the pod network.
//
// # The world it models
//
// list and show ask the agent of the node which NICs its pods have, and which they ask for and have not (package explain/network there).
// check reads NetworkAttachmentDefinitions and what asks for them from files, and says what package lint/network finds.
//
// # Invariants
//
//   - What does not fit a command line is a mistake.Error; nothing was done then.
//   - The exit status tells a pipeline whether something is as bad as it wants to stop at.
//
// # Example
//
//	root.AddCommand(network.Command(network.Environment{In: os.Stdin, Out: os.Stdout, Get: get}))
package network
