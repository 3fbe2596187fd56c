package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/sink/link/overlay"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Watch tells of links that may have been changed: by this package, systemd-networkd, NetworkManager, or a person.
func (l *Links) Watch(ctx context.Context, changed func(state.Key, *table.Link)) error {
	return watch(ctx, changed, func(d rtnetlink.Device, _ []byte) (table.Link, bool) {
		row, mine := ours(d)
		return row, mine && row.Incarnation != 0 // before that it is being made
	})
}

// Watch tells of overlay devices that may have been changed.
func (t *Tunnels) Watch(ctx context.Context, changed func(state.Key, *table.Tunnel)) error {
	return watch(ctx, changed, func(d rtnetlink.Device, data []byte) (table.Tunnel, bool) {
		if d.Alias != tunnelAlias {
			return table.Tunnel{}, false
		}
		all, err := netlink.LinkDeserialize(nil, bytes.Clone(data))
		if err != nil {
			return table.Tunnel{}, false // the next comparison sees it
		}
		return overlay.Read(all, tunnelAlias), true
	})
}

// watcher follows what the kernel says of devices, their addresses and neighbours.
type watcher[R any] struct {
	read    func(d rtnetlink.Device, data []byte) (row R, mine bool)
	changed func(state.Key, *R)
	asks    *rtnetlink.Socket
	devices map[int]seen[R]
}

// seen is a device of ours, and what it was like when the kernel last spoke of it.
type seen[R any] struct {
	key state.Key
	row R
}

// watch works until ctx ends, and returns its error, or that of netlink.
func watch[R any](ctx context.Context, changed func(state.Key, *R), read func(rtnetlink.Device, []byte) (R, bool)) error {
	changes, err := rtnetlink.Listen(unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return fmt.Errorf("listen for changes of devices: %w", err)
	}
	defer changes.Close()
	_ = changes.SetBuffer(rtnetlink.Room, true) // with less, some get lost when many pods come, and everything is compared
	defer context.AfterFunc(ctx, func() { changes.Close() })()
	asks, err := rtnetlink.Open()
	if err != nil {
		return err
	}
	defer asks.Close()
	w := &watcher[R]{read: read, changed: changed, asks: asks, devices: map[int]seen[R]{}}
	if err := w.list(); err != nil {
		return err
	}
	for {
		messages, err := changes.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOBUFS):
			changed("", nil) // it is not known which
			if err := w.list(); err != nil {
				return err
			}
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("read changes of devices: %w", err)
		}
		for _, m := range messages {
			w.note(m.Header.Type, m.Header.Pid, m.Data)
		}
	}
}

func (w *watcher[R]) list() error {
	_, err := whole(func() ([]struct{}, error) {
		clear(w.devices)
		return nil, w.asks.EachDevice(func(data []byte) { w.note(unix.RTM_NEWLINK, 0, data) })
	})
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	return nil
}

// note takes up a message. A device that the kernel removes by itself, as one whose other side is gone, needs no repair: that
// message has no sender.
func (w *watcher[R]) note(kind uint16, sender uint32, data []byte) {
	switch kind {
	case unix.RTM_NEWLINK:
		if len(data) < unix.SizeofIfInfomsg || nl.DeserializeIfInfomsg(data).Family != unix.AF_UNSPEC {
			return
		}
		d, err := rtnetlink.ReadDevice(data)
		if err != nil {
			return // the next comparison sees it
		}
		row, mine := w.read(d, data)
		if !mine {
			return
		}
		index, now := d.Index, seen[R]{state.Join(d.Name), row}
		if before, known := w.devices[index]; known && !reflect.DeepEqual(before, now) {
			w.changed(before.key, &now.row)
		}
		w.devices[index] = now
	case unix.RTM_DELLINK:
		if len(data) < unix.SizeofIfInfomsg {
			return
		}
		index := int(nl.DeserializeIfInfomsg(data).Index)
		if before, known := w.devices[index]; known && sender != 0 {
			w.changed(before.key, nil)
		}
		delete(w.devices, index)
	case unix.RTM_DELNEIGH, unix.RTM_NEWADDR: // ndmsg and ifaddrmsg have the index at the same place
		if len(data) < unix.SizeofIfAddrmsg {
			return
		}
		index := int(nl.DeserializeIfAddrmsg(data).Index)
		if before, known := w.devices[index]; known {
			if _, err := w.asks.DeviceAt(index); err == nil { // or it goes, and its neighbours with it
				w.changed(before.key, nil)
			}
		}
	}
}

// plain takes all addresses off a device of ours: none of them has any, so another program has put them there.
func plain(h *netlink.Handle, d netlink.Link) error {
	list, err := whole(func() ([]netlink.Addr, error) { return h.AddrList(d, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", d.Attrs().Name, err)
	}
	for _, a := range list {
		if err := h.AddrDel(d, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("take address %s off %s: %w", a.IPNet, d.Attrs().Name, err)
		}
	}
	return nil
}
