package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/sink/link/overlay"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Tunnels keeps the overlay device equal to table.Tunnels.
type Tunnels struct {
	proc     string
	handle   *netlink.Handle
	requests *rtnetlink.Socket
}

const tunnelAlias = aliasPrefix + "tunnel"

// NewTunnels opens the netlink socket of the current network namespace.
func NewTunnels(o Options) (*Tunnels, error) {
	o.Proc = cmp.Or(o.Proc, "/proc")
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	s, err := rtnetlink.Open()
	if err != nil {
		return nil, err
	}
	return &Tunnels{proc: o.Proc, handle: h, requests: s}, nil
}

// Dump lists our overlay devices. One that is not as this package makes them has port 0.
func (t *Tunnels) Dump(context.Context) (iter.Seq2[state.Key, table.Tunnel], error) {
	devices, err := whole(t.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return func(yield func(state.Key, table.Tunnel) bool) {
		for _, d := range devices {
			if a := d.Attrs(); overlay.IsName(a.Name, d.Type()) || a.Alias == tunnelAlias {
				row := overlay.Read(d, tunnelAlias)
				if !applied(t.proc, scopeTunnel, row.Name) {
					row.MTU = 0 // Set puts its settings right
				}
				if !yield(state.Join(row.Name), row) {
					return
				}
			}
		}
	}, nil
}

// Equal compares what matters of a device: with both families as underlay it is the same device.
func (t *Tunnels) Equal(want, have table.Tunnel) bool {
	return want.Name == have.Name && want.Kind == have.Kind && want.Port == have.Port && have.MTU != 0 && (want.MTU == 0 || want.MTU == have.MTU)
}

// Set makes or repairs overlay devices.
func (t *Tunnels) Set(_ context.Context, rows []table.Tunnel) error {
	var errs []error
	for _, r := range rows {
		if err := t.ensure(r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Name), Err: err})
		}
	}
	return errors.Join(errs...)
}

// Unset removes overlay devices.
func (t *Tunnels) Unset(_ context.Context, rows []table.Tunnel) error {
	var errs []error
	for _, r := range rows {
		d, err := t.handle.LinkByName(r.Name)
		if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
			continue
		}
		if err == nil {
			err = t.handle.LinkDel(d)
		}
		if err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Name), Err: fmt.Errorf("delete device %s: %w", r.Name, err)})
		}
	}
	return errors.Join(errs...)
}

func (t *Tunnels) ensure(want table.Tunnel) error {
	d, err := t.handle.LinkByName(want.Name)
	missing := netlink.LinkNotFoundError{}
	switch {
	case errors.As(err, &missing):
		d = nil
	case err != nil:
		return fmt.Errorf("find device %s: %w", want.Name, err)
	case overlay.Read(d, tunnelAlias).Port != want.Port || d.Type() != want.Kind: // the kernel changes neither port nor mode of a device
		if err := t.handle.LinkDel(d); err != nil {
			return fmt.Errorf("delete device %s, which is not as it should be: %w", want.Name, err)
		}
		d = nil
	}
	if d == nil {
		if d, err = t.create(want); err != nil {
			return err
		}
	}
	if want.MTU != 0 && d.Attrs().MTU != want.MTU {
		if err := t.handle.LinkSetMTU(d, want.MTU); err != nil {
			return fmt.Errorf("set MTU of %s to %d: %w", want.Name, want.MTU, err)
		}
	}
	if err := configure(t.requests, t.proc, scopeTunnel, d.Attrs().Index, want.Name); err != nil {
		return err
	}
	if err := t.handle.LinkSetUp(d); err != nil {
		return t.explain(want, fmt.Errorf("set %s up: %w", want.Name, err))
	}
	return plain(t.handle, d)
}

// create makes the device. It stays down for now: the kernel opens its socket when it comes up.
func (t *Tunnels) create(want table.Tunnel) (netlink.Link, error) {
	device, err := overlay.Device(want)
	if err != nil {
		return nil, err
	}
	if err := t.handle.LinkAdd(device); err != nil {
		return nil, t.explain(want, fmt.Errorf("make device %s of kind %s: %w", want.Name, want.Kind, err))
	}
	d, err := t.handle.LinkByName(want.Name)
	if err != nil {
		return nil, fmt.Errorf("find device %s just made: %w", want.Name, err)
	}
	if err := t.handle.LinkSetARPOff(d); err != nil {
		return nil, fmt.Errorf("switch ARP off on %s: %w", want.Name, err)
	}
	if err := t.handle.LinkSetAlias(d, tunnelAlias); err != nil {
		return nil, fmt.Errorf("set alias of %s: %w", want.Name, err)
	}
	return t.handle.LinkByIndex(d.Attrs().Index)
}

// explain says of an error who holds the tunnel's port, or that the kernel has no such tunnel, if that is what it is about.
func (t *Tunnels) explain(want table.Tunnel, err error) error {
	if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EEXIST) {
		return overlay.Lacks(want, err)
	}
	devices, listErr := whole(t.handle.LinkList)
	if listErr != nil {
		return errors.Join(err, listErr)
	}
	return overlay.Held(want, err, devices)
}
