package netobject

import (
	"fmt"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table/overlay"
)

type (
	// OverlayNetwork is a network that the tunnel between nodes carries.
	OverlayNetwork = v1alpha1.OverlayNetwork
	// Overlay is a row of Overlays.
	Overlay = overlay.Network
)

// OverlayResource is the resource of OverlayNetworks.
const OverlayResource = v1alpha1.OverlayNetworkResource

// Overlays has the overlay networks of the cluster.
var Overlays = overlay.Networks

// OverlayRow reads an OverlayNetwork into its row.
func OverlayRow(o *OverlayNetwork) (Overlay, bool) {
	row := Overlay{Name: o.Name, MTU: int(o.Spec.MTU), Leaving: o.DeletionTimestamp != nil}
	if n := o.Status.Number; n > 0 && n <= overlay.Last {
		row.Number = uint32(n)
	}
	subnets, gaps := subnetsOf(o)
	row.Subnets, row.Lacks = subnets, gap.Text(gaps)
	return row, true
}

// OverlayGaps says what keeps pods from having NICs in an OverlayNetwork.
func OverlayGaps(o *OverlayNetwork, w gap.World) []gap.Gap {
	_, gaps := subnetsOf(o)
	if !overlay.Possible(w.Config.ClusterID) {
		gaps = append(gaps, gap.Gap{Reason: gap.NotEnabled, Message: noOverlays})
	}
	return gaps
}

const noOverlays = "cluster-id is 255, whose identities are what the tunnel says of overlay networks: there are none in such a cluster; give it another number"

// subnetsOf reads the subnets of a network, IPv4 first.
func subnetsOf(o *OverlayNetwork) (list []netip.Prefix, gaps []gap.Gap) {
	for i, text := range o.Spec.Subnets {
		reject := func(because string, args ...any) {
			gaps = append(gaps, gap.Gap{Reason: gap.Invalid, Field: fmt.Sprintf("spec.subnets[%d]", i), Message: fmt.Sprintf(because, args...)})
		}
		p, err := netip.ParsePrefix(text)
		a := p.Addr()
		switch {
		case err != nil:
			reject("%q is no subnet, such as 10.66.0.0/24", text)
		case p != p.Masked():
			reject("%s is an address in %s: write the subnet itself", text, p.Masked())
		case a.Is4In6() || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified():
			reject("%s has addresses that no NIC can have", p)
		case p.Bits() > a.BitLen()-2:
			reject("%s has no room for two NICs", p)
		case slices.ContainsFunc(list, func(other netip.Prefix) bool { return other.Addr().Is4() == a.Is4() }):
			reject("%s is the second of its family, and a NIC has one address of each", p)
		default:
			list = append(list, p)
		}
	}
	if len(o.Spec.Subnets) == 0 {
		gaps = append(gaps, gap.Gap{Reason: gap.Invalid, Field: "spec.subnets", Message: "there is none, so no NIC has an address"})
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return list, gaps
}
