// Package condition says what becomes of objects: their conditions Valid and Enforced, by the same computation as the findings of
// agents and `weft policy check`.
//
// # The world it models
//
// A policy is judged by its text and by Facts: the configuration, and the services and groups of prefixes that it names. When
// those change, the conditions may be others.
//
// # Invariants
//
//   - Each reason that a gap can have is one that the condition can have; of several, the one that weighs most.
//   - Nothing is said on facts that could not be read.
//
// # Example
//
//	w, done, err := facts.World(ctx)
//	v, err := condition.Of("CiliumNetworkPolicy", policy, w)
//	conditions := v.Conditions(policy.Generation) // Enforced False NotEnabled: spec.nodeSelector: rules for nodes do nothing …
package condition

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/policy/gap"
)

// ConditionEnforced is the condition type that tells whether all of an object is in force. Its message names what is not.
const ConditionEnforced = "Enforced"

// Assessment is what there is to say about an object.
type Assessment struct {
	Reason   gap.Reason // the one that weighs most; empty: all of it is enforced
	Problems []string   // each names its field; of an invalid object why it is invalid, else what is not enforced
	Traps    []string   // what is enforced and does not do what it seems to
}

// Lacking is the assessment of a kind of which nothing is enforced.
func Lacking(problem string) Assessment {
	return Assessment{Reason: gap.NotImplemented, Problems: []string{problem}}
}

// Of is the assessment of a policy in the words of `weft policy check` and of the webhook: with what was probably meant, and
// how to write it.
func Of(kind string, object any, w gap.World) (v Assessment, err error) {
	findings, err := lint.Object(kind, object, lint.Options{World: &w})
	if err != nil {
		return v, err
	}
	weighs := func(r gap.Reason) int { return slices.Index(gap.Reasons, r) }
	for _, f := range findings {
		reason := f.Reason
		if f.Severity == lint.Error {
			reason = gap.Invalid
		}
		switch {
		case reason != "" && reason != gap.Ignored:
			v.Problems = append(v.Problems, f.Sentence())
			if v.Reason == "" || weighs(reason) < weighs(v.Reason) {
				v.Reason = reason
			}
		case f.Severity == lint.Warning:
			v.Traps = append(v.Traps, f.Sentence())
		}
	}
	return v, nil
}

// Conditions puts an assessment into words, for the generation of the object that it is about.
func (v Assessment) Conditions(generation int64) []metav1.Condition {
	all := Limit(strings.Join(v.Problems, "; "), 32<<10)
	valid := metav1.Condition{Type: v2.ConditionValid, Status: metav1.ConditionTrue, Reason: "WellFormed", Message: "well formed"}
	enforced := metav1.Condition{Type: ConditionEnforced, Status: metav1.ConditionTrue, Reason: "Enforced", Message: "all of it is enforced"}
	switch {
	case v.Reason == gap.Invalid:
		valid.Status, valid.Reason, valid.Message = metav1.ConditionFalse, "Invalid", all
		enforced.Status, enforced.Reason, enforced.Message = metav1.ConditionFalse, "Invalid", "nothing of it is enforced, because it is invalid"
	case len(v.Problems) > 0:
		valid.Message = Limit("well formed, but not all of it is enforced: "+all, 32<<10)
		enforced.Status, enforced.Reason, enforced.Message = metav1.ConditionFalse, string(v.Reason), all
	}
	if v.Reason != gap.Invalid && len(v.Traps) > 0 {
		valid.Message = Limit(valid.Message+"; but "+strings.Join(v.Traps, "; "), 32<<10)
	}
	valid.ObservedGeneration, enforced.ObservedGeneration = generation, generation
	return []metav1.Condition{valid, enforced}
}

// Limit cuts a text to a size in bytes.
func Limit(text string, size int) string {
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:size-3], "") + "..."
}
