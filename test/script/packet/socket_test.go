package packet

import (
	"context"
	"net"
	"net/netip"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
)

// `connected CLIENT:PORT SERVER:PORT`: a socket of this node has a TCP connection, whose client is another machine.
var _ = declare("connected", opened(connected))

func connected(b *bench, ts *testscript.TestScript, args []string) {
	client, server := netip.MustParseAddrPort(args[0]), netip.MustParseAddrPort(args[1])
	ts.Check(b.do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		// The other machine lives here for as long as it takes to connect.
		there := &netlink.Addr{IPNet: &net.IPNet{IP: client.Addr().AsSlice(), Mask: net.CIDRMask(client.Addr().BitLen(), client.Addr().BitLen())}}
		if err := netlink.AddrAdd(lo, there); err != nil {
			return err
		}
		listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(server))
		if err != nil {
			return err
		}
		b.kept = append(b.kept, listener)
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(client)}
		out, err := d.DialContext(context.Background(), "tcp", server.String())
		if err != nil {
			return err
		}
		b.kept = append(b.kept, out)
		in, err := listener.Accept()
		if err != nil {
			return err
		}
		b.kept = append(b.kept, in)
		return netlink.AddrDel(lo, there)
	}))
}
