package order

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/source/kube/apitest"
	"weftnet.io/weftnet/internal/table/grant"
)

// said is what a NIC is granted, in a line.
func said(g address.Grant, err error) string {
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, a := range g.Addresses {
		text := a.Prefix.String()
		if a.Gateway.IsValid() {
			text += " via " + a.Gateway.String()
		}
		out = append(out, text)
	}
	for _, r := range g.Routes {
		out = append(out, fmt.Sprintf("%s by %s", r.Destination, r.Gateway))
	}
	return strings.Join(out, ", ")
}

// flatFiles is a root of a node with a flat file, and with what is none.
func flatFiles(t *testing.T) string {
	root := t.TempDir()
	at := root + "/etc/cni/net.d/"
	err := errors.Join(
		os.MkdirAll(at, 0o755),
		os.WriteFile(at+"lan.conf", []byte(`{"range": "10.3.0.0/24", "gateway": "10.3.0.1"}`), 0o600),
		os.WriteFile(at+"long", make([]byte, longest+1), 0o600),
		os.Symlink("/dev/zero", at+"zero"),
		unix.Mkfifo(at+"pipe", 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestWhatConfigurationsGrant(t *testing.T) {
	root := flatFiles(t)
	at := root + "/etc/cni/net.d/"
	for _, c := range []struct{ what, ipam, asked, want string }{
		{"a range, without the gateway", `"weft", "range": "10.1.0.0/24", "gateway": "10.1.0.1"`, "", "10.1.0.2/24 via 10.1.0.1"},
		{"routes take the gateway", `"weft", "range": "10.1.0.0/24", "gateway": "10.1.0.9", "routes": [{"dst": "10.9.0.0/16"}]`, "", "10.1.0.1/24 via 10.1.0.9, 10.9.0.0/16 by 10.1.0.9"},
		{"several ranges, and what every NIC has", `"whereabouts", "range": "10.1.0.16-10.1.0.20/24", "ipRanges": [{"range": "fd01::/64"}], "addresses": [{"address": "10.2.0.1/32"}]`, "", "10.1.0.16/24, fd01::1/64, 10.2.0.1/32"},
		{"the flat file of the node", `"whereabouts", "configuration_path": "/etc/cni/net.d/lan.conf"`, "", "10.3.0.2/24 via 10.3.0.1"},
		{"a device elsewhere", `"whereabouts", "configuration_path": "/dev/zero"`, "", `ipam.configuration_path: "/dev/zero" is not read: write the path of a file below /etc/cni/net.d or /etc/kubernetes/cni/net.d, without . and ..`},
		{"a pipe", `"whereabouts", "configuration_path": "/etc/cni/net.d/pipe"`, "", "ipam.configuration_path: " + at + "pipe is not a regular file: put the flat file of whereabouts there"},
		{"a file without end", `"whereabouts", "configuration_path": "/etc/cni/net.d/long"`, "", "ipam.configuration_path: " + at + "long is longer than 64 KiB, which no flat file of whereabouts is"},
		{"a device by another name", `"whereabouts", "configuration_path": "/etc/cni/net.d/zero"`, "", "ipam.configuration_path: " + at + "zero is not a regular file: put the flat file of whereabouts there"},
		{"the address that the pod asks for, excluded or not", `"weft", "range": "10.1.0.0/24", "exclude": ["10.1.0.64/26"], "gateway": "10.1.0.1"`, "10.1.0.77", "10.1.0.77/24 via 10.1.0.1"},
		{"the gateway", `"weft", "range": "10.1.0.0/24", "gateway": "10.1.0.1"`, "10.1.0.1", "ips[0]: 10.1.0.1 is the gateway of 10.1.0.0/24: ask for another"},
		{"the broadcast address", `"weft", "range": "10.1.0.0/24"`, "10.1.0.255/24", "ips[0]: 10.1.0.255 is the first or the last address of 10.1.0.0/24, and no NIC's: ask for another"},
		{"an address of nowhere", `"weft", "range": "10.1.0.0/24"`, "10.2.0.5", "ips[0]: 10.2.0.5 is in none of the network's subnets, such as 10.1.0.0/24: ask for another"},
		{"two of one range", `"weft", "range": "10.1.0.0/24"`, "10.1.0.5 10.1.0.6", "ips[1]: 10.1.0.6 is of 10.1.0.0/24, as 10.1.0.5 is: a NIC has one address of each range"},
		{"nothing to give", `"whereabouts"`, "", `ipam.range: there is no range to give addresses from, such as 192.168.2.0/24`},
	} {
		granter, err := New(Config{API: apitest.New(t).Config(), Node: "a", Root: root, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.ipam, `"`), `"`)
		o := grant.Order{ContainerID: "c1", Interface: "net1", Namespace: "shop", Pod: "web", Definition: "shop/lan", Terms: grant.Terms{
			Type: kind, Config: `{"name": "lan", "type": "macvlan", "ipam": {"type": ` + c.ipam + `}}`,
		}}
		for _, text := range strings.Fields(c.asked) {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				a := netip.MustParseAddr(text)
				p = netip.PrefixFrom(a, a.BitLen())
			}
			o.Terms.Asked = append(o.Terms.Asked, p)
		}
		got := said(granter.Grant(t.Context(), o))
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
		if again := said(granter.Grant(t.Context(), o)); again != got {
			t.Errorf("%s: again it is %s", c.what, again)
		}
	}
}

// TestANICThatIsThereKeepsItsAddress has an agent start that knows nothing, after the node was taken for gone.
func TestANICThatIsThereKeepsItsAddress(t *testing.T) {
	server := apitest.New(t)
	begin := func() *Cluster {
		c, err := New(Config{API: server.Config(), Node: "a", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	o := grant.Order{ContainerID: "c1", Interface: "net1", Namespace: "shop", Pod: "web", Definition: "shop/lan", Terms: grant.Terms{
		Type: "weft", Config: `{"name": "lan", "ipam": {"type": "weft", "range": "10.1.0.0/24", "addresses": [{"address": "10.2.0.1/32"}]}}`,
	}}
	other := o
	other.ContainerID = "c2"
	if got := said(begin().Grant(t.Context(), other)); got != "10.1.0.1/24, 10.2.0.1/32" {
		t.Fatal(got)
	}
	first := said(begin().Grant(t.Context(), o))
	for _, path := range server.Paths("/apis/weftnet.io/v1alpha1/addressblocks/") {
		server.Delete(path)
	}
	o.Has = []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24"), netip.MustParsePrefix("10.2.0.1/32")}
	if got := said(begin().Grant(t.Context(), o)); got != first {
		t.Errorf("it has %s, and is granted %s", first, got)
	}
	held, err := begin().Held(t.Context())
	if err != nil || len(held) != 1 || held[0].ContainerID != "c1" || held[0].PodRef() != "shop/web" {
		t.Errorf("held: %+v, %v", held, err)
	}
	if err := begin().Return(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if held, err := begin().Held(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("returned, and held: %+v, %v", held, err)
	}
}

func TestWhatAnotherHasIsExchangedAndGivenToNone(t *testing.T) {
	server := apitest.New(t)
	server.Serve("ippools", "overlappingrangeipreservations")
	c, err := New(Config{API: server.Config(), Node: "a", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(container, kind string, not ...string) string {
		o := grant.Order{ContainerID: container, Interface: "net1", Namespace: "shop", Pod: container, Definition: "shop/lan", Terms: grant.Terms{
			Type: kind, Config: `{"name": "lan", "ipam": {"type": "` + kind + `", "range": "10.1.0.0/28", "addresses": [{"address": "10.9.0.1/32"}]}}`,
		}}
		for _, a := range not {
			o.Not = append(o.Not, grant.Taken{Address: netip.MustParseAddr(a), By: "the machine 02:00:00:00:00:99 on ens192"})
		}
		return said(c.Grant(t.Context(), o))
	}
	for _, step := range []struct{ what, have, want string }{
		{"the first", ask("c1", "weft"), "10.1.0.1/28, 10.9.0.1/32"},
		{"which a machine has", ask("c1", "weft", "10.1.0.1"), "10.1.0.2/28, 10.9.0.1/32"},
		{"again", ask("c1", "weft", "10.1.0.1"), "10.1.0.2/28, 10.9.0.1/32"},
		{"the next, too", ask("c1", "weft", "10.1.0.1", "10.1.0.2"), "10.1.0.3/28, 10.9.0.1/32"},
		{"another NIC gets none of these", ask("c2", "weft"), "10.1.0.4/28, 10.9.0.1/32"},
		{"one whose books are whereabouts'", ask("c3", "whereabouts"), "10.1.0.5/28, 10.9.0.1/32"},
		{"which a machine has", ask("c3", "whereabouts", "10.1.0.5"), "10.1.0.6/28, 10.9.0.1/32"},
		{"what the network gives every NIC", ask("c3", "whereabouts", "10.1.0.5", "10.9.0.1"), "10.9.0.1, which the network gives every NIC, is that of the machine 02:00:00:00:00:99 on ens192: change ipam.addresses of shop/lan, or take it from that one"},
	} {
		if step.have != step.want {
			t.Errorf("%s: have %s, want %s", step.what, step.have, step.want)
		}
	}
	var b v1alpha1.AddressBlock
	server.Get("/apis/weftnet.io/v1alpha1/addressblocks/b-10.1.0.0", &b)
	if u := b.Spec.Used["10.1.0.1"]; u.Owner != "the machine 02:00:00:00:00:99 on ens192" || len(u.Holders) != 0 || u.Back == nil {
		t.Errorf("in the block: %+v", u)
	}
}
