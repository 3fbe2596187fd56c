// Package netdev keeps table Devices equal to the network devices of the node.
//
// # The world it models
//
// The kernel tells of devices by netlink (rtnetlink(7)): what is there when asked, and every change as it happens. The
// source listens first and asks then, so nothing falls between. A change of a device becomes its row at once, since a CNI
// ADD waits for it. Addresses and default routes change rarely on a node (its workloads' host sides have none) and
// are listed anew when one does.
//
// All changes come through one socket and so in order. When they come faster than they are read, the kernel drops some
// and says so (ENOBUFS): the source throws away what waits, and asks for everything again.
//
// # Invariants
//
//   - Once the kernel is quiet, the table is what the kernel would answer.
//   - The table is synced after the first full list, and never while half of one is in.
//   - A device that is made anew under its old name has another index and so another row.
//
// # Example
//
//	source, err := netdev.New(tables.Devices, db, log)
//	go source.Run(ctx)
package netdev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Source reads the devices of the network namespace it was made in.
type Source struct {
	devices *state.Table[table.Device]
	db      *state.DB
	log     *slog.Logger
	handle  *netlink.Handle
	devs    *rtnetlink.Socket // answers for devices
	changes *rtnetlink.Listener

	links     map[int]table.Device // without addresses and default
	addresses map[int][]netip.Prefix
	defaults  map[int]bool
	written   map[int]bool // has a row
}

// New begins to listen. The table is filled by Run.
func New(devices *state.Table[table.Device], db *state.DB, log *slog.Logger) (*Source, error) {
	s := &Source{devices: devices, db: db, log: log, written: map[int]bool{}}
	var err error
	if s.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	if s.devs, err = rtnetlink.Open(); err != nil {
		return nil, err
	}
	s.changes, err = rtnetlink.Listen(unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("listen for changes of devices: %w", err)
	}
	if err := s.changes.SetBuffer(rtnetlink.Room, true); err != nil {
		log.Info("devices: the kernel's buffer for changes stays small; under load all devices are listed more often", "error", err)
	}
	return s, nil
}

// Run follows the kernel until ctx ends, and returns its error, or until netlink fails.
func (s *Source) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { s.changes.Close() })()
	defer s.handle.Close()
	defer s.devs.Close()
	if err := s.list(ctx); err != nil {
		return err
	}
	err := s.db.Write(func(tx *state.Tx) error {
		s.write(tx, s.everything())
		s.devices.MarkSynced(tx)
		return nil
	})
	if err != nil {
		return err
	}
	for {
		messages, err := s.changes.Receive()
		seen := change{}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOBUFS):
			s.log.Info("devices: changes came faster than they were read; listing all")
			// After the kernel has dropped one, it says nothing of others that it drops until there is nothing left to read;
			// only what is listed then is sure to miss none.
			if err := s.changes.Drain(); err != nil {
				return fmt.Errorf("read changes of devices: %w", err)
			}
			seen.all = true
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("read changes of devices: %w", err)
		}
		for _, m := range messages {
			s.note(&seen, m.Header.Type, m.Data)
		}
		if err := s.follow(ctx, seen); err != nil {
			return err
		}
	}
}

// change is what a batch of messages is about.
type change struct {
	all, addresses, defaults bool
	links                    []int // indexes
}

// note takes up a message: a device at once, of the rest only that something has changed.
func (s *Source) note(seen *change, kind uint16, data []byte) {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(data) < unix.SizeofIfInfomsg {
			return
		}
		head := nl.DeserializeIfInfomsg(data)
		if head.Family != unix.AF_UNSPEC {
			return // of a bridge port: the device itself stays
		}
		if kind == unix.RTM_DELLINK {
			delete(s.links, int(head.Index))
			delete(s.addresses, int(head.Index))
			delete(s.defaults, int(head.Index))
			seen.links = append(seen.links, int(head.Index))
			return
		}
		if d, err := rtnetlink.ReadDevice(data); err != nil {
			s.log.Warn("devices: a change could not be read; listing all", "error", err)
			seen.all = true
		} else if d.Name != "" { // else an event of a wireless driver, with nothing in it
			s.links[d.Index] = device(d)
			seen.links = append(seen.links, d.Index)
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		seen.addresses = true
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if len(data) >= unix.SizeofRtMsg && nl.DeserializeRtMsg(data).Dst_len == 0 {
			seen.defaults = true
		}
	}
}

// follow brings the table up to what has changed.
func (s *Source) follow(ctx context.Context, seen change) error {
	var err error
	if seen.all {
		err = s.list(ctx)
	}
	if seen.addresses && !seen.all {
		err = s.listAddresses(ctx)
	}
	if seen.defaults && !seen.all && err == nil {
		err = s.listDefaults(ctx)
	}
	if err != nil {
		return err
	}
	touched := seen.links
	if seen.all || seen.addresses || seen.defaults {
		touched = s.everything()
	}
	if len(touched) == 0 {
		return nil
	}
	return s.db.Write(func(tx *state.Tx) error { s.write(tx, touched); return nil })
}

// list asks for everything.
func (s *Source) list(ctx context.Context) error {
	links, err := whole(ctx, s.devs.Devices)
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	s.links = map[int]table.Device{}
	for _, d := range links {
		s.links[d.Index] = device(d)
	}
	if err := s.listAddresses(ctx); err != nil {
		return err
	}
	return s.listDefaults(ctx)
}

func (s *Source) listAddresses(ctx context.Context) error {
	list, err := whole(ctx, func() ([]netlink.Addr, error) { return s.handle.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	s.addresses = map[int][]netip.Prefix{}
	for _, a := range list {
		if p, ok := prefix(a.IPNet); ok {
			s.addresses[a.LinkIndex] = append(s.addresses[a.LinkIndex], p)
		}
	}
	for _, of := range s.addresses {
		slices.SortFunc(of, func(a, b netip.Prefix) int {
			return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
		})
	}
	return nil
}

func (s *Source) listDefaults(ctx context.Context) error {
	list, err := whole(ctx, func() ([]netlink.Route, error) { return s.handle.RouteList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	s.defaults = map[int]bool{}
	for _, r := range list {
		if p, ok := prefix(r.Dst); ok && p.Bits() != 0 || r.Type != unix.RTN_UNICAST {
			continue
		}
		s.defaults[r.LinkIndex] = true
		for _, hop := range r.MultiPath {
			s.defaults[hop.LinkIndex] = true
		}
	}
	return nil
}

// whole repeats a list until nothing has changed while the kernel wrote it down. That comes: changes are of finite number,
// and every try that fails leaves more time.
func whole[T any](ctx context.Context, list func() ([]T, error)) ([]T, error) {
	pause := time.Millisecond
	for {
		rows, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return rows, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 200*time.Millisecond)
		}
	}
}

// everything is every index that is, or was, in use.
func (s *Source) everything() []int {
	all := maps.Clone(s.written)
	for index := range s.links {
		all[index] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// write makes the rows of devices what is known now.
func (s *Source) write(tx *state.Tx, indexes []int) {
	for _, index := range indexes {
		d, there := s.links[index]
		if !there {
			s.devices.Delete(tx, state.Join(uint32(index)))
			delete(s.written, index)
			continue
		}
		d.Addresses, d.Default = s.addresses[index], s.defaults[index]
		s.devices.Put(tx, d)
		s.written[index] = true
	}
}

func device(d rtnetlink.Device) table.Device {
	row := table.Device{Index: d.Index, Name: d.Name, Kind: d.Kind, MAC: d.MAC, MTU: d.MTU, Up: d.Up, Master: d.Master}
	if d.Kind == "vlan" {
		row.On = d.Peer
	}
	return row
}

// prefix is an address with its prefix length; not ok if there is none.
func prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), ok
}
