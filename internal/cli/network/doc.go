// Package network is weft net: what is known of further networks, which pods and virtual machines have beside the pod network.
//
// # The world it models
//
// check reads NetworkAttachmentDefinitions and what asks for them from files, and says what package lint/network finds.
//
// # Invariants
//
//   - What does not fit a command line is a mistake.Error; nothing was done then.
//   - The exit status tells a pipeline whether something is as bad as it wants to stop at.
//
// # Example
//
//	root.AddCommand(network.Command(network.Environment{In: os.Stdin, Out: os.Stdout}))
package network
