package route

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/neighbor"
)

// Neighbors makes the kernel know the link-layer addresses of the nodes of neighbor.Table at all times, in the network namespace it was
// made in. A managed neighbour entry (NTF_EXT_MANAGED, Linux 5.16) is resolved by the kernel itself, again and again, whether or not
// packets go there; one that was learned elsewhere (NTF_EXT_LEARNED) counts for no limit of the table and is not collected. Entries with
// both marks are ours: the kernel makes none. A permanent one, which an administrator has set, is never changed: it is known already.
type Neighbors struct{ handle *netlink.Handle }

// NewNeighbors opens the netlink socket of the current network namespace.
func NewNeighbors() (*Neighbors, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &Neighbors{h}, nil
}

// Loop keeps neighbor.Table.
func (s *Neighbors) Loop() *reconcile.Loop[neighbor.Neighbor] {
	return &reconcile.Loop[neighbor.Neighbor]{Table: neighbor.Table, Sink: s}
}

// Dump lists our entries.
func (s *Neighbors) Dump(context.Context) (iter.Seq2[state.Key, neighbor.Neighbor], error) {
	all, err := s.list()
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	links, err := s.handle.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return func(yield func(state.Key, neighbor.Neighbor) bool) {
		for _, n := range all {
			row := neighbor.Neighbor{Address: address(n.IP), Device: names[n.LinkIndex]}
			if ours(n) && !yield(neighbor.Table.Key(row), row) {
				return
			}
		}
	}, nil
}

func (s *Neighbors) list() ([]netlink.Neigh, error) {
	all, err := s.handle.NeighList(0, unix.AF_UNSPEC)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // the loop compares again
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	return all, nil
}

func ours(n netlink.Neigh) bool {
	return n.FlagsExt&netlink.NTF_EXT_MANAGED != 0 && n.Flags&netlink.NTF_EXT_LEARNED != 0
}

// Set adds entries. One of ours at another device goes first.
func (s *Neighbors) Set(_ context.Context, rows []neighbor.Neighbor) error {
	all, err := s.list()
	if err != nil {
		return err
	}
	permanent, elsewhere := map[string]bool{}, map[netip.Addr]netlink.Neigh{}
	for _, n := range all {
		if n.State&netlink.NUD_PERMANENT != 0 {
			permanent[fmt.Sprint(n.LinkIndex, address(n.IP))] = true
		} else if ours(n) {
			elsewhere[address(n.IP)] = n
		}
	}
	return each(rows, neighbor.Table.Key, func(r neighbor.Neighbor) error {
		link, err := s.handle.LinkByName(r.Device)
		if err != nil {
			return fmt.Errorf("find device %s: %w", r.Device, err)
		}
		index := link.Attrs().Index
		if old, ok := elsewhere[r.Address]; ok && old.LinkIndex != index {
			_ = s.handle.NeighDel(&old)
		}
		if permanent[fmt.Sprint(index, r.Address)] {
			return nil
		}
		err = s.handle.NeighSet(&netlink.Neigh{LinkIndex: index, IP: r.Address.AsSlice(), Flags: netlink.NTF_EXT_LEARNED, FlagsExt: netlink.NTF_EXT_MANAGED})
		if err != nil {
			return fmt.Errorf("let the kernel keep neighbour %s dev %s: %w", r.Address, r.Device, err)
		}
		return nil
	})
}

// Unset removes entries of ours.
func (s *Neighbors) Unset(_ context.Context, rows []neighbor.Neighbor) error {
	all, err := s.list()
	if err != nil {
		return err
	}
	have := map[netip.Addr]netlink.Neigh{}
	for _, n := range all {
		if ours(n) {
			have[address(n.IP)] = n
		}
	}
	return each(rows, neighbor.Table.Key, func(r neighbor.Neighbor) error {
		n, there := have[r.Address]
		if !there {
			return nil
		}
		if err := s.handle.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("delete neighbour %s dev %s: %w", r.Address, r.Device, err)
		}
		return nil
	})
}

// Clear removes all entries of ours and tells how many there were.
func (s *Neighbors) Clear(ctx context.Context) (int, error) {
	dump, err := s.Dump(ctx)
	if err != nil {
		return 0, err
	}
	var rows []neighbor.Neighbor
	for _, r := range dump {
		rows = append(rows, r)
	}
	return len(rows), s.Unset(ctx, rows)
}
