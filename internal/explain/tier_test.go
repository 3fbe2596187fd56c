package explain

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

func TestFlatEntriesMeanTheSameAsTiersOneAfterTheOther(t *testing.T) {
	peers := map[identity.Number]identity.Labels{300: webLabels, 301: dbLabels}
	subject := policy.Subject{Labels: webLabels}
	term := rapid.Custom(func(t *rapid.T) policy.Term {
		one := policy.Term{
			Action: policy.Action(rapid.IntRange(0, 2).Draw(t, "action")),
			Rank:   uint32(rapid.IntRange(0, 2).Draw(t, "rank")), AnyPeer: rapid.Bool().Draw(t, "any"),
			Peers: []identity.Selector{selector(rapid.SampledFrom([]string{"web", "db"}).Draw(t, "peer"))},
			Ports: []policy.Port{policy.AnyPort},
		}
		if rapid.Bool().Draw(t, "ports") {
			first := uint16(rapid.IntRange(1, 12).Draw(t, "first"))
			one.Ports = []policy.Port{{Protocol: rapid.SampledFrom([]uint8{policy.TCP, policy.UDP}).Draw(t, "protocol"), First: first, Last: first + uint16(rapid.IntRange(0, 9).Draw(t, "more"))}}
		}
		return one
	})
	rule := rapid.Custom(func(t *rapid.T) policy.Rule {
		r := policy.Rule{
			Origin: policy.Origin{Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")}, Subject: selector("web"),
			Tier: policy.Tier(rapid.IntRange(0, 2).Draw(t, "tier")), Ingress: rapid.SliceOfN(term, 1, 3).Draw(t, "terms"),
		}
		if r.Tier == policy.Normal {
			r.DefaultDenyIngress = rapid.Bool().Draw(t, "isolates")
			for i := range r.Ingress {
				r.Ingress[i].Rank, r.Ingress[i].Action = 0, r.Ingress[i].Action%policy.ActionPass
			}
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		each := func(yield func(identity.Number, identity.Labels) bool) {
			for n, l := range peers {
				if !yield(n, l) {
					return
				}
			}
		}
		entries := policy.Compile(rapid.SliceOfN(rule, 0, 5).Draw(t, "rules"), subject, policy.Options{HostByPolicy: true}).Entries(each)
		entries = slices.DeleteFunc(entries, func(e policy.Entry) bool { return e.Direction != policy.Ingress })
		if !slices.ContainsFunc(entries, func(e policy.Entry) bool { return e.Tier != policy.Normal }) {
			return // of one tier they are shown as they are
		}
		flat := flatten(entries)
		for peer := range peers {
			for _, protocol := range []uint8{policy.TCP, policy.UDP, policy.SCTP} {
				for port := range uint16(24) {
					packet := policy.Packet{Direction: policy.Ingress, Protocol: protocol, Port: port}
					want, _ := policy.LookupView(policy.InForce, entries, nil, peer, netip.Addr{}, packet)
					have := nearest(flat, peer, packet)
					if have.Verdict != want.Verdict {
						t.Fatalf("%d %v: %s, want %s of\n%v\nflat %v", peer, packet, have.Verdict, want.Verdict, entries, flat)
					}
				}
			}
		}
	})
}

// nearest reads flat entries as people do.
func nearest(flat []policy.Entry, peer identity.Number, packet policy.Packet) (found policy.Entry) {
	for _, who := range []identity.Number{peer, 0} {
		precise := -1
		for _, e := range flat {
			covers := e.Protocol == 0 || e.Protocol == packet.Protocol && e.Port <= packet.Port && packet.Port <= cellOf(e).last()
			score := int(e.PortBits) + map[bool]int{true: 8}[e.Protocol != 0]
			if covers && e.Peer == who && score > precise {
				precise, found = score, e
			}
		}
		if precise >= 0 {
			break
		}
	}
	return found
}
