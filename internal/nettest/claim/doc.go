// Package claim has several agents claim addresses of one range at once, kills them at random, and looks whether any address was given twice.
//
// # The world it models
//
//	a runtime --orders--> agent 0, 1, 2: a process each, with table address-orders and what acts on it --HTTP--> API server
//	          <--grants--                                                                    (killed at random moments)
//
// An agent here is the part of one that gives addresses, as the agent assembles it (internal/agent/network): tables, the loop that has orders granted,
// and the one that gives back what none needs. A whole ADD takes a hundred times as long as a claim, so a machine that runs whole agents asks for few.
//
// A NIC is ordered; when its grant is answered it lives. Those that have lived longest are returned, so that addresses go round. A killed agent
// has written down which NICs live, as the journal has it; what was not answered is asked for no more, as a runtime does whose ADD failed.
//
// # Invariants
//
//   - An address that was answered belongs to its NIC until that is returned: an answer with it to any other is an error.
//   - An agent that begins anew gives NICs that live what they had.
//   - In the end the API server has the holders that live, and no others: what was cut short is given back.
//
// # Example
//
//	func main() { claim.Main(); … }
//
//	account, err := claim.Run(ctx, claim.Plan{Agents: 3, Lasts: 20 * time.Second, Life: time.Second, Rand: r, Dir: dir})
package claim
