package link

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// tunnelAlias marks the overlay device as ours.
const tunnelAlias = aliasPrefix + "tunnel"

// Tunnels keeps the overlay device equal to table.Tunnels: a VXLAN device whose packets bring their own tunnel key
// (collect metadata, ip-link(8) "external"), that learns and resolves nothing.
type Tunnels struct{ procSys string }

// NewTunnels makes devices in the caller's network namespace; procSys is where its /proc/sys is seen.
func NewTunnels(procSys string) *Tunnels { return &Tunnels{procSys} }

// Dump lists the overlay devices that are ours.
func (*Tunnels) Dump(context.Context) (iter.Seq2[state.Key, table.Tunnel], error) {
	list, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return func(yield func(state.Key, table.Tunnel) bool) {
		for _, l := range list {
			v, ok := l.(*netlink.Vxlan)
			if !ok || v.Alias != tunnelAlias {
				continue
			}
			if row := tunnelRow(v); !yield(state.Join(row.Name), row) {
				return
			}
		}
	}, nil
}

func tunnelRow(v *netlink.Vxlan) table.Tunnel {
	return table.Tunnel{Name: v.Name, Kind: "vxlan", Port: uint16(v.Port), MTU: v.MTU}
}

// Equal leaves out what a device does not tell.
func (*Tunnels) Equal(want, have table.Tunnel) bool {
	have.Underlay6 = want.Underlay6
	return want == have
}

// Set makes the device, or changes its MTU in place.
func (s *Tunnels) Set(_ context.Context, rows []table.Tunnel) error {
	var errs []error
	for _, r := range rows {
		if err := s.set(r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Name), Err: err})
		}
	}
	return errors.Join(errs...)
}

func (s *Tunnels) set(row table.Tunnel) error {
	l, err := s.device(row)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(l, row.MTU); err != nil {
		return fmt.Errorf("set MTU of %s to %d: %w", row.Name, row.MTU, err)
	}
	if err := netlink.LinkSetARPOff(l); err != nil {
		return fmt.Errorf("keep %s from resolving neighbours: %w", row.Name, err)
	}
	if err := netlink.LinkSetIP6AddrGenMode(l, nl6None); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("keep %s from giving itself an address: %w", row.Name, err)
	}
	if err := applyDevice(s.procSys, row.Name); err != nil {
		return err
	}
	err = netlink.LinkSetUp(l)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("set %s up: UDP port %d is taken by %s: remove it, or set another tunnel-port", row.Name, row.Port, holder(row))
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", row.Name, err)
	}
	return netlink.LinkSetAlias(l, tunnelAlias)
}

// device finds the device, or makes it; one of another port or kind is replaced if it is ours.
func (s *Tunnels) device(row table.Tunnel) (netlink.Link, error) {
	if l, err := netlink.LinkByName(row.Name); err == nil {
		v, ok := l.(*netlink.Vxlan)
		if ok && v.FlowBased && uint16(v.Port) == row.Port {
			return l, nil
		}
		if l.Attrs().Alias != tunnelAlias {
			return nil, fmt.Errorf("device %s is there already and not ours (kind %s)", row.Name, l.Type())
		}
		if err := netlink.LinkDel(l); err != nil {
			return nil, fmt.Errorf("remove the former %s: %w", row.Name, err)
		}
	}
	v := &netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: row.Name, MTU: row.MTU}, FlowBased: true, Learning: false, Port: int(row.Port),
		UDP6ZeroCSumRx: true,
	}
	if err := netlink.LinkAdd(v); err != nil {
		return nil, fmt.Errorf("make %s: %w", row.Name, err)
	}
	return netlink.LinkByName(row.Name)
}

// holder names who else listens on the tunnel's port.
func holder(row table.Tunnel) string {
	list, err := netlink.LinkList()
	if err != nil {
		return "another program"
	}
	for _, l := range list {
		if v, ok := l.(*netlink.Vxlan); ok && v.Name != row.Name && uint16(v.Port) == row.Port {
			return "device " + v.Name
		}
	}
	return "another program"
}

// Unset removes devices.
func (*Tunnels) Unset(_ context.Context, rows []table.Tunnel) error {
	var errs []error
	for _, r := range rows {
		l, err := netlink.LinkByName(r.Name)
		if err != nil || l.Attrs().Alias != tunnelAlias {
			continue // gone, or another's
		}
		if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Name), Err: fmt.Errorf("remove %s: %w", r.Name, err)})
		}
	}
	return errors.Join(errs...)
}
