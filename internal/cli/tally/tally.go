// Package tally counts in words.
//
//	tally.Of(1, "policy", "policies")            1 policy
//	tally.Findings(list, "2 policies")           1 error, 2 hints about 2 policies
//
// Invariant: nothing is counted as nothing: without findings there is nothing to say.
package tally

import (
	"fmt"
	"strings"

	"weftnet.io/weftnet/internal/lint"
)

// Of is a number of things.
func Of(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Findings says how many there are of each severity, and about what.
func Findings(list []lint.Finding, about string) string {
	counts := map[lint.Severity]int{}
	for _, f := range list {
		counts[f.Severity]++
	}
	var parts []string
	for _, s := range lint.Severities {
		if counts[s] > 0 {
			parts = append(parts, Of(counts[s], string(s), string(s)+"s"))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing to say"}
	}
	return strings.Join(parts, ", ") + " about " + about
}
