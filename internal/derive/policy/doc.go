// Package policy derives the policy sets of this node: what each kind of workload here may send and receive, as entries
// for the kernel.
//
// # The world it models
//
// Workloads with the same identity and the same named ports share a set. The engine, internal/policy, says what is in a set;
// this package says when to ask it again, gives it rows, and makes rows of its answers:
//
//	Workloads                      which sets there are, and of which workloads (PolicySet)
//	Policies                       rules; a changed object touches the sets whose labels one of its rules selects
//	Identities                     peers; one that comes or goes touches the sets with a rule that asks for its labels
//	Endpoints, Workloads           named ports of peers, for the sets with egress rules that name ports
//	CIDRGroups, Services,          what rules refer to by name or by labels: the sets with such a rule
//	EndpointSlices, Nodes
//	Configs, Namespaces            concern policy; audited namespaces
//	PolicySets                     lists of rules behind entries (SetList) get numbers, which events carry (RuleList)
//	Policies, Configs, and what    what people should know of their policies (Finding)
//	policies refer to
//
// # What a change costs
//
// What it touches, and nothing else. A set finds its rules in an index of Policies by the labels that their subjects must have
// (package labelindex), and its peers in an index of Identities by the labels that its selectors ask for. Sets that have been
// computed are filed under what they depend on, and a change finds them there. If a change touched only peers of a set, the
// entries of these peers alone are computed, and merged with the others.
//
// # Invariants
//
//   - What is remembered of a set only spares work: Compute gives the same without it.
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
