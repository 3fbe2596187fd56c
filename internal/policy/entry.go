package policy

import (
	"cmp"
	"fmt"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy/span"
)

// Direction of traffic as the workload sees it. The numbers are those of abi enum direction.
type Direction uint8

// Directions.
const (
	DirectionNone Direction = iota
	Ingress
	Egress
)

func (d Direction) String() string { return name("direction", uint8(d), "none", "ingress", "egress") }

// Verdict on a packet. The numbers are those of abi enum verdict.
type Verdict uint8

// Verdicts.
const (
	VerdictNone Verdict = iota
	Allow
	Deny         // a deny term matched
	DenyImplicit // isolated, and nothing allows
	Audit        // would be denied if what is audited were enforced; passes
	Redirect     // to a proxy
	Pass         // of entries only: the next tier decides
)

func (v Verdict) String() string {
	return name("verdict", uint8(v), "none", "allow", "deny", "deny-implicit", "audit", "redirect", "pass")
}

// Match says what an entry looks at. The numbers are those of abi enum match, which are Hubble's policy_match_type.
type Match uint8

// Matches.
const (
	MatchNone      Match = iota // nothing matched: the default
	MatchL3Only                 // peer
	MatchL3L4                   // peer, protocol and port
	MatchL4Only                 // protocol and port
	MatchAll                    // anything, by a rule that says so or for want of any rule
	MatchL3Proto                // peer and protocol
	MatchProtoOnly              // protocol
)

func (m Match) String() string {
	return name("match", uint8(m), "none", "l3-only", "l3-l4", "l4-only", "all", "l3-proto", "proto-only")
}

func name(kind string, n uint8, names ...string) string {
	if int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprintf("%s %d", kind, n)
}

// Denies tells whether packets with this verdict are dropped.
func (v Verdict) Denies() bool { return v == Deny || v == DenyImplicit }

// Precedences of entries inside a tier: the higher wins. The low byte is the kind of rule; above it is the rank of the
// term.
const (
	PrecedenceDefault uint32 = 0
	PrecedenceAllow   uint32 = 1
	PrecedenceDeny    uint32 = 255

	MaxRank = 1<<24 - 1
)

// Entry is one entry of the kernel's policy map, less the set that it belongs to.
type Entry struct {
	View       View
	Tier       Tier
	Direction  Direction
	Peer       identity.Number // 0: any peer
	Protocol   uint8           // IP protocol; 0: any
	Port       uint16          // ICMP: type<<8 | code
	PortBits   uint8           // leading bits of Port that count, 0 to 16; 0: all ports
	Verdict    Verdict
	Match      Match
	Precedence uint32
	Rules      []Origin // what made it, sorted and unique; empty: no rule did
}

// Compare orders entries by their key.
func (e Entry) Compare(f Entry) int {
	return cmp.Or(
		cmp.Compare(e.View, f.View), cmp.Compare(e.Tier, f.Tier), cmp.Compare(e.Direction, f.Direction), cmp.Compare(e.Peer, f.Peer), cmp.Compare(e.Protocol, f.Protocol),
		cmp.Compare(e.Port, f.Port), cmp.Compare(e.PortBits, f.PortBits),
	)
}

// String is e.g. "ingress 300 tcp/80-95 allow by cnp web/allow-db ingress[0]", with the view and the tier before it where
// they are not the usual ones.
func (e Entry) String() string {
	var text strings.Builder
	if e.View != InForce {
		fmt.Fprintf(&text, "%s ", e.View)
	}
	if e.Tier != Normal {
		fmt.Fprintf(&text, "%s ", e.Tier)
	}
	fmt.Fprintf(&text, "%s ", e.Direction)
	switch {
	case e.Peer == 0:
		text.WriteString("any")
	case e.Peer.Name() != "":
		text.WriteString(e.Peer.Name())
	default:
		fmt.Fprint(&text, e.Peer)
	}
	fmt.Fprintf(&text, " %s %s", e.span(), e.Verdict)
	for i, o := range e.Rules {
		text.WriteString([...]string{" by ", ", "}[min(i, 1)])
		text.WriteString(o.String())
	}
	return text.String()
}

// span is what the entry matches of (protocol, port).
func (e Entry) span() span.Prefix {
	return span.Prefix{Protocol: e.Protocol, Port: e.Port, Bits: e.PortBits}
}
