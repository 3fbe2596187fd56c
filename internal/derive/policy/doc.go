// Package policy derives the policy sets of this node: what each kind of workload here may send and receive, as entries
// for the kernel.
//
// # The world it models
//
// Workloads with the same identity and the same named ports share a set. Internal package policy says what is in a set;
// this package says when to ask it again, and brings rows to it and back:
//
//	Workloads                      which sets there are, and of which workloads (PolicySet)
//	Policies                       rules; a changed object touches the sets whose labels one of its rules selects
//	Identities                     peers; one that comes or goes touches the sets with a rule that asks for its labels
//	Endpoints, Workloads           named ports of peers, for the sets with egress rules that name ports
//	Configs                        concern policy
//	PolicySets                     lists of rules behind entries (SetList) get numbers, which events carry (RuleList)
//	Policies, Settings             what people should know of their policies (Finding)
//
// # What a change costs
//
// What it touches, and nothing else. A set finds its rules by its labels in an index of Policies by what their subjects
// must have (package labelindex), and its peers by what its selectors ask for in one of Identities. Sets that have been
// computed are filed under what they depend on: a change asks there. Of a set that only peers touched, their entries are
// computed and put among the others.
//
// # Invariants
//
//   - What is remembered of a set spares work and says nothing new: Compute gives the same without it.
//   - A set is there as long as a workload is in it, whatever Policies hold: without rules it allows everything.
//   - A rule list's number depends on which lists there are, and on no order in which they came.
//
// # Example
//
//	workload shop/web (identity 4711, no named ports), policy shop/allow-api: ingress from app=api to 80
//	-> set (4711, ""): ingress any deny-implicit; ingress host allow; ingress 4712 tcp/80 allow by cnp shop/allow-api …
//	-> rule lists 2166136261: cnp shop/allow-api …
package policy

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Derivations keeps PolicySets, SetLists, RuleLists and Findings of a node.
func Derivations(t *table.Tables) []state.AnyDerivation {
	_, sets := newSets(t)
	return []state.AnyDerivation{sets, newSetLists(t), newLists(t), newFindings(t)}
}
