package static

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/policy/gap"
)

// Config is what a configuration of type static says.
type Config struct {
	Addresses []address.Address // those with the address of a subnet too
	Routes    []address.Route
	DNS       address.DNS
}

// Text is how a configuration lists an address.
type Text struct {
	Address string `json:"address"`
	Gateway string `json:"gateway"`
}

// Parse reads the configuration of the plugin that makes the NIC.
func Parse(config []byte) (Config, []gap.Gap) {
	var r address.Reader
	var whole struct {
		IPAM struct {
			Addresses []Text              `json:"addresses"`
			Routes    []address.RouteText `json:"routes"`
			DNS       address.DNS         `json:"dns"`
		} `json:"ipam"`
	}
	if err := json.Unmarshal(config, &whole); err != nil {
		r.Reject("ipam", "it cannot be read: %v", err)
		return Config{}, r.Gaps
	}
	c := Config{Addresses: List(&r, "ipam.addresses", whole.IPAM.Addresses), Routes: r.Routes("ipam.routes", whole.IPAM.Routes), DNS: whole.IPAM.DNS}
	return c, r.Gaps
}

// List reads addresses of a field.
func List(r *address.Reader, field string, texts []Text) (out []address.Address) {
	for i, text := range texts {
		at := fmt.Sprintf("%s[%d]", field, i)
		p, err := address.ParsePrefix(text.Address)
		if err != nil {
			r.Reject(at+".address", "%q is no address with the length of its subnet, such as 192.168.100.10/24", text.Address)
			continue
		}
		a := address.Address{Prefix: p, Gateway: r.Address(at+".gateway", text.Gateway)}
		if a.Gateway.IsValid() && !p.Contains(a.Gateway) {
			r.Ignore(at+".gateway", "%s is not in %s, so the NIC reaches it only if a route says how", a.Gateway, p.Masked())
		}
		out = append(out, a)
	}
	return out
}

// Grant is what a NIC gets whose pod asks for these addresses. With a gap of reason Invalid it gets nothing.
func (c Config) Grant(asked []netip.Prefix) (address.Grant, []gap.Gap) {
	var r address.Reader
	g := address.Grant{Routes: slices.Clone(c.Routes), DNS: c.DNS}
	switch {
	case len(asked) > 0:
		g.Addresses = Asked(&r, c.Addresses, asked)
	case len(c.Addresses) == 0:
		r.Reject("ipam.addresses", "the list is empty, and the pod asks for no address: give it some by ips in its networks annotation")
	}
	for i, a := range c.Addresses {
		if len(asked) > 0 {
			break
		}
		field := fmt.Sprintf("ipam.addresses[%d].address", i)
		switch what := special(a.Prefix); {
		case what == "":
			g.Addresses = append(g.Addresses, a)
		default:
			r.Reject(field, "%s is %s of its subnet, and no NIC's: ask for one by ips in the pod's networks annotation, such as %q",
				a.Prefix, what, example(a))
		}
	}
	if len(address.Invalid(r.Gaps)) > 0 {
		return address.Grant{}, r.Gaps
	}
	g.Complete()
	return g, r.Gaps
}

// Asked completes addresses that a pod asks for by what is listed of their subnets. Fields are ips[0] and on.
func Asked(r *address.Reader, listed []address.Address, asked []netip.Prefix) (out []address.Address) {
	for i, p := range asked {
		field := fmt.Sprintf("ips[%d]", i)
		a := address.Address{Prefix: netip.PrefixFrom(p.Addr().Unmap(), p.Bits())}
		for _, l := range listed {
			if !l.Prefix.Contains(a.Prefix.Addr()) {
				continue
			}
			if a.Prefix.IsSingleIP() {
				a.Prefix = netip.PrefixFrom(a.Prefix.Addr(), l.Prefix.Bits())
			}
			if l.Gateway.IsValid() {
				a.Gateway = l.Gateway
				break
			}
		}
		switch what := special(a.Prefix); {
		case what != "":
			r.Reject(field, "%s is %s of its subnet, and no NIC's: ask for another, such as %s", a.Prefix, what, example(a))
		case a.Gateway == a.Prefix.Addr():
			r.Reject(field, "%s is the gateway of its subnet: ask for another", a.Prefix.Addr())
		case a.Prefix.IsSingleIP() && len(listed) > 0:
			r.Reject(field, "%s is in none of the network's subnets, so it needs a length of its own, such as %s/24", a.Prefix.Addr(), a.Prefix.Addr())
		case slices.ContainsFunc(out, func(b address.Address) bool { return b.Prefix.Addr() == a.Prefix.Addr() }):
			r.Reject(field, "%s stands here twice", a.Prefix.Addr())
		default:
			out = append(out, a)
		}
	}
	return out
}

// special says what an address is that no NIC may have; empty: it may.
func special(p netip.Prefix) string {
	if p.Addr().BitLen()-p.Bits() < 2 {
		return "" // RFC 3021, RFC 6164
	}
	switch {
	case p.Addr() == p.Masked().Addr():
		return "the address"
	case p.Addr().Is4() && p.Addr() == netipx.PrefixLastIP(p):
		return "the broadcast address"
	}
	return ""
}

// example is an address that a NIC of the subnet might have.
func example(a address.Address) string {
	x := a.Prefix.Masked().Addr().Next()
	for range 9 {
		if next := x.Next(); a.Prefix.Contains(next.Next()) {
			x = next
		}
	}
	if x == a.Gateway {
		x = x.Prev()
	}
	return netip.PrefixFrom(x, a.Prefix.Bits()).String()
}
