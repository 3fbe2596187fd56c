package explain

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

// cell is what entries look at beside the peer: a protocol, and ports with the same leading bits.
type cell struct {
	protocol uint8
	port     uint16
	bits     uint8
}

func cellOf(e policy.Entry) cell { return cell{e.Protocol, e.Port, e.PortBits} }

func (c cell) last() uint16 { return c.port | uint16(0xffff>>c.bits) }

// inside tells whether a cell is a part of another one.
func (c cell) inside(d cell) bool {
	return c != d && (d.protocol == 0 || c.protocol == d.protocol && d.bits <= c.bits && d.port <= c.port && c.last() <= d.last())
}

// one is a packet of the cell that none of the cells inside it has; false: they have them all.
func (c cell) one(all []cell) (policy.Packet, bool) {
	if c.protocol == 0 {
		return policy.Packet{Protocol: 255}, true // no rule can name it
	}
	at := uint32(c.port)
	for again := true; again; {
		again = false
		for _, d := range all {
			if d.protocol == c.protocol && d.inside(c) && uint32(d.port) <= at && at <= uint32(d.last()) {
				at, again = uint32(d.last())+1, true
			}
		}
	}
	return policy.Packet{Protocol: c.protocol, Port: uint16(at)}, at <= uint32(c.last())
}

// flatten gives the entries of one direction and of the view in force that mean the same as all tiers, asked one after the
// other. They are read as people do: the peer's own that says most precisely which ports; if none speaks of them, that of
// any peer.
func flatten(entries []policy.Entry) (out []policy.Entry) {
	byPeer := map[identity.Number][]policy.Entry{}
	tiers := false
	for _, e := range entries {
		byPeer[e.Peer] = append(byPeer[e.Peer], e)
		tiers = tiers || e.Tier != policy.Normal
	}
	if !tiers {
		return entries
	}
	for peer, own := range byPeer {
		set := own
		if peer != 0 {
			set = slices.Concat(own, byPeer[0])
		}
		var cells []cell
		for _, e := range set {
			cells = append(cells, cellOf(e))
		}
		slices.SortFunc(cells, func(a, b cell) int {
			return slices.Compare([]int{int(a.protocol), int(a.bits), int(a.port)}, []int{int(b.protocol), int(b.bits), int(b.port)})
		})
		var kept []policy.Entry // of this peer, wide ones first
		for _, c := range slices.Compact(cells) {
			packet, there := c.one(cells)
			packet.Direction = own[0].Direction
			e, found := policy.LookupView(policy.InForce, set, nil, peer, netip.Addr{}, packet)
			around, _ := policy.LookupView(policy.InForce, byPeer[0], nil, 0, netip.Addr{}, packet)
			said := peer != 0 // by the entries of any peer, or by a wider one of its own
			for _, k := range kept {
				if c.inside(cellOf(k)) {
					around, said = k, true
				}
			}
			if !there || !found || said && e.Verdict == around.Verdict && slices.Equal(e.Rules, around.Rules) {
				continue
			}
			e.Peer, e.Protocol, e.Port, e.PortBits = peer, c.protocol, c.port, c.bits
			kept = append(kept, e)
		}
		out = append(out, kept...)
	}
	slices.SortFunc(out, policy.Entry.Compare)
	return out
}
