// Package lack says why an attachment does not work yet, to a person who waits for a pod.
//
//	stage, advice := lack.Of(db.Snapshot(), tables, attachment)
package lack

import (
	"cmp"
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Of tells which of its needs an attachment that does not work lacks, and what to do about it: a fact, else a row that
// a sink could not put in place, else one that is on its way.
func Of(r *state.Snapshot, t *table.Tables, a table.Attachment) (stage, advice string) {
	needs := slices.Collect(t.Needs.Prefix(r, t.Attachments.Key(a)))
	for _, n := range needs {
		if n.Lacks != "" {
			return n.Lacks, n.Advice
		}
	}
	for _, n := range needs {
		if st, ok := status.Statuses.One(r, n.Status()); ok && st.Err != "" {
			return fmt.Sprintf("%s: %s (attempt %d)", n.What, st.Err, st.Attempts), cmp.Or(n.Advice, "the agent keeps trying")
		}
	}
	for _, n := range needs {
		if st, ok := status.Statuses.One(r, n.Status()); n.Key == "" || !ok || !st.Done {
			return n.What + ": not done yet", cmp.Or(n.Advice, "weft status tells what the agent is busy with")
		}
	}
	return "the agent has not come to it yet", "weft status tells what the agent is busy with"
}
