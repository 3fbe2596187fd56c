// Package policy is `weft policy`: what policies do, said before and after they are applied.
//
//	weft policy check -f FILE…               what is wrong with policies in files
//	weft policy explain --from A --to B:80   whether A may talk with B, and which rule decides
//	weft policy effective NAMESPACE/NAME     who may reach it, and what it may reach
//	weft policy simulate -f NEW --current NOW --since 1h    what of recorded traffic NEW would deny or allow
//
// It decides nothing. explain and effective ask the agent of the node, or files; meanings are those of internal/language and internal/policy, which the agents enforce.
//
// Invariants: a command that reads files needs no cluster and no agent; `-` is standard input, a folder stands for all
// files below it that end in .yaml, .yml or .json; -o json prints a document that has all that the text says.
//
//	root.AddCommand(policy.Command(policy.Environment{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Get: get}))
package policy
