package attachment

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings"
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
	if !Overlaid(w.Config) {
		gaps = append(gaps, gap.Gap{Reason: gap.NotEnabled, Message: noOverlays})
	}
	return gaps
}

// Overlaid tells whether a cluster can have overlay networks: their numbers in the tunnel are the identities of cluster 255.
func Overlaid(c settings.Config) bool { return c.ClusterID != 255 }

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

// Overlay is the name of the overlay network that a definition's NICs are in; empty: they are in none.
func (d *Definition) Overlay() string {
	if p := d.Main(); p != nil && p.Type == OwnType {
		return p.Network
	}
	return ""
}

// In is a definition with the ranges that it gives addresses of in its overlay network: all of that, or the parts that it names itself.
func (d *Definition) In(n Overlay) (Definition, []gap.Gap) {
	if !d.Granted() {
		return *d, nil
	}
	out := *d
	out.Plugins = append([]Plugin{}, d.Plugins...)
	p := &out.Plugins[0]
	conf, ipam := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(p.Raw, &conf) // Define has read it
	_ = json.Unmarshal(conf["ipam"], &ipam)
	if whereabouts.Rangeless(p.Raw) {
		list := make([]map[string]string, len(n.Subnets))
		for i, subnet := range n.Subnets {
			list[i] = map[string]string{"range": subnet.String()}
		}
		set(ipam, "ipRanges", list)
	}
	set(ipam, "type", ClusterIPAM)
	set(ipam, "network_name", "overlay/"+n.Name)
	set(conf, "ipam", ipam)
	p.IPAM.Type, p.Raw = ClusterIPAM, encode(conf)
	r, gaps := whereabouts.Parse(p.Raw, nil)
	gaps = address.Invalid(gaps)
	for _, one := range r.Of {
		if n.SubnetOf(one.Subnet.Addr()).Bits() > one.Subnet.Bits() || !n.SubnetOf(one.Subnet.Addr()).IsValid() {
			gaps = append(gaps, gap.Gap{Reason: gap.Invalid, Field: "ipam.range", Message: fmt.Sprintf("%s lies in no subnet of %s (%s)", one.Subnet, n.Title(), prefixes(n.Subnets))})
		}
	}
	return out, gaps
}

// Within says what keeps a NIC with these addresses from being in an overlay network.
func Within(n Overlay, addresses []netip.Prefix) (gaps []gap.Gap) {
	reject := func(because string, args ...any) {
		gaps = append(gaps, gap.Gap{Reason: gap.Invalid, Field: "ips", Message: fmt.Sprintf(because, args...)})
	}
	var seen [2]netip.Addr
	for _, p := range addresses {
		a, family := p.Addr(), 0
		if a.Is6() {
			family = 1
		}
		subnet := n.SubnetOf(a)
		switch {
		case !subnet.IsValid():
			reject("%s lies in no subnet of %s (%s)", a, n.Title(), prefixes(n.Subnets))
		case a == subnet.Addr():
			reject("%s is the subnet's own address, which no NIC can have", a)
		case a.Is4() && !subnet.Contains(a.Next()):
			reject("%s is the subnet's broadcast address, which no NIC can have", a)
		case seen[family].IsValid():
			reject("%s and %s are of one family, and a NIC there has one address of each", seen[family], a)
		}
		seen[family] = a
	}
	return gaps
}

func prefixes(list []netip.Prefix) string { return strings.Join(texts(list), ", ") }
