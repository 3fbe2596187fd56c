package attachment_test

import (
	"net/netip"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/policy/gap"
)

func overlayOf(subnets ...string) *netobject.OverlayNetwork {
	o := &netobject.OverlayNetwork{}
	o.Name, o.Spec.Subnets, o.Status.Number = "blue", subnets, 3
	return o
}

func TestSubnetsOfAnOverlayNetworkMakeSense(t *testing.T) {
	for text, want := range map[string]string{
		"10.66.0.0/24":                "",
		"fd66::/64 10.66.0.0/24":      "",
		"":                            "spec.subnets: there is none",
		"10.66.0.1/24":                "10.66.0.1/24 is an address in 10.66.0.0/24",
		"10.66.0.0":                   `"10.66.0.0" is no subnet`,
		"10.66.0.0/24 10.67.0.0/24":   "10.67.0.0/24 is the second of its family",
		"10.66.0.0/31":                "10.66.0.0/31 has no room for two NICs",
		"224.0.0.0/8":                 "addresses that no NIC can have",
		"fe80::/64":                   "addresses that no NIC can have",
		"::ffff:10.66.0.0/120":        "addresses that no NIC can have",
		"0.0.0.0/0":                   "addresses that no NIC can have",
		"127.0.0.0/8":                 "addresses that no NIC can have",
		"fd66::/64 10.66.0.0/24 fd::": "no subnet",
	} {
		row, there := netobject.OverlayRow(overlayOf(strings.Fields(text)...))
		if !there || row.Number != 3 || (want == "") != (row.Lacks == "") || !strings.Contains(row.Lacks, want) {
			t.Errorf("%q: got %+v, want %q", text, row, want)
		}
		if want == "" && !row.Subnets[0].Addr().Is4() {
			t.Errorf("%q: %v, and IPv4 comes first", text, row.Subnets)
		}
		if gaps := netobject.OverlayGaps(overlayOf(strings.Fields(text)...), gap.Default()); gap.Text(gaps) != row.Lacks {
			t.Errorf("%q: gaps %v", text, gaps)
		}
	}
}

func TestAClusterWithNumber255HasNoOverlayNetworks(t *testing.T) {
	w := gap.NewWorld(func(key string) (string, bool) { return "255", key == "cluster-id" })
	if gaps := netobject.OverlayGaps(overlayOf("10.66.0.0/24"), w); len(gaps) != 1 || !strings.Contains(gaps[0].String(), "cluster-id is 255") {
		t.Errorf("got %v", gaps)
	}
}

func TestANICInAnOverlayNetworkGetsAddressesOfItsSubnets(t *testing.T) {
	row, _ := netobject.OverlayRow(overlayOf("10.66.0.0/24", "fd66::/64"))
	for ipam, want := range map[string]string{
		``:                          `{"ipam":{"ipRanges":[{"range":"10.66.0.0/24"},{"range":"fd66::/64"}],"network_name":"overlay/blue","type":"weft"},"network":"blue","type":"cilium-cni"}`,
		`, "ipam": {"type":"weft"}`: `{"ipam":{"ipRanges":[{"range":"10.66.0.0/24"},{"range":"fd66::/64"}],"network_name":"overlay/blue","type":"weft"},"network":"blue","type":"cilium-cni"}`,
		`, "ipam": {"type":"weft","range":"10.66.0.0/25"}`: `{"ipam":{"network_name":"overlay/blue","range":"10.66.0.0/25","type":"weft"},"network":"blue","type":"cilium-cni"}`,
		`, "ipam": {"type":"weft","range":"10.67.0.0/25"}`: `! ipam.range: 10.67.0.0/25 lies in no subnet of overlay network blue (10.66.0.0/24, fd66::/64)`,
		`, "ipam": {"type":"weft","range":"10.66.0.0/16"}`: `! ipam.range: 10.66.0.0/16 lies in no subnet of overlay network blue (10.66.0.0/24, fd66::/64)`,
		`, "ipam": {"type":"host-local"}`:                  `! ipam.type: "host-local" gives no addresses of an overlay network`,
		`, "ipam": {"type":"static"}`:                      `{"type": "cilium-cni", "network": "blue", "ipam": {"type":"static"}}`,
	} {
		d, gaps := attachment.Define("shop", "blue", `{"type": "cilium-cni", "network": "blue"`+ipam+`}`)
		if gaps = append(gaps, d.Unfit()...); len(gaps) == 0 {
			d, gaps = d.In(row)
		}
		got := "! " + gap.Text(gaps)
		if len(gaps) == 0 {
			got = string(d.Main().Raw)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got\n%s, want\n%s", ipam, got, want)
		}
	}
}

func TestAddressesInAnOverlayNetworkLieInItsSubnets(t *testing.T) {
	row, _ := netobject.OverlayRow(overlayOf("10.66.0.0/24", "fd66::/64"))
	for text, want := range map[string]string{
		"10.66.0.5/24 fd66::5/64":   "",
		"10.66.0.5/32":              "",
		"10.67.0.5/24":              "10.67.0.5 lies in no subnet of overlay network blue (10.66.0.0/24, fd66::/64)",
		"10.66.0.0/32":              "the subnet's own address",
		"10.66.0.255/24":            "broadcast",
		"10.66.0.5/24 10.66.0.6/24": "of one family",
	} {
		var list []netip.Prefix
		for _, one := range strings.Fields(text) {
			list = append(list, netip.MustParsePrefix(one))
		}
		if got := gap.Text(attachment.Within(row, list)); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestADefinitionOfAnOverlayNetworkLeadsToNoWire(t *testing.T) {
	o := &netobject.NetworkAttachmentDefinition{}
	o.Namespace, o.Name, o.Spec.Config = "shop", "blue", `{"type": "cilium-cni", "network": "blue"}`
	o.Annotations = map[string]string{"weftnet.io/network": "ens192"}
	row, _ := netobject.Row(o)
	if row.Overlay != "blue" || row.Wire != "" || row.Number != 0 || row.Plain != 0 {
		t.Errorf("got %+v", row)
	}
}
