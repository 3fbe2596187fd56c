package settings

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vtepKeys are two VTEPs as upstream's documentation writes them, with changes: an empty value is no key.
func vtepKeys(changes map[string]string) map[string]string {
	keys := map[string]string{
		"enable-vtep": "true", "vtep-endpoint": "10.169.72.236    10.169.72.238", "vtep-cidr": "10.1.1.0/24,10.1.2.0/24", "vtep-mask": "255.255.255.0",
		"vtep-mac": "82:36:4c:98:2e:56 82:36:4C:98:2E:58",
	}
	for k, v := range changes {
		if keys[k] = v; v == "" {
			delete(keys, k)
		}
	}
	return keys
}

func TestEachVTEPHasOneOfEachList(t *testing.T) {
	first := VTEP{netip.MustParseAddr("10.169.72.236"), netip.MustParsePrefix("10.1.1.0/24"), MAC{0x82, 0x36, 0x4c, 0x98, 0x2e, 0x56}}
	second := VTEP{netip.MustParseAddr("10.169.72.238"), netip.MustParsePrefix("10.1.2.0/24"), MAC{0x82, 0x36, 0x4c, 0x98, 0x2e, 0x58}}
	for _, c := range []struct {
		name     string
		changes  map[string]string
		want     []VTEP
		problems []string
	}{
		{"upstream's example", nil, []VTEP{first, second}, nil},
		{"off", map[string]string{"enable-vtep": "false", "vtep-mac": "x"}, nil, nil},
		{"without a mask", map[string]string{"vtep-mask": ""}, []VTEP{first, second}, nil},
		{"an address of the range", map[string]string{"vtep-cidr": "10.1.1.236/24 10.1.2.0/24"}, []VTEP{first, second}, nil},
		{"one range too few", map[string]string{"vtep-cidr": "10.1.1.0/24"}, nil, []string{
			`vtep-cidr: "10.1.1.0/24" has 1 entries, and vtep-endpoint "10.169.72.236    10.169.72.238" has 2: each VTEP has one in each list, in the same order; none is used until they agree`,
		}},
		{"no MAC", map[string]string{"vtep-mac": ""}, nil, []string{
			`vtep-mac: "" has 0 entries, and vtep-endpoint "10.169.72.236    10.169.72.238" has 2: each VTEP has one in each list, in the same order; none is used until they agree`,
		}},
		{"no VTEP", map[string]string{"vtep-endpoint": "", "vtep-cidr": "", "vtep-mac": ""}, nil, []string{
			`vtep-endpoint: "" names no VTEP, and enable-vtep is true: give the address of one, or leave enable-vtep out`,
		}},
		{"another mask", map[string]string{"vtep-cidr": "10.1.1.0/24 10.1.2.0/25"}, []VTEP{first}, []string{
			`vtep-cidr: "10.1.2.0/25" has not the length of vtep-mask "255.255.255.0", which is /24; that VTEP is left out`,
		}},
		{"one range twice", map[string]string{"vtep-cidr": "10.1.1.0/24 10.1.1.0/24"}, []VTEP{first}, []string{
			`vtep-cidr: "10.1.1.0/24" overlaps 10.1.1.0/24 of another VTEP; the later one is left out`,
		}},
		{"IPv6", map[string]string{"vtep-endpoint": "10.169.72.236 fd00::1"}, nil, []string{
			`vtep-endpoint: "10.169.72.236 fd00::1" has "fd00::1", which is not an IPv4 address such as 10.169.72.236; using ""`,
			`vtep-endpoint: "" names no VTEP, and enable-vtep is true: give the address of one, or leave enable-vtep out`,
		}},
		{"no netmask", map[string]string{"vtep-mask": "255.0.255.0"}, []VTEP{first, second}, []string{
			`vtep-mask: "255.0.255.0" is not a netmask such as 255.255.255.0; using ""`,
		}},
	} {
		config, problems := parse(vtepKeys(c.changes))
		var told []string
		for _, p := range problems {
			told = append(told, p.String())
		}
		if diff := cmp.Diff(c.want, config.VTEPs, prefixCmp); diff != "" {
			t.Errorf("%s: VTEPs (-want +have):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(c.problems, told); diff != "" {
			t.Errorf("%s: problems (-want +have):\n%s", c.name, diff)
		}
	}
}

func TestListsOfDifferentLengthsAreInvalidInTheReport(t *testing.T) {
	for _, l := range Report(vtepKeys(map[string]string{"vtep-mac": "82:36:4c:98:2e:56"})) {
		if want := map[bool]State{true: Invalid, false: Effective}[l.Key == "vtep-mac"]; l.State != want {
			t.Errorf("%s: %s, want %s", l.Key, l.State, want)
		}
	}
}
