package ipam

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// ExhaustedError says that a pool has no address to give.
type ExhaustedError struct {
	Prefixes []netip.Prefix
	InUse    int // held in these prefixes or reserved
	Resting  int // given back, to be had again in a while
}

// Error is like "no free IPv4 address in 10.244.1.0/24 (254 in use)". The network and the broadcast address are no
// addresses and not counted; the node's own is.
func (e *ExhaustedError) Error() string {
	if len(e.Prefixes) == 0 {
		return "no free address: the node has no prefix of that family"
	}
	family := "IPv4"
	if e.Prefixes[0].Addr().Is6() {
		family = "IPv6"
	}
	state := fmt.Sprintf("%d in use", e.InUse)
	if e.Resting > 0 {
		state += fmt.Sprintf(", %d resting", e.Resting)
	}
	return fmt.Sprintf("no free %s address in %s (%s)", family, join(e.Prefixes), state)
}

// ClaimError says why an owner cannot have the very address it asks for.
type ClaimError struct {
	Address netip.Addr
	Reason  string
	Later   bool // it can have it later
}

func (e *ClaimError) Error() string { return fmt.Sprintf("address %s: %s", e.Address, e.Reason) }

func (p *Pool) exhausted(now time.Time, of []netip.Prefix) error {
	e := &ExhaustedError{}
	for _, x := range p.prefixes {
		if !x.among(of) {
			continue
		}
		if e.Prefixes = append(e.Prefixes, x.Prefix); x.reserved > 0 {
			e.InUse++ // the node's own
		}
	}
	for a := range p.owners {
		if x := p.within(a); x != nil && x.among(of) {
			e.InUse++
		}
	}
	for el := p.queue.Front(); el != nil; el = el.Next() {
		if r := el.Value.(returned); now.Sub(r.at) < p.rest {
			if x := p.within(r.addr); x == nil || !x.among(of) {
				continue
			}
			e.Resting++
		}
	}
	return e
}

func (p *Pool) text() string { return join(p.Prefixes()) }

func join(prefixes []netip.Prefix) string {
	text := make([]string, len(prefixes))
	for i, x := range prefixes {
		text[i] = x.String()
	}
	return strings.Join(text, ", ")
}
