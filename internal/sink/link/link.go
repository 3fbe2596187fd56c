package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/sink/link/inside"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Options are where the host is seen.
type Options struct {
	Root string // prefix of host paths of network namespaces, e.g. /host; empty: none
	Proc string // a proc file system that may be written; empty: /proc

	Clsact bool // links are made with the qdisc that their programs need
}

// Links keeps veth pairs equal to table.Links. It works in the network namespace it was made in.
type Links struct {
	Options
	hands chan hand // one per link that is worked on: a socket does one thing at a time
}

const (
	aliasPrefix = "weft:"
	parallel    = 8 // links made or removed at once: the kernel waits for its own readers meanwhile
)

// hand is what links are made with.
type hand struct {
	requests        *rtnetlink.Socket // for what an ADD waits for
	*netlink.Handle                   // for the rest
}

// NewLinks opens netlink sockets of the current network namespace.
func NewLinks(o Options) (*Links, error) {
	o.Proc = cmp.Or(o.Proc, "/proc")
	l := &Links{Options: o, hands: make(chan hand, parallel)}
	for range parallel {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return nil, fmt.Errorf("open netlink socket: %w", err)
		}
		s, err := rtnetlink.Open()
		if err != nil {
			return nil, err
		}
		l.hands <- hand{s, h}
	}
	return l, nil
}

// with lends a hand.
func (l *Links) with(do func(h hand) error) error {
	h := <-l.hands
	defer func() { l.hands <- h }()
	return do(h)
}

// Dump lists our devices with what the host's side tells. A device that was never finished has incarnation 0, one that is down
// or has other settings than it should has MTU 0.
func (l *Links) Dump(context.Context) (iter.Seq2[state.Key, table.Link], error) {
	var devices []rtnetlink.Device
	err := l.with(func(h hand) (err error) { devices, err = whole(h.requests.Devices); return err })
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return func(yield func(state.Key, table.Link) bool) {
		for _, d := range devices {
			row, ok := ours(d)
			if ok && !applied(l.Proc, scopeHost, row.HostName) {
				row.MTU = 0 // Set puts its settings right
			}
			if ok && !yield(state.Join(row.HostName), row) {
				return
			}
		}
	}, nil
}

// ours reads a device that is a link of this package, finished or not.
func ours(d rtnetlink.Device) (row table.Link, ok bool) {
	text, finished := strings.CutPrefix(d.Alias, aliasPrefix)
	if d.Kind != "veth" && d.Kind != "netkit" || !finished && (d.Alias != "" || !attach.IsHostName(d.Name)) {
		return row, false
	}
	incarnation, _ := strconv.ParseUint(text, 10, 32)
	row = table.Link{HostName: d.Name, Kind: d.Kind, HostMAC: d.MAC, MTU: d.MTU, Incarnation: uint32(incarnation)}
	if !d.Up {
		row.MTU = 0 // unlike any that is wanted: Set brings it up
	}
	return row, true
}

// Equal compares what Dump can tell. The far side belongs to the workload.
func (l *Links) Equal(want, have table.Link) bool {
	return want.HostName == have.HostName && want.HostMAC == have.HostMAC && want.Incarnation == have.Incarnation && have.MTU != 0 &&
		(want.MTU == 0 || want.MTU == have.MTU)
}

// Set makes links, and repairs the host's side of those that are there.
func (l *Links) Set(ctx context.Context, rows []table.Link) error { return l.each(ctx, rows, l.ensure) }

// Unset removes links.
func (l *Links) Unset(ctx context.Context, rows []table.Link) error {
	return l.each(ctx, rows, l.remove)
}

// each does something to every row, several at once.
func (l *Links) each(ctx context.Context, rows []table.Link, do func(hand, table.Link) error) error {
	errs := make([]error, len(rows))
	var group sync.WaitGroup
	for i, row := range rows {
		group.Go(func() {
			err := l.with(func(h hand) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return do(h, row)
			})
			if err != nil {
				errs[i] = &reconcile.RowError{Key: state.Join(row.HostName), Err: err}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (l *Links) ensure(h hand, want table.Link) error {
	d, exists, err := find(h, want.HostName)
	if err != nil {
		return err
	}
	if exists {
		have, mine := ours(d)
		switch {
		case !mine:
			return taken(d)
		case have.Incarnation == want.Incarnation:
			return l.repair(h, d, want)
		}
		if err := h.requests.Destroy(d.Index); err != nil {
			return fmt.Errorf("delete device %s of an earlier incarnation: %w", want.HostName, err)
		}
	}
	if err := l.create(h, want); err != nil {
		if d, exists, _ := find(h, want.HostName); exists {
			err = errors.Join(err, h.requests.Destroy(d.Index))
		}
		return err
	}
	return nil
}

func taken(d rtnetlink.Device) error {
	return fmt.Errorf("device %s is not ours (kind %s, alias %q): delete or rename it", d.Name, d.Kind, d.Alias)
}

// find gives the device with a name, if there is one.
func find(h hand, name string) (d rtnetlink.Device, exists bool, err error) {
	d, err = h.requests.Device(name)
	if errors.Is(err, unix.ENODEV) {
		return d, false, nil
	} else if err != nil {
		return d, false, fmt.Errorf("find device %s: %w", name, err)
	}
	return d, true, nil
}

func (l *Links) remove(h hand, row table.Link) error {
	d, exists, err := find(h, row.HostName)
	if !exists {
		return err
	}
	if _, mine := ours(d); !mine {
		return taken(d)
	}
	if err := h.requests.Destroy(d.Index); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete device %s: %w", row.HostName, err)
	}
	if row.Further && row.Netns != "" { // a workload that lives on has lost this NIC alone; of one that is gone there is nothing to forget
		_ = inside.Do(l.Root+row.Netns, func(h *netlink.Handle) error { return inside.Forget(h, row.Addresses) })
	}
	return nil
}

// create makes a link. The alias comes last: it says that the rest is done.
func (l *Links) create(h hand, want table.Link) error {
	there, err := ns.GetNS(l.Root + want.Netns)
	if err != nil {
		return fmt.Errorf("enter the workload's network namespace %s: %w; the container is gone, or its folder is not mounted here", want.Netns, err)
	}
	defer there.Close()
	hostMAC, err := net.ParseMAC(want.HostMAC)
	if err != nil {
		return fmt.Errorf("MAC address of the host's side: %w", err)
	}
	mac, err := net.ParseMAC(want.MAC)
	if err != nil {
		return fmt.Errorf("MAC address of the workload's side: %w", err)
	}
	near := rtnetlink.End{Name: want.HostName, MAC: hostMAC, MTU: want.MTU}
	far := rtnetlink.End{Name: want.Interface, MAC: mac, MTU: want.MTU, Netns: int(there.Fd())}
	if want.Kind == "netkit" {
		err = h.LinkAdd(rtnetlink.Netkit(near, far))
	} else {
		err = h.requests.Do(rtnetlink.Veth(near, far).Request)[0]
	}
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make %s pair: %s exists already in network namespace %s: another plugin has made it, or an ADD of another container ID", want.Kind, want.Interface, want.Netns)
	} else if want.Kind == "netkit" && errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("make netkit pair %s: the kernel has none (Linux 6.8 and later have, with CONFIG_NETKIT): set datapath-mode to veth: %w", want.HostName, err)
	} else if err != nil {
		return fmt.Errorf("make %s pair %s: %w", want.Kind, want.HostName, err)
	}
	var index int
	err = there.Do(func(ns.NetNS) (err error) { index, err = l.configureWorkload(want); return err })
	if err != nil {
		return fmt.Errorf("%s in network namespace %s: %w", want.Interface, want.Netns, err)
	}
	if want.Kind != "netkit" && l.Clsact { // once it is up, a device has to rest for that
		qdisc := rtnetlink.Clsact(index)
		qdisc.Exists = true // who attaches the programs may have been faster
		if err := h.requests.Make(qdisc); err != nil {
			return err
		}
	}
	if err := l.configureHost(h, index, want); err != nil {
		return err
	}
	return h.requests.Make(rtnetlink.Alias(index, want.HostName, aliasPrefix+strconv.FormatUint(uint64(want.Incarnation), 10)))
}

// configureHost brings the host's side into its final state, from whatever state it is in.
func (l *Links) configureHost(h hand, index int, want table.Link) error {
	mac, err := net.ParseMAC(want.MAC)
	if err != nil {
		return fmt.Errorf("MAC address of the workload's side: %w", err)
	}
	if err := configure(h.requests, l.Proc, scopeHost, index, want.HostName); err != nil {
		return err
	}
	changes := []rtnetlink.Change{rtnetlink.Up(index, want.HostName)}
	for _, a := range want.Addresses {
		changes = append(changes, rtnetlink.Neighbour(index, want.HostName, a, mac))
	}
	return h.requests.Make(changes...)
}

// repair brings a finished link up to what is wanted now. Inside the workload that is the MTU alone.
func (l *Links) repair(h hand, d rtnetlink.Device, want table.Link) error {
	mac, err := net.ParseMAC(want.HostMAC)
	if err != nil {
		return fmt.Errorf("MAC address of the host's side: %w", err)
	}
	if d.MAC != mac.String() {
		if err := h.requests.Make(rtnetlink.MAC(d.Index, want.HostName, mac)); err != nil {
			return err
		}
	}
	if want.MTU != 0 && d.MTU != want.MTU {
		if err := l.resize(h, d, want); err != nil {
			return err
		}
	}
	if err := l.configureHost(h, d.Index, want); err != nil {
		return err
	}
	return plain(h.Handle, &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: d.Index, Name: d.Name}})
}

// resize sets the MTU of both sides. The far one is found by its index: the workload may have renamed it.
func (l *Links) resize(h hand, d rtnetlink.Device, want table.Link) error {
	there, err := ns.GetNS(l.Root + want.Netns)
	if err != nil {
		return fmt.Errorf("enter the workload's network namespace %s: %w", want.Netns, err)
	}
	defer there.Close()
	err = there.Do(func(ns.NetNS) error {
		s, err := rtnetlink.Open()
		if err != nil {
			return err
		}
		defer s.Close()
		return s.Make(rtnetlink.MTU(d.Peer, want.Interface, want.MTU))
	})
	if err != nil {
		return fmt.Errorf("in network namespace %s: %w", want.Netns, err)
	}
	return h.requests.Make(rtnetlink.MTU(d.Index, want.HostName, want.MTU))
}

// whole repeats a list that changed while the kernel wrote it down. Should it never come to rest, the loop comes back later.
func whole[T any](list func() ([]T, error)) (rows []T, err error) {
	for range 5 {
		if rows, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return rows, err
}
