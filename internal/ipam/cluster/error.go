package cluster

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go4.org/netipx"
)

// HeldError says why a NIC cannot have the very address that it asks for.
type HeldError struct {
	Address netip.Addr
	Use     Use
}

// Error is like "address 10.0.0.5: it is held by pod shop/web-1 on node node-a".
func (e *HeldError) Error() string {
	var by []string
	for _, h := range e.Use.Holders {
		by = append(by, fmt.Sprintf("pod %s on node %s", h.Pod, h.Node))
	}
	reason := "it was given back a moment ago and rests"
	switch {
	case len(by) > 0 && e.Use.Owner != "":
		reason = fmt.Sprintf("it is held by %s, for %s", strings.Join(by, " and "), e.Use.Owner)
	case len(by) > 0:
		reason = "it is held by " + strings.Join(by, " and ")
	case e.Use.Owner != "":
		reason = "it is kept for " + e.Use.Owner
	}
	return fmt.Sprintf("address %s: %s", e.Address, reason)
}

// ExhaustedError says that nothing of a range can be given.
type ExhaustedError struct {
	From                []netipx.IPRange
	Held, Kept, Resting int
}

// Error is like "no free address in 10.0.0.1-10.0.0.14 (12 held, 1 kept for workloads without a pod, 1 resting)".
func (e *ExhaustedError) Error() string {
	var spans, parts []string
	for _, r := range e.From {
		text := r.String()
		if r.From() == r.To() {
			text = r.From().String()
		}
		spans = append(spans, text)
	}
	for _, p := range []struct {
		n    int
		what string
	}{{e.Held, "held"}, {e.Kept, "kept for workloads without a pod"}, {e.Resting, "resting"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return fmt.Sprintf("no free address in %s (%s)", strings.Join(spans, ", "), strings.Join(parts, ", "))
}

// Count adds what a block has of the range.
func (e *ExhaustedError) Count(b Block, now time.Time, rest time.Duration) {
	w := Want{From: e.From}
	for a, u := range b.Used {
		switch {
		case !w.within(a) || u.free(now, rest):
		case len(u.Holders) > 0:
			e.Held++
		case u.Owner != "":
			e.Kept++
		default:
			e.Resting++
		}
	}
}
