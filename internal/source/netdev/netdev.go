// Package netdev follows the network devices of the host's namespace and writes them into table Devices: name, kind,
// MAC, MTU, addresses, and whether a default route leaves by it.
//
// # The world it models
//
// Netlink tells every change, in order, but may lose some when it is too busy (ENOBUFS; netlink(7)). After a loss, and at
// the start, everything is listed anew and the table made equal to it. Changes come as a burst more often than not (a
// veth pair is a dozen messages), so all that is there is taken at once, as one transaction.
//
//	err := netdev.Follow(ctx, db, tables, log) // until ctx ends
package netdev

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// pause between attempts when the kernel refuses to tell.
const pause = time.Second

// Follow keeps t.Devices equal to the devices of the network namespace that the caller is in, until ctx ends.
func Follow(ctx context.Context, db *state.DB, t *table.Tables, log *slog.Logger) error {
	for {
		err := follow(ctx, db, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		log.Warn("follow network devices: listing anew", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// follow subscribes, lists, and works until the subscription breaks.
func follow(ctx context.Context, db *state.DB, t *table.Tables) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := make(chan error, 3)
	note := func(err error) {
		select {
		case broken <- err:
		default:
		}
	}
	links, addrs, routes := make(chan netlink.LinkUpdate, 256), make(chan netlink.AddrUpdate, 256), make(chan netlink.RouteUpdate, 256)
	done := ctx.Done()
	if err := netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{ErrorCallback: note}); err != nil {
		return fmt.Errorf("subscribe to links: %w", err)
	}
	if err := netlink.AddrSubscribeWithOptions(addrs, done, netlink.AddrSubscribeOptions{ErrorCallback: note}); err != nil {
		return fmt.Errorf("subscribe to addresses: %w", err)
	}
	if err := netlink.RouteSubscribeWithOptions(routes, done, netlink.RouteSubscribeOptions{ErrorCallback: note}); err != nil {
		return fmt.Errorf("subscribe to routes: %w", err)
	}
	if err := replace(db, t); err != nil {
		return err
	}
	for {
		touched := map[int]bool{}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case u := <-links:
			touched[int(u.Index)] = true
		case u := <-addrs:
			touched[u.LinkIndex] = true
		case u := <-routes:
			touchRoute(touched, u)
		}
		drain(touched, links, addrs, routes)
		if err := refresh(db, t, touched); err != nil {
			return err
		}
	}
}

// drain takes what else is there already.
func drain(touched map[int]bool, links chan netlink.LinkUpdate, addrs chan netlink.AddrUpdate, routes chan netlink.RouteUpdate) {
	for {
		select {
		case u := <-links:
			touched[int(u.Index)] = true
		case u := <-addrs:
			touched[u.LinkIndex] = true
		case u := <-routes:
			touchRoute(touched, u)
		default:
			return
		}
	}
}

func touchRoute(touched map[int]bool, u netlink.RouteUpdate) {
	if !isDefault(u.Route) {
		return
	}
	touched[u.LinkIndex] = true
	for _, hop := range u.MultiPath {
		touched[hop.LinkIndex] = true
	}
}

func isDefault(r netlink.Route) bool {
	if r.Table != unix.RT_TABLE_MAIN || r.Type != unix.RTN_UNICAST {
		return false
	}
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

// replace lists everything and makes the table equal to it.
func replace(db *state.DB, t *table.Tables) error {
	list, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	defaults, err := defaultDevices()
	if err != nil {
		return err
	}
	rows := map[state.Key]table.Device{}
	for _, l := range list {
		d, err := device(l, defaults)
		if err != nil {
			return err
		}
		rows[t.Devices.Key(d)] = d
	}
	return db.Write(func(tx *state.Tx) error {
		for d := range t.Devices.All(db.Snapshot()) {
			if _, ok := rows[t.Devices.Key(d)]; !ok {
				t.Devices.Delete(tx, t.Devices.Key(d))
			}
		}
		for _, d := range rows {
			t.Devices.Put(tx, d)
		}
		t.Devices.MarkSynced(tx)
		return nil
	})
}

// refresh reads some devices again.
func refresh(db *state.DB, t *table.Tables, touched map[int]bool) error {
	if len(touched) == 0 {
		return nil
	}
	defaults, err := defaultDevices()
	if err != nil {
		return err
	}
	rows := map[int]table.Device{}
	for index := range touched {
		l, err := netlink.LinkByIndex(index)
		if err != nil {
			continue // gone
		}
		if rows[index], err = device(l, defaults); err != nil {
			delete(rows, index) // went while it was read
		}
	}
	return db.Write(func(tx *state.Tx) error {
		for index := range touched {
			if d, ok := rows[index]; ok {
				t.Devices.Put(tx, d)
			} else {
				t.Devices.Delete(tx, state.Join(index))
			}
		}
		return nil
	})
}

func device(l netlink.Link, defaults map[int]bool) (table.Device, error) {
	a := l.Attrs()
	d := table.Device{
		Index: a.Index, Name: a.Name, Kind: l.Type(), MAC: a.HardwareAddr.String(), MTU: a.MTU,
		Up: a.RawFlags&unix.IFF_UP != 0, Master: a.MasterIndex, Default: defaults[a.Index],
	}
	if d.Kind == "device" { // the library's word for hardware
		d.Kind = ""
	}
	list, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return d, fmt.Errorf("list addresses of %s: %w", a.Name, err)
	}
	for _, x := range list {
		ip, ok := netip.AddrFromSlice(x.IP)
		ones, _ := x.Mask.Size()
		if ok {
			d.Addresses = append(d.Addresses, netip.PrefixFrom(ip.Unmap(), ones))
		}
	}
	slices.SortFunc(d.Addresses, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return d, nil
}

// defaultDevices are those by which a default route of either family leaves.
func defaultDevices() (map[int]bool, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	devices := map[int]bool{}
	for _, r := range routes {
		if !isDefault(r) {
			continue
		}
		if r.LinkIndex > 0 {
			devices[r.LinkIndex] = true
		}
		for _, hop := range r.MultiPath {
			devices[hop.LinkIndex] = true
		}
	}
	return devices, nil
}
