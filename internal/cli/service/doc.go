// Package service is `weft service`: which services there are, what became of one, and what happens to a packet that calls one.
//
//	weft service list                 frontends, with their backends
//	weft service show NAMESPACE/NAME  a service, beside what the kernel has of it; or ADDRESS:PORT, for what has that
//	weft service trace POD ADDR:PORT  what happens to a packet that calls it
//
// It decides nothing: it asks the agent of the node (package internal/explain/service there), prints, and fails if the answer has a
// fault: tables and kernel do not agree.
//
// Invariants: -o json and -o yaml print a document that has all that the text says; text of thousands of frontends is one line
// for each.
//
//	root.AddCommand(service.Command(service.Environment{Out: os.Stdout, Get: get}))
package service
