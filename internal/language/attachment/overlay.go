package attachment

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table/overlay"
)

// Overlay is the name of the overlay network that a definition's NICs are in; empty: they are in none.
func (d *Definition) Overlay() string {
	if p := d.Main(); p != nil && p.Type == OwnType {
		return p.Network
	}
	return ""
}

// In is a definition with the ranges that it gives addresses of in its overlay network: all of that, or the parts that it names itself.
func (d *Definition) In(n overlay.Network) (Definition, []gap.Gap) {
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
func Within(n overlay.Network, addresses []netip.Prefix) (gaps []gap.Gap) {
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
