package route

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Watch tells of routes of ours that another program has deleted. NetworkManager deletes all routes of a device that it
// manages and gets no lease for, whatever their protocol, and switches IPv6 off and on; systemd-networkd may take an address away and give it back, and
// with it go the routes that prefer it.
func (s *Routes) Watch(ctx context.Context, changed func(state.Key, *table.Route)) error {
	changes, err := rtnetlink.Listen(unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR)
	if err != nil {
		return fmt.Errorf("listen for changes of routes: %w", err)
	}
	defer changes.Close()
	_ = changes.SetBuffer(rtnetlink.Room, true) // with less, some get lost when many pods come, and everything is compared
	defer context.AfterFunc(ctx, func() { changes.Close() })()
	asks, err := rtnetlink.Open()
	if err != nil {
		return err
	}
	defer asks.Close()
	down := map[int32]bool{} // devices that were up before
	for {
		messages, err := changes.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOBUFS):
			changed("", nil) // which is not known
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("read changes of routes: %w", err)
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.RTM_DELROUTE:
				if p, device, ok := deleted(m.Data); ok && exists(asks, device) {
					changed(state.Join(p), nil)
				}
			case unix.RTM_NEWLINK, unix.RTM_DELLINK:
				if backUp(down, m.Header.Type, m.Data) {
					changed("", nil) // the kernel has taken its IPv4 routes without a word
				}
			case unix.RTM_NEWADDR:
				changed("", nil) // so it has with routes that prefer an address, if this one was away
			}
		}
	}
}

// backUp tells whether a message says that a device is up again which was up before. A device that is made is down at
// first, with all flags changed.
func backUp(down map[int32]bool, kind uint16, data []byte) bool {
	if len(data) < unix.SizeofIfInfomsg {
		return false
	}
	head := nl.DeserializeIfInfomsg(data)
	switch {
	case kind == unix.RTM_DELLINK:
		delete(down, head.Index)
	case head.Change == ^uint32(0) || head.Change&unix.IFF_UP == 0:
	case head.Flags&unix.IFF_UP == 0:
		down[head.Index] = true
	case down[head.Index]:
		delete(down, head.Index)
		return true
	}
	return false
}

// exists tells whether there is a device still: with it go its routes, which is no program's doing.
func exists(asks *rtnetlink.Socket, index int) bool {
	_, err := asks.DeviceAt(index)
	return err == nil
}

// deleted reads prefix and device of a route that has our marks.
func deleted(data []byte) (p netip.Prefix, device int, ours bool) {
	if len(data) < unix.SizeofRtMsg {
		return p, 0, false
	}
	head := nl.DeserializeRtMsg(data)
	if head.Protocol != unix.RTPROT_KERNEL || head.Table != unix.RT_TABLE_MAIN {
		return p, 0, false
	}
	attributes, err := nl.ParseRouteAttr(data[unix.SizeofRtMsg:])
	if err != nil {
		return p, 0, false
	}
	metric := uint32(0)
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.RTA_DST:
			p = netip.PrefixFrom(address(a.Value), int(head.Dst_len))
		case unix.RTA_PRIORITY:
			metric = nl.NativeEndian().Uint32(a.Value)
		case unix.RTA_OIF:
			device = int(nl.NativeEndian().Uint32(a.Value))
		}
	}
	return p, device, metric == Metric && p.IsValid()
}
