// Package overlay knows the kinds of overlay devices: how one is made, what it is like, and what keeps the kernel from it.
//
// # The world it models
//
// A node has a VXLAN device for packets between pods, and, with DSR by Geneve, one of that kind for calls of services. Programs give each packet
// its tunnel key, so a device has a port and no more (collect metadata).
//
//	weft_vxlan   vxlan    8472, or tunnel-port
//	weft_geneve  geneve   6081
//
// # Example
//
//	device, err := overlay.Device(row)
//	if err == nil {
//		err = overlay.Lacks(row, netlink.LinkAdd(device))
//	}
package overlay

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/table"
)

// IsName tells whether a device of a kind has the name of one of ours.
func IsName(name, kind string) bool {
	return name == attach.TunnelDevice && kind == "vxlan" || name == attach.GeneveDevice && kind == "geneve"
}

// Device is what is to be made for a row.
func Device(want table.Tunnel) (netlink.Link, error) {
	attributes := netlink.LinkAttrs{Name: want.Name, MTU: want.MTU, TxQLen: -1}
	switch want.Kind {
	case "vxlan":
		return &netlink.Vxlan{LinkAttrs: attributes, FlowBased: true, Port: int(want.Port), UDP6ZeroCSumTx: true, UDP6ZeroCSumRx: true}, nil
	case "geneve":
		return &netlink.Geneve{LinkAttrs: attributes, FlowBased: true, Dport: want.Port}, nil
	}
	return nil, fmt.Errorf("a tunnel of kind %q is not known", want.Kind)
}

// port of a device of these kinds, and whether it has the mode that Device gives it.
func port(d netlink.Link) (number uint16, based bool) {
	switch d := d.(type) {
	case *netlink.Vxlan:
		return uint16(d.Port), d.FlowBased && !d.Learning
	case *netlink.Geneve:
		return d.Dport, d.FlowBased
	}
	return 0, false
}

// Read tells what a device is like. One that is not finished, as its alias says, or not as Device makes it has port 0, one that is
// down MTU 0.
func Read(d netlink.Link, alias string) table.Tunnel {
	a := d.Attrs()
	row := table.Tunnel{Name: a.Name, Kind: d.Type(), MTU: a.MTU}
	if number, based := port(d); based && a.RawFlags&unix.IFF_NOARP != 0 && a.Alias == alias {
		row.Port = number
	}
	if v, ok := d.(*netlink.Vxlan); ok && row.Port != 0 {
		row.Underlay6 = v.UDP6ZeroCSumRx
	}
	if a.Flags&net.FlagUp == 0 {
		row.MTU = 0
	}
	return row
}

// Lacks says of an error that the kernel has no such device, if that is what it is about.
func Lacks(want table.Tunnel, err error) error {
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	if want.Kind == "geneve" {
		return fmt.Errorf("%w: this kernel has no Geneve (CONFIG_GENEVE, module geneve): set bpf-lb-dsr-dispatch to opt, on all nodes", err)
	}
	return fmt.Errorf("%w: this kernel has no VXLAN (CONFIG_VXLAN, module vxlan)", err)
}

// Held says who holds a tunnel's port, of these devices, or that a process does.
func Held(want table.Tunnel, err error, devices []netlink.Link) error {
	advice := "or choose another port with the setting tunnel-port, the same on all nodes"
	if want.Kind == "geneve" {
		advice = "or set bpf-lb-dsr-dispatch to opt, on all nodes"
	}
	for _, d := range devices {
		a := d.Attrs()
		if number, _ := port(d); number == want.Port && a.Name != want.Name {
			return fmt.Errorf("%w: device %s holds UDP port %d: delete it (ip link del %s), %s", err, a.Name, want.Port, a.Name, advice)
		}
	}
	return fmt.Errorf("%w: a process holds UDP port %d (ss -ulpn sport = :%d): stop it, %s", err, want.Port, want.Port, advice)
}
