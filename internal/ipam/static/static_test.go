package static

import (
	"net/netip"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/policy/gap"
)

// TestWhatANICGets reads as the rules do: a configuration, what the pod asks for, what its NIC gets or why it gets nothing.
func TestWhatANICGets(t *testing.T) {
	const management = `{"addresses": [{"address": "192.168.100.0/24", "gateway": "192.168.100.1"}]}`
	for _, test := range []struct{ name, ipam, asks, want string }{
		{"a list is given as it stands", `{"addresses": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}]}`, "", "10.1.0.5/16 via 10.1.0.1, fd00::5/64"},
		{"what the pod asks for corrects the address of a subnet", management, "192.168.100.10/24", "192.168.100.10/24 via 192.168.100.1"},
		{"the length is that of the subnet", management, "192.168.100.10", "192.168.100.10/24 via 192.168.100.1"},
		{
			"the address of a subnet is no NIC's", management, "",
			`ipam.addresses[0].address: 192.168.100.0/24 is the address of its subnet, and no NIC's: ask for one by ips in the pod's networks annotation, such as "192.168.100.10/24"`,
		},
		{
			"nor is it when the pod asks for it", management, "192.168.100.0/24",
			"ips[0]: 192.168.100.0/24 is the address of its subnet, and no NIC's: ask for another, such as 192.168.100.10/24",
		},
		{"nor is the broadcast address", management, "192.168.100.255/24", "ips[0]: 192.168.100.255/24 is the broadcast address of its subnet, and no NIC's: ask for another, such as 192.168.100.10/24"},
		{"nor the gateway", management, "192.168.100.1", "ips[0]: 192.168.100.1 is the gateway of its subnet: ask for another"},
		{"an empty list needs a pod that asks", `{}`, "", "ipam.addresses: the list is empty, and the pod asks for no address: give it some by ips in its networks annotation"},
		{"an empty list takes what the pod asks for", `{}`, "10.0.50.7/24", "10.0.50.7/24"},
		{"an address of another subnet needs a length", management, "10.0.0.7", "ips[0]: 10.0.0.7 is in none of the network's subnets, so it needs a length of its own, such as 10.0.0.7/24"},
		{"an address of another subnet has no gateway", management, "10.0.0.7/8", "10.0.0.7/8"},
		{"twice is once too often", management, "192.168.100.10,192.168.100.10/24", "ips[1]: 192.168.100.10 stands here twice"},
		{"a gateway makes no default route", `{"addresses": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"}], "routes": [{"dst": "10.9.0.0/16"}]}`, "", "10.0.0.2/24 via 10.0.0.1; route 10.9.0.0/16 via 10.0.0.1"},
		{"a default route is one that is asked for", `{"addresses": [{"address": "10.0.0.2/24"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.254"}]}`, "", "10.0.0.2/24; route 0.0.0.0/0 via 10.0.0.254"},
		{"no subnet, no address", `{"addresses": [{"address": "10.0.0.2"}]}`, "", `ipam.addresses[0].address: "10.0.0.2" is no address with the length of its subnet, such as 192.168.100.10/24`},
		{"zeros in front count for nothing", `{"addresses": [{"address": "010.000.000.002/24"}]}`, "", "10.0.0.2/24"},
		{"a subnet of two has only NICs", `{"addresses": [{"address": "10.0.0.2/31"}]}`, "", "10.0.0.2/31"},
		{"name servers are passed on", `{"addresses": [{"address": "10.0.0.2/24"}], "dns": {"nameservers": ["10.0.0.53"]}}`, "", "10.0.0.2/24; dns 10.0.0.53"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, gaps := Parse([]byte(`{"ipam": ` + test.ipam + `}`))
			var g address.Grant
			if len(address.Invalid(gaps)) == 0 {
				var more []gap.Gap
				g, more = c.Grant(prefixes(t, test.asks))
				gaps = append(gaps, more...)
			}
			if have := text(g, gaps); have != test.want {
				t.Errorf("have %s\nwant %s", have, test.want)
			}
		})
	}
}

func prefixes(t *testing.T, text string) (out []netip.Prefix) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		p, err := netip.ParsePrefix(word)
		if !strings.Contains(word, "/") {
			var a netip.Addr
			a, err = netip.ParseAddr(word)
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func text(g address.Grant, gaps []gap.Gap) string {
	if bad := address.Invalid(gaps); len(bad) > 0 {
		return gap.Text(bad)
	}
	var parts, all []string
	for _, a := range g.Addresses {
		parts = append(parts, via(a.Prefix, a.Gateway))
	}
	all = append(all, strings.Join(parts, ", "))
	for _, r := range g.Routes {
		all = append(all, "route "+via(r.Destination, r.Gateway))
	}
	if len(g.DNS.Nameservers) > 0 {
		all = append(all, "dns "+strings.Join(g.DNS.Nameservers, " "))
	}
	return strings.Join(all, "; ")
}

func via(p netip.Prefix, gateway netip.Addr) string {
	if !gateway.IsValid() {
		return p.String()
	}
	return p.String() + " via " + gateway.String()
}

func FuzzParse(f *testing.F) {
	f.Add(`{"ipam": {"addresses": [{"address": "192.168.100.0/24", "gateway": "192.168.100.1"}], "routes": [{"dst": "::/0"}]}}`, "10.0.0.1/8")
	f.Fuzz(func(t *testing.T, config, asked string) {
		c, _ := Parse([]byte(config))
		if p, err := netip.ParsePrefix(asked); err == nil {
			g, gaps := c.Grant([]netip.Prefix{p})
			if len(address.Invalid(gaps)) == 0 && len(g.Addresses) != 1 {
				t.Errorf("%s asked of %s: %v", asked, config, g)
			}
		}
	})
}
