// Package cyclonus holds what Weftnet makes of NetworkPolicies against what cyclonus' matcher makes of them, packet by packet:
// for random policies, and for all of cyclonus' own conformance cases. Cyclonus (github.com/mattfenwick/cyclonus) was written
// by others, for testing network plugins.
//
// It is a module of its own because cyclonus would otherwise decide dependency versions of the programs:
//
//	go -C test/cyclonus test ./...
//
// Where cyclonus departs from the API, neither side is asked: see random_test.go.
package cyclonus
