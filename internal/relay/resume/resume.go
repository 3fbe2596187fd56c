// Package resume has an agent that is asked again give what came since, all of it and once.
//
// # The world it models
//
//	agent --flows--> Place.Note --> is it new?
//	  x  it ends, or goes away
//	agent <--since Place.Again-- --flows--> Place.Note --> those that it gave before are known
//
// An agent's flows have times that rise, but not strictly: programs of several CPUs write side by side, and an agent that begins anew measures
// anew how far the kernel's clock is from the wall's. So it is asked from a little before the latest flow on.
//
// # Invariants
//
//   - A flow that is no older than Disorder before the latest is given, though younger ones came before it. None is given twice that has a UUID.
//   - What is remembered is what may come once more, and as much again.
//
// # Example
//
//	if place.Note(frame) { … }
//	request.Since = timestamppb.New(place.Again(true))
package resume

import (
	"slices"
	"strings"
	"time"

	relaypb "github.com/cilium/cilium/api/v1/relay"

	"weftnet.io/weftnet/internal/relay/frame"
)

// Disorder is by how much a flow of an agent may be older than one before it.
const Disorder = 50 * time.Millisecond

// Place is how far an agent has given its flows. The zero Place: it has given none.
type Place struct {
	Latest time.Time // of all, or since when there are any

	recent []*frame.Frame  // since Disorder before that, and some more
	much   int             // so many are looked through for those that are not needed any more
	known  map[string]bool // flows that may come once more, by UUID; nil: none
	until  time.Time       // none of them is younger
}

// Note remembers what an agent gave, and tells whether it is new.
func (p *Place) Note(f *frame.Frame) bool {
	if f.Kind() != frame.Flow {
		return true
	}
	at := f.Time()
	switch {
	case p.known == nil:
	case at.After(p.until.Add(Disorder)):
		p.known = nil
	case p.known[f.UUID()]:
		return false
	}
	if at.After(p.Latest) {
		p.Latest = at
	}
	oldest := p.Latest.Add(-Disorder)
	if at.Before(oldest) {
		return true // it is not asked for again
	}
	if len(p.recent) >= p.much {
		p.recent = slices.DeleteFunc(p.recent, func(f *frame.Frame) bool { return f.Time().Before(oldest) })
		p.much = max(few, 2*len(p.recent))
	}
	p.recent = append(p.recent, f)
	return true
}

const few = 64

// Again is since when an agent that is asked again is asked for flows. named: they have UUIDs, so those that come once more are known.
func (p *Place) Again(named bool) time.Time {
	if !named {
		return p.Latest
	}
	p.until, p.known = p.Latest, map[string]bool{}
	for _, f := range p.recent {
		if uuid := f.UUID(); uuid != "" {
			p.known[uuid] = true
		}
	}
	return p.Latest.Add(-Disorder)
}

// Words by which a NodeStatusEvent says which flows may be missing.
const (
	before = "; its flows since "
	after  = " may be missing"
)

// Missing is what to add to the message of the event that says that an agent has ended, of which the latest flow that was given is known.
func Missing(latest time.Time) string {
	return before + latest.Add(-Disorder).UTC().Format(time.RFC3339Nano) + after
}

// MissingSince is since when flows of the nodes may be missing that an event is about: until the event's own time. What an agent has read and
// not passed on is lost with it, and what it has not read its successor tells.
func MissingSince(e *relaypb.NodeStatusEvent) (since time.Time, told bool) {
	_, rest, _ := strings.Cut(e.GetMessage(), before)
	text, _, told := strings.Cut(rest, after)
	since, err := time.Parse(time.RFC3339Nano, text)
	return since, told && err == nil
}
