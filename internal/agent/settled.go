package agent

import (
	"slices"

	"weftnet.io/weftnet/internal/state"
)

// Unsettled tells what is still on its way from the input tables into the kernel; empty: all that follows from the
// present facts is in place. Scripts wait for that, where a cluster waits for each fact's own status.
func (a *Agent) Unsettled() string {
	if stage := a.Stage(); stage != "" {
		return "the start, which waits for " + stage
	}
	s := a.DB.Snapshot()
	if what := a.behind(s); what != "" {
		return what
	}
	if a.DB.Snapshot() != s {
		return "what was written just now"
	}
	return ""
}

// behind tells what has not caught up with a snapshot, of loops with these names, or of all; empty: nothing.
func (a *Agent) behind(s *state.Snapshot, names ...string) string {
	a.mu.Lock()
	runners := a.runners
	a.mu.Unlock()
	for _, r := range runners {
		if r.Behind == nil || len(names) > 0 && !slices.Contains(names, r.Name) {
			continue
		}
		if what := r.Behind(s); what != "" {
			return what
		}
	}
	return ""
}
