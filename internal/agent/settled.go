package agent

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// check tells what keeps a part from being done with a snapshot; empty: nothing.
type check func(s *state.Snapshot) string

func (a *Agent) checks(add ...check) []check {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parts = append(a.parts, add...)
	return a.parts
}

// Unsettled tells what is still on its way from the input tables into the kernel; empty: all that follows from the
// present facts is in place. Scripts wait for that, where a cluster waits for each fact's own status.
func (a *Agent) Unsettled() string {
	if stage := a.Stage(); stage != "" {
		return "the start, which waits for " + stage
	}
	s := a.DB.Snapshot()
	for _, c := range a.checks() {
		if what := c(s); what != "" {
			return what
		}
	}
	if a.DB.Snapshot() != s {
		return "what was written just now"
	}
	return ""
}

// derives is the check of a derivation.
func derives(d Derivation) check {
	return func(s *state.Snapshot) string {
		if d.CaughtUp(s) {
			return ""
		}
		return "a derivation"
	}
}

// realises is the check of a table that a loop follows.
func realises[R state.Row](t *state.Table[R]) check {
	return func(s *state.Snapshot) string {
		switch whole, ok := status.Statuses.One(s, status.KeyOf(t, "")); {
		case ok && whole.Err != "":
			return t.Name() + ": " + whole.Err
		case !ok || whole.Rev < t.LastRevision(s):
			return t.Name()
		}
		return ""
	}
}
