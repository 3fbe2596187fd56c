// Package route keeps this node's own routes in the kernel equal to table Routes.
//
// Its routes are in the main table, of protocol kernel (systemd-networkd deletes what it does not know of any other) and
// of metric 44, by which they are recognised: nobody else's route is ever touched.
package route

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Metric marks the routes of this project, and is lower (stronger) than that of routes an administrator or DHCP sets.
const Metric = 44

// Sink writes routes. It acts in the network namespace of its caller.
type Sink struct{}

// New makes a sink.
func New() *Sink { return &Sink{} }

// Dump lists the routes that bear the mark.
func (*Sink) Dump(context.Context) (iter.Seq2[state.Key, table.Route], error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_KERNEL}
	list, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	names := map[int]string{}
	var rows []table.Route
	for _, r := range list {
		if r.Priority != Metric || r.Dst == nil {
			continue
		}
		if _, ok := names[r.LinkIndex]; !ok {
			if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
				names[r.LinkIndex] = l.Attrs().Name
			}
		}
		ones, _ := r.Dst.Mask.Size()
		row := table.Route{Prefix: netip.PrefixFrom(addr(r.Dst.IP), ones), Device: names[r.LinkIndex], Gateway: addr(r.Gw), Source: addr(r.Src), MTU: r.MTU}
		rows = append(rows, row)
	}
	return func(yield func(state.Key, table.Route) bool) {
		for _, r := range rows {
			if !yield(state.Join(r.Prefix), r) {
				return
			}
		}
	}, nil
}

// Equal compares what a row says: a row with a gateway may leave the device to the kernel.
func (*Sink) Equal(want, have table.Route) bool {
	if want.Device == "" {
		have.Device = ""
	}
	return want == have
}

// Set creates or replaces routes.
func (*Sink) Set(_ context.Context, rows []table.Route) error {
	var errs []error
	for _, r := range rows {
		if err := set(r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Prefix), Err: err})
		}
	}
	return errors.Join(errs...)
}

func set(row table.Route) error {
	r, err := route(row)
	if err != nil {
		return err
	}
	if err := netlink.RouteReplace(&r); err != nil {
		return fmt.Errorf("set route %s via %s: %w", row.Prefix, via(row), err)
	}
	return nil
}

// Unset removes routes.
func (*Sink) Unset(_ context.Context, rows []table.Route) error {
	var errs []error
	for _, row := range rows {
		r := netlink.Route{Dst: network(row.Prefix), Priority: Metric, Protocol: unix.RTPROT_KERNEL, Table: unix.RT_TABLE_MAIN}
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, &reconcile.RowError{Key: state.Join(row.Prefix), Err: fmt.Errorf("remove route %s: %w", row.Prefix, err)})
		}
	}
	return errors.Join(errs...)
}

func route(row table.Route) (netlink.Route, error) {
	r := netlink.Route{
		Dst: network(row.Prefix), Priority: Metric, Protocol: unix.RTPROT_KERNEL, Table: unix.RT_TABLE_MAIN, MTU: row.MTU,
		Scope: netlink.SCOPE_LINK,
	}
	if row.Device != "" {
		l, err := netlink.LinkByName(row.Device)
		if err != nil {
			return r, fmt.Errorf("find device %s of route %s: %w", row.Device, row.Prefix, err)
		}
		r.LinkIndex = l.Attrs().Index
	}
	if row.Gateway.IsValid() {
		r.Gw = row.Gateway.AsSlice()
		r.Scope = netlink.SCOPE_UNIVERSE
	}
	if row.Source.IsValid() {
		r.Src = row.Source.AsSlice()
	}
	return r, nil
}

func via(r table.Route) string {
	if r.Gateway.IsValid() {
		return r.Gateway.String()
	}
	return r.Device
}

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
