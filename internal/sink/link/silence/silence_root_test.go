package silence

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

// pod is a namespace with devices. Each is a word NAME/MAC, and has the index 10, 11, ….
func pod(t *testing.T, devices ...string) *netns.Namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	ns, err := netns.NewNamespace("pod", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Close)
	for i, text := range devices {
		name, mac, _ := strings.Cut(text, "/")
		a := netlink.LinkAttrs{Name: name, Index: 10 + i}
		if a.HardwareAddr, err = net.ParseMAC(mac); err != nil {
			t.Fatal(err)
		}
		pair := netlink.NewVeth(a)
		pair.PeerName = "of-" + name
		if err := ns.Do(func() error { return netlink.LinkAdd(pair) }); err != nil {
			t.Fatal(err)
		}
	}
	return ns
}

// quiet are the names of the devices that are silent.
func quiet(t *testing.T, ns *netns.Namespace) string {
	t.Helper()
	var names []string
	err := ns.Do(func() error {
		list, err := netlink.LinkList()
		for _, d := range list {
			q, err := silent(&netlink.Handle{}, d)
			if err != nil {
				return err
			}
			if q != nil {
				names = append(names, d.Attrs().Name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestTheDeviceThatWasMadeIsSilenced(t *testing.T) {
	const (
		mac     = "02:00:0a:00:c8:0a"
		another = "02:5a:11:00:00:02"
	)
	for _, c := range []struct {
		what    string
		devices []string
		index   int
		mac     string
		quiet   string
		says    string
	}{
		{"as it was made", []string{"net1/" + mac, "net2/" + another}, 10, mac, "net1", ""},
		{"renamed, and a device of its name there, as KubeVirt does", []string{"net1-nic/" + another, "net1/" + mac}, 10, mac, "net1-nic", ""},
		{"renamed", []string{"lan/" + mac}, 10, mac, "lan", ""},
		{"of a MAC that is not known", []string{"lan/" + mac}, 10, "", "lan", ""},
		{"of an index that is not known", []string{"net2/" + another, "net1/" + mac}, 0, mac, "net1", ""},
		{"gone, and a device of its name there", []string{"net1/" + another}, 77, mac, "", ""},
		{"another's", []string{"net1/" + another}, 10, mac, "", "device 10 of the pod, net1, has the MAC " + another + ", and no device there has " + mac},
	} {
		ns := pod(t, c.devices...)
		_, db := table.New()
		made := network.Made{Want: network.Interface{ContainerID: "c1", Interface: "net1", Netns: ns.Path(), Terms: grant.Terms{Type: "weft"}}, Index: c.index, MAC: c.mac}
		if err := db.Write(func(tx *state.Tx) error { network.Finished.Put(tx, made); return nil }); err != nil {
			t.Fatal(err)
		}
		nics, rows := &NICs{DB: db}, []grant.Silence{made.Silence()}
		err := nics.Set(t.Context(), rows)
		if err != nil {
			if said := err.Error(); c.says == "" || !strings.Contains(said, c.says) {
				t.Errorf("%s: %s", c.what, said)
			}
		} else if c.says != "" {
			t.Errorf("%s: no error", c.what)
		}
		if have := quiet(t, ns); have != c.quiet {
			t.Errorf("%s: %q are silent, want %q", c.what, have, c.quiet)
		}
		list, err := nics.Dump(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		seen := 0
		for _, row := range list {
			if seen++; row != rows[0] {
				t.Errorf("%s: %+v is seen, want %+v", c.what, row, rows[0])
			}
		}
		if (seen == 1) != (c.quiet != "") {
			t.Errorf("%s: %d are seen", c.what, seen)
		}
		if err := nics.Unset(t.Context(), rows); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if have := quiet(t, ns); have != "" {
			t.Errorf("%s: %q are silent, and may speak", c.what, have)
		}
	}
}
