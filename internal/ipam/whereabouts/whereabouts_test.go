package whereabouts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/policy/gap"
)

// TestWhatAConfigurationSays has the forms of the plugin's documentation.
func TestWhatAConfigurationSays(t *testing.T) {
	for _, test := range []struct{ name, ipam, flat, want string }{
		{"a subnet", `{"range": "192.168.2.0/29"}`, "", "192.168.2.0/29 192.168.2.1-192.168.2.6"},
		{"any address of it", `{"range": "192.168.2.225/28"}`, "", "192.168.2.224/28 192.168.2.225-192.168.2.238"},
		{"less what is excluded", `{"range": "192.168.2.225/28", "exclude": ["192.168.2.229/30", "192.168.2.236/32", "192.168.2.225"]}`, "", "192.168.2.224/28 192.168.2.226-192.168.2.227 192.168.2.232-192.168.2.235 192.168.2.237-192.168.2.238"},
		{"from an address to another", `{"range": "192.168.2.225-192.168.2.230/28"}`, "", "192.168.2.224/28 192.168.2.225-192.168.2.230"},
		{"these win", `{"range": "192.168.2.225-192.168.2.230/28", "range_start": "192.168.2.227", "range_end": "192.168.2.228"}`, "", "192.168.2.224/28 192.168.2.225-192.168.2.230"},
		{"start and end", `{"range": "10.0.0.0/8", "range_start": "10.0.3.0", "range_end": "10.0.3.255"}`, "", "10.0.0.0/8 10.0.3.0-10.0.3.255"},
		{"a start outside is passed over", `{"range": "10.0.0.0/24", "range_start": "10.0.1.5"}`, "", "10.0.0.0/24 10.0.0.1-10.0.0.254 (ipam.range_start: 10.0.1.5 is not between the first and the last address of 10.0.0.0/24, so the range begins at 10.0.0.1)"},
		{"an end before the start, too", `{"range": "10.0.0.0/24", "range_start": "10.0.0.9", "range_end": "10.0.0.5"}`, "", "10.0.0.0/24 10.0.0.9-10.0.0.254 (ipam.range_end: 10.0.0.5 is not between 10.0.0.9 and the last address of 10.0.0.0/24, so the range ends at 10.0.0.254)"},
		{"IPv6", `{"range": "2001::0/116", "gateway": "2001::f:1"}`, "", "2001::/116 2001::1-2001::ffe gateway 2001::f:1"},
		{"wide IPv6", `{"range": "abcd::1/64"}`, "", "abcd::/64 abcd::1-abcd::7fff:ffff:ffff:ffff"},
		{"several", `{"ipRanges": [{"range": "192.168.10.1/24", "exclude": ["192.168.10.0/25"]}, {"range": "abcd::1/126"}]}`, "", "192.168.10.0/24 192.168.10.128-192.168.10.254, abcd::/126 abcd::1-abcd::2"},
		{"one and several", `{"ipRanges": [{"range": "192.168.10.1/24"}], "range": "abcd::1/126"}`, "", "abcd::/126 abcd::1-abcd::2, 192.168.10.0/24 192.168.10.1-192.168.10.254"},
		{"a space", `{"range": "10.0.0.0/30", "network_name": "blue", "enable_overlapping_ranges": false}`, "", "10.0.0.0/30 10.0.0.1-10.0.0.2 network blue, overlapping"},
		{"slices", `{"range": "10.0.0.0/16", "node_slice_size": "/22"}`, "", "10.0.0.0/16 10.0.0.1-10.0.255.254 slices /22"},
		{"a slice longer than the range", `{"range": "192.168.2.0/24", "node_slice_size": "/22"}`, "", "ipam.node_slice_size: 192.168.2.0/24 cannot be divided into parts of /22"},
		{"a flat file fills", `{"exclude": ["10.0.0.1"]}`, `{"range": "10.0.0.0/30", "exclude": ["10.0.0.2"], "gateway": "10.0.0.2", "enable_overlapping_ranges": false}`, "10.0.0.0/30 10.0.0.2-10.0.0.2 gateway 10.0.0.2"},
		{"a file of the node's", `{"range": "10.0.0.0/30", "configuration_path": "/etc/cni/net.d/whereabouts.d/lan.conf"}`, "", "10.0.0.0/30 10.0.0.1-10.0.0.2"},
		{"no file of CNI's", `{"range": "10.0.0.0/30", "configuration_path": "/dev/zero"}`, "", elsewhere("/dev/zero")},
		{"a way out of CNI's files", `{"range": "10.0.0.0/30", "configuration_path": "/etc/cni/net.d/../../shadow"}`, "", elsewhere("/etc/cni/net.d/../../shadow")},
		{"a directory that only begins so", `{"range": "10.0.0.0/30", "configuration_path": "/etc/cni/net.data/lan.conf"}`, "", elsewhere("/etc/cni/net.data/lan.conf")},
		{"a path of no beginning", `{"range": "10.0.0.0/30", "configuration_path": "lan.conf"}`, "", elsewhere("lan.conf")},
		{"addresses beside", `{"addresses": [{"address": "10.9.0.5/24"}]}`, "", " and 10.9.0.5/24"},
		{"nothing", `{}`, "", "ipam.range: there is no range to give addresses from, such as 192.168.2.0/24"},
		{"no subnet", `{"range": "10.0.0.0"}`, "", `ipam.range: "10.0.0.0" is no range: write a subnet such as 192.168.2.0/24, or its first and last address, 192.168.2.10-192.168.2.20/24`},
		{"a start of another subnet", `{"ipRanges": [{"range": "10.1.0.1-10.0.0.9/24"}]}`, "", `ipam.ipRanges[0].range: it begins at "10.1.0.1", which is no address of 10.0.0.0/24`},
		{"a subnet of two", `{"range": "10.0.0.0/31"}`, "", "ipam.range: 10.0.0.0/31 has no address between its first and its last: take a longer range, or list single addresses with type static"},
		{"all excluded", `{"range": "10.0.0.0/24", "exclude": ["10.0.0.0/8"]}`, "", "ipam.exclude: nothing remains of 10.0.0.0/24"},
		{"an exclusion that is none", `{"range": "10.0.0.0/24", "exclude": ["10.0.0.300"]}`, "", `ipam.exclude[0]: "10.0.0.300" is neither an address nor a subnet`},
		{"a gateway that is none", `{"range": "10.0.0.0/24", "gateway": "yes"}`, "", `ipam.gateway: "yes" is no address`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, gaps := Parse([]byte(`{"name": "n", "ipam": `+test.ipam+`}`), []byte(test.flat))
			if have := text2(r, gaps); have != test.want {
				t.Errorf("have %s\nwant %s", have, test.want)
			}
		})
	}
}

// elsewhere is said of a configuration_path that is not read.
func elsewhere(path string) string {
	return fmt.Sprintf("ipam.configuration_path: %q is not read: write the path of a file below /etc/cni/net.d or /etc/kubernetes/cni/net.d, without . and ..", path)
}

func text2(r Ranges, gaps []gap.Gap) string {
	if bad := address.Invalid(gaps); len(bad) > 0 {
		return gap.Text(bad)
	}
	var parts []string
	for _, one := range r.Of {
		text := one.Subnet.String()
		for _, span := range one.Free.Ranges() {
			text += " " + span.String()
		}
		parts = append(parts, text)
	}
	out := strings.Join(parts, ", ")
	if r.Gateway.IsValid() {
		out += " gateway " + r.Gateway.String()
	}
	if r.Network != "" {
		out += " network " + r.Network
	}
	if !r.Overlapping {
		out += ", overlapping"
	}
	if r.SliceBits > 0 {
		out += fmt.Sprintf(" slices /%d", r.SliceBits)
	}
	for _, a := range r.Addresses {
		out += " and " + a.Prefix.String()
	}
	if len(gaps) > 0 {
		out += " (" + gap.Text(gaps) + ")"
	}
	return out
}

// TestRangesAsThePluginHasThem walks ranges address by address, as the plugin does, on bytes.
func TestRangesAsThePluginHasThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(20, 30).Draw(t, "bits")
		near := func(what string) string {
			n := rapid.Uint32Range(0x0a000000, 0x0a000000+(1<<(33-bits))).Draw(t, what)
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
		}
		conf := map[string]any{"range": fmt.Sprintf("%s/%d", near("range"), bits)}
		if rapid.Bool().Draw(t, "two ends") {
			conf["range"] = near("first") + "-" + conf["range"].(string)
		}
		for _, key := range []string{"range_start", "range_end"} {
			if rapid.Bool().Draw(t, key+" is set") {
				conf[key] = near(key)
			}
		}
		var exclude []string
		for i := range rapid.IntRange(0, 4).Draw(t, "exclusions") {
			text := near(fmt.Sprint("exclusion ", i))
			if rapid.Bool().Draw(t, "of a subnet") {
				text += fmt.Sprintf("/%d", rapid.IntRange(bits, 32).Draw(t, "length"))
			}
			exclude = append(exclude, text)
		}
		conf["exclude"] = exclude
		config, _ := json.Marshal(map[string]any{"ipam": conf})

		want := walk(conf["range"].(string), conf["range_start"], conf["range_end"], exclude)
		r, gaps := Parse(config, nil)
		var have []netip.Addr
		if len(address.Invalid(gaps)) == 0 {
			have = slices.Collect(r.Of[0].All())
		}
		if !slices.Equal(have, want) {
			t.Fatalf("%s: have %d addresses, want %d\nhave %v\nwant %v", config, len(have), len(want), have, want)
		}
	})
}

// walk is the oracle: what the plugin's description says, for IPv4, one address after the other. Nothing: it refuses, or finds none.
func walk(text string, start, end any, exclude []string) (out []netip.Addr) {
	var first, last net.IP
	if s, ok := start.(string); ok {
		first = net.ParseIP(s)
	}
	if s, ok := end.(string); ok {
		last = net.ParseIP(s)
	}
	if a, b, ok := strings.Cut(text, "-"); ok {
		first, text = net.ParseIP(a), b
		last, _, _ = net.ParseCIDR(b)
		if _, subnet, _ := net.ParseCIDR(b); !subnet.Contains(first) {
			return nil
		}
	}
	_, subnet, _ := net.ParseCIDR(text)
	var all []net.IP
	for a := subnet.IP.To4(); subnet.Contains(a); a = next(a) {
		all = append(all, a)
	}
	all = all[1 : len(all)-1] // the subnet's own, and broadcast
	among := func(a net.IP) bool { return slices.ContainsFunc(all, a.Equal) }
	if first != nil && among(first) {
		all = all[slices.IndexFunc(all, first.Equal):]
	}
	if last != nil && among(last) {
		all = all[:slices.IndexFunc(all, last.Equal)+1]
	}
	for _, a := range all {
		if !slices.ContainsFunc(exclude, func(e string) bool {
			_, hole, err := net.ParseCIDR(e)
			return err == nil && hole.Contains(a) || err != nil && net.ParseIP(e).Equal(a)
		}) {
			b, _ := netip.AddrFromSlice(a)
			out = append(out, b)
		}
	}
	return out
}

func next(a net.IP) net.IP {
	b := bytes.Clone(a)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			break
		}
	}
	return b
}

// TestNamesAndNumbersOfTheBooks has names as the plugin gives them to its objects.
func TestNamesAndNumbersOfTheBooks(t *testing.T) {
	for want, have := range map[string]string{
		"192.168.2.0-24":               PoolName("", "", netip.MustParsePrefix("192.168.2.0/24")),
		"blue-192.168.2.0-24":          PoolName("blue", "", netip.MustParsePrefix("192.168.2.0/24")),
		"blue-node-1-10.0.4.0-22":      PoolName("blue", "node-1", netip.MustParsePrefix("10.0.4.0/22")),
		"2001---116":                   PoolName("", "", netip.MustParsePrefix("2001::/116")),
		"192.168.2.7":                  ReservationName("", netip.MustParseAddr("192.168.2.7")),
		"blue-2001--0":                 ReservationName("blue", netip.MustParseAddr("2001::")),
		"fd00--1":                      ReservationName("", netip.MustParseAddr("fd00::1")),
		"17":                           Offset(netip.MustParsePrefix("10.0.0.0/16"), netip.MustParseAddr("10.0.0.17")),
		"256":                          Offset(netip.MustParsePrefix("10.0.0.0/16"), netip.MustParseAddr("10.0.1.0")),
		"9223372036854775807":          Offset(netip.MustParsePrefix("abcd::/64"), netip.MustParseAddr("abcd::7fff:ffff:ffff:ffff")),
		"10.0.1.0 true":                at("10.0.0.0/16", "256"),
		"10.1.0.0 false":               at("10.0.0.0/16", "65536"),
		"abcd::7fff:ffff:ffff:ff true": at("abcd::/64", "9223372036854710527"),
		"invalid IP false":             at("10.0.0.0/16", "-1"),
	} {
		if have != want {
			t.Errorf("have %s, want %s", have, want)
		}
	}
}

func at(subnet, offset string) string {
	a, ok := At(netip.MustParsePrefix(subnet), offset)
	return fmt.Sprint(a, ok)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"ipam": {"range": "10.0.0.1-10.0.0.9/24", "exclude": ["10.0.0.5/31"], "node_slice_size": "26"}}`), []byte(`{"gateway": "::1"}`))
	f.Fuzz(func(t *testing.T, config, flat []byte) {
		r, gaps := Parse(config, flat)
		if len(address.Invalid(gaps)) > 0 {
			return
		}
		for _, one := range r.Of {
			n := 0
			for a := range one.All() {
				if b, ok := At(one.Subnet, Offset(one.Subnet, a)); !ok || b != a {
					t.Fatalf("%s of %s is kept as %s", a, one.Subnet, b)
				}
				if n++; n > 300 {
					break
				}
			}
			if n == 0 {
				t.Fatalf("%s has no address", one.Subnet)
			}
		}
	})
}
