// Package route makes the node's routes equal to table.Routes, and its neighbour entries of other nodes to neighbor.Table.
//
// # The world it models
//
// Routes lie in the node's main table, among those of others. Ours have protocol kernel (systemd-networkd deletes routes
// of protocols it does not know when it restarts) and metric 44, which the kernel itself never gives a route of that
// protocol. By these two marks Dump finds them, and by nothing else.
//
// A route needs its device. When a device goes, the kernel takes its routes along; when it comes back, the derivation
// makes the row anew, so Set needs to know nothing of the past.
//
// # Invariants
//
//   - A route without both marks is never changed or removed.
//   - Set replaces a route of ours in one step: there is no moment without one.
//
// # Example
//
//	routes, err := route.New()
//	loop := &reconcile.Loop[table.Route]{Table: tables.Routes, Sink: routes}
package route

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Metric marks our routes, together with protocol kernel.
const Metric = 44

// Routes keeps routes of the network namespace it was made in.
type Routes struct {
	handle   *netlink.Handle
	requests *rtnetlink.Socket // for what an ADD waits for
}

// New opens the netlink socket of the current network namespace.
func New() (*Routes, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	s, err := rtnetlink.Open()
	if err != nil {
		return nil, err
	}
	return &Routes{h, s}, nil
}

// Dump lists our routes.
func (s *Routes) Dump(context.Context) (iter.Seq2[state.Key, table.Route], error) {
	devices, err := whole(s.requests.Devices)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	names := map[int]string{}
	for _, d := range devices {
		names[d.Index] = d.Name
	}
	marks := &netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_KERNEL}
	list, err := whole(func() ([]netlink.Route, error) {
		return s.handle.RouteListFiltered(netlink.FAMILY_ALL, marks, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return func(yield func(state.Key, table.Route) bool) {
		for _, r := range list {
			row, ok := read(r, names)
			if ok && !yield(state.Join(row.Prefix), row) {
				return
			}
		}
	}, nil
}

func read(r netlink.Route, names map[int]string) (row table.Route, ok bool) {
	if r.Dst == nil || r.Priority != Metric {
		return row, false
	}
	ones, _ := r.Dst.Mask.Size()
	row = table.Route{Prefix: netip.PrefixFrom(address(r.Dst.IP), ones), Device: names[r.LinkIndex], Gateway: address(r.Gw), Source: address(r.Src), MTU: r.MTU}
	return row, row.Prefix.IsValid()
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// Set adds or replaces routes.
func (s *Routes) Set(_ context.Context, rows []table.Route) error {
	var requests []*nl.NetlinkRequest
	var asked []table.Route
	var errs []error
	indexes := map[string]int{}
	for _, r := range rows {
		index, known := indexes[r.Device]
		if !known {
			d, err := s.requests.Device(r.Device)
			if err != nil {
				errs = append(errs, failed(r, fmt.Errorf("find device %s: %w", r.Device, err)))
				continue
			}
			index = d.Index
			indexes[r.Device] = index
		}
		requests, asked = append(requests, request(r, index)), append(asked, r)
	}
	for i, err := range s.requests.Do(requests...) {
		if err != nil {
			errs = append(errs, failed(asked[i], fmt.Errorf("replace route %s dev %s: %w", asked[i].Prefix, asked[i].Device, err)))
		}
	}
	return errors.Join(errs...)
}

// request makes a route, or replaces the one of ours.
func request(row table.Route, device int) *nl.NetlinkRequest {
	head := nl.NewRtMsg()
	head.Dst_len, head.Protocol = uint8(row.Prefix.Bits()), unix.RTPROT_KERNEL
	head.Family = unix.AF_INET6
	if row.Prefix.Addr().Is4() {
		head.Family = unix.AF_INET
		if !row.Gateway.IsValid() {
			head.Scope = unix.RT_SCOPE_LINK
		}
	}
	r := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	r.AddData(head)
	r.AddData(nl.NewRtAttr(unix.RTA_DST, row.Prefix.Addr().AsSlice()))
	if row.Source.IsValid() {
		r.AddData(nl.NewRtAttr(unix.RTA_PREFSRC, row.Source.AsSlice()))
	}
	if row.Gateway.IsValid() {
		r.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, row.Gateway.AsSlice()))
	}
	r.AddData(nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(Metric)))
	if row.MTU > 0 {
		metrics := nl.NewRtAttr(unix.RTA_METRICS, nil)
		metrics.AddRtAttr(unix.RTAX_MTU, nl.Uint32Attr(uint32(row.MTU)))
		r.AddData(metrics)
	}
	r.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(device))))
	return r
}

// Unset removes routes.
func (s *Routes) Unset(_ context.Context, rows []table.Route) error {
	return each(rows, routeKey, func(r table.Route) error {
		gone := marked(r.Prefix)
		gone.Scope = netlink.SCOPE_NOWHERE // whatever it has
		if err := s.handle.RouteDel(gone); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("delete route %s: %w", r.Prefix, err)
		}
		return nil
	})
}

// Clear removes all routes of ours and tells how many there were.
func (s *Routes) Clear(ctx context.Context) (n int, err error) {
	dump, err := s.Dump(ctx)
	if err != nil {
		return 0, err
	}
	var rows []table.Route
	for _, r := range dump {
		rows = append(rows, r)
	}
	return len(rows), s.Unset(ctx, rows)
}

// each does something with each row, and names those where it failed.
func each[R any](rows []R, key func(R) state.Key, do func(R) error) error {
	var errs []error
	for _, r := range rows {
		if err := do(r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: key(r), Err: err})
		}
	}
	return errors.Join(errs...)
}

func routeKey(r table.Route) state.Key { return state.Join(r.Prefix) }

func failed(r table.Route, err error) error {
	return &reconcile.RowError{Key: routeKey(r), Err: err}
}

func marked(p netip.Prefix) *netlink.Route {
	dst := &net.IPNet{IP: ip(p.Addr()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	return &netlink.Route{Dst: dst, Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_KERNEL, Priority: Metric}
}

func ip(a netip.Addr) net.IP { return a.AsSlice() }

// whole repeats a list that changed while the kernel wrote it down. Should it never come to rest, the loop comes back later.
func whole[T any](list func() ([]T, error)) (rows []T, err error) {
	for range 5 {
		if rows, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return rows, err
}
