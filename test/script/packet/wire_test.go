package packet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// wire makes a device one of a link: `wire DEVICE ADDRESS/BITS ... ADDRESS=MAC ...` gives it addresses, and tells it those of neighbours.
func wire(b *bench, ts *testscript.TestScript, args []string) {
	ts.Check(b.do(func() error {
		for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
			if err := os.WriteFile("/proc/sys/net/"+key, []byte("1"), 0o644); err != nil {
				return err
			}
		}
		link, err := netlink.LinkByName(args[0])
		if err != nil {
			return err
		}
		for _, a := range args[1:] {
			if err := wireAddress(link, a); err != nil {
				return fmt.Errorf("%s: %w", a, err)
			}
		}
		return nil
	}))
}

func wireAddress(link netlink.Link, text string) error {
	address, mac, neighbour := strings.Cut(text, "=")
	if !neighbour {
		a, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD
		return netlink.AddrAdd(link, a)
	}
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return err
	}
	return netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: ip.AsSlice(), HardwareAddr: hardware})
}
