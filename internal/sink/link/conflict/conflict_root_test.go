package conflict

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/pace"
	"weftnet.io/weftnet/internal/sink/link/wire"
)

// wireOf is a wire between two machines: the device of the first, and the second, which has addresses.
func wireOf(t *testing.T, addresses ...string) (asker *netns.Namespace, d Device, other *netns.Namespace, mac string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	spaces := make([]*netns.Namespace, 2)
	for i, name := range []string{"asker", "squatter"} {
		ns, err := netns.NewNamespace(name, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ns.Close)
		spaces[i] = ns
	}
	pair := netlink.NewVeth(netlink.LinkAttrs{Name: "wire0"})
	pair.PeerName, pair.PeerNamespace = "wire0", netlink.NsFd(spaces[1].Fd())
	if err := spaces[0].Do(func() error { return netlink.LinkAdd(pair) }); err != nil {
		t.Fatal(err)
	}
	for i, ns := range spaces {
		err := ns.Do(func() error {
			l, err := netlink.LinkByName("wire0")
			if err != nil {
				return err
			}
			if i == 0 {
				d = Device{Index: l.Attrs().Index, MAC: l.Attrs().HardwareAddr}
				return netlink.LinkSetUp(l)
			}
			mac = l.Attrs().HardwareAddr.String()
			for _, a := range addresses {
				address, err := netlink.ParseAddr(a)
				if err != nil {
					return err
				}
				address.Flags = 0x02 // IFA_F_NODAD
				if err := netlink.AddrAdd(l, address); err != nil {
					return err
				}
			}
			return netlink.LinkSetUp(l)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, ns := range spaces {
		awaitWire(t, ns)
	}
	return spaces[0], d, spaces[1], mac
}

// awaitWire waits until the kernel sends on the device, and hears who asks for its IPv6 addresses: both come a moment after it is up.
func awaitWire(t *testing.T, ns *netns.Namespace) {
	t.Helper()
	for ready := false; !ready; {
		err := ns.Do(func() error {
			l, err := netlink.LinkByName("wire0")
			if err != nil {
				return err
			}
			list, err := netlink.AddrList(l, netlink.FAMILY_V6)
			if err != nil {
				return err
			}
			groups, err := os.ReadFile("/proc/thread-self/net/igmp6")
			ready = l.Attrs().OperState == netlink.OperUp
			for _, a := range list {
				ready = ready && strings.Contains(string(groups), fmt.Sprintf("ff0200000000000000000001ff%x", []byte(a.IP[13:])))
			}
			return errors.Join(err, t.Context().Err())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestABusyWireLeavesRoomForAnswers has a machine whose other traffic comes first.
func TestABusyWireLeavesRoomForAnswers(t *testing.T) {
	asker, d, other, _ := wireOf(t)
	wanted := netip.MustParseAddr("fd00:9::7")
	var hears *wire.Socket
	var claim, traffic []byte
	err := asker.Do(func() (err error) {
		hears, err = open(d, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer hears.Close()
	err = other.Do(func() error {
		l, err := netlink.LinkByName("wire0")
		if err != nil {
			return err
		}
		s, err := wire.Open(l.Attrs().Index, wire.IPv6, wire.Neighbors())
		if err != nil {
			return err
		}
		defer s.Close()
		claim = wire.Probe(l.Attrs().HardwareAddr, wanted)
		traffic = bytes.Clone(claim)
		traffic[14+6] = 17 // UDP
		_, err = s.Write(traffic)
		if err == nil {
			_, err = s.Write(claim)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := hears.SetReadDeadline(time.Now().Add(pace.Slow(10 * time.Second))); err != nil {
		t.Fatal(err)
	}
	for { // the kernels speak of their own addresses, too
		frame, err := hears.Next()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(frame, traffic) {
			t.Error("traffic takes room that answers need")
		}
		if bytes.Equal(frame, claim) {
			return
		}
	}
}

func TestAnAddressThatAnotherMachineHasIsFound(t *testing.T) {
	asker, d, _, mac := wireOf(t, "10.0.0.7/24", "fd00:9::7/64")
	for _, c := range []struct {
		asks  []string
		mode  Mode
		found string
	}{
		{[]string{"10.0.0.7"}, Once, "10.0.0.7"},
		{[]string{"10.0.0.5", "10.0.0.6", "10.0.0.7"}, Once, "10.0.0.7"},
		{[]string{"fd00:9::7", "10.0.0.5"}, Once, "fd00:9::7"},
		{[]string{"10.0.0.5", "fd00:9::5"}, Once, ""},
		{[]string{"10.0.0.7"}, Off, ""},
		{[]string{"10.0.0.7"}, Whole, "10.0.0.7"},
		{nil, Once, ""},
	} {
		var addresses []netip.Addr
		for _, a := range c.asks {
			addresses = append(addresses, netip.MustParseAddr(a))
		}
		err := asker.Do(func() error {
			found, err := Probe(t.Context(), d, addresses, c.mode)
			switch {
			case found == nil && c.found != "":
				t.Errorf("%v: %s is not found", c.asks, c.found)
			case found != nil && (found.Address.String() != c.found || found.MAC.String() != mac):
				t.Errorf("%v: %+v is found, want %q of %s", c.asks, found, c.found, mac)
			}
			return err
		})
		if err != nil {
			t.Errorf("%v: %v", c.asks, err)
		}
	}
}
