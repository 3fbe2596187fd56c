// Package hubble holds what clients of Hubble's API read, of the oldest version that Weftnet answers and of the one that it is built with,
// against each other and against what was said.
//
// # The world it models
//
//	observer -- unix socket --> client (cilium v1.15.19) -> lines
//	relay ---- TCP -----------> client (cilium v1.20.2)  -> lines
//
// Both clients are command client (folder client, a module of its own), which prints each field that its version has. They are processes:
// the API's messages have the same names in every version, so one process can have one of them.
//
// # Invariants
//
//   - What both versions have, both print alike. What the older one does not have is an unknown field to it, never an error, and a number
//     of an enum that it does not know is that number.
//   - What is said has every field and every number of every enum that the newer version has.
package hubble
