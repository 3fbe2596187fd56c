// Package silence keeps NICs from sending while their addresses may be another node's.
//
// # The world it models
//
// A silent NIC has a queue that drops whatever is sent, ARP and neighbour advertisements too, so nothing on the wire takes it for the owner of its addresses. It
// keeps addresses and routes, and speaks again as if nothing had been:
//
//	$ tc qdisc show dev net1
//	qdisc blackhole 8001: root refcnt 2
//
// # Invariants
//
//   - Everything may be repeated, and a NIC or a namespace that is gone is silent enough.
//   - A process with NET_ADMIN in the namespace can take the queue away; the next comparison puts it back.
//
// # Example
//
//	loop := &reconcile.Loop[grant.Silence]{Table: grant.Silences, Sink: &silence.NICs{DB: db}, WaitSynced: true}
package silence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link/inside"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

const queue = "blackhole"

// NICs are those that plugins have made.
type NICs struct {
	DB   *state.DB
	Root string // prefix of host paths of network namespaces; empty: none
}

var _ reconcile.Sink[grant.Silence] = (*NICs)(nil)

// Dump looks at all NICs whose addresses were granted.
func (n *NICs) Dump(context.Context) (iter.Seq2[state.Key, grant.Silence], error) {
	list := map[state.Key]grant.Silence{}
	for m := range network.Finished.All(n.DB.Snapshot()) {
		if m.Want.Terms.Type == "" {
			continue
		}
		row := grant.Silence{ContainerID: m.Want.ContainerID, Interface: m.Want.Interface, Netns: m.Want.Netns}
		err := n.in(row, func(h *netlink.Handle, d netlink.Link) error {
			q, err := silent(h, d)
			if q != nil {
				list[grant.Silences.Key(row)] = row
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return maps.All(list), nil
}

// Set silences NICs.
func (n *NICs) Set(_ context.Context, rows []grant.Silence) error {
	return n.each(rows, func(h *netlink.Handle, d netlink.Link) error {
		if q, err := silent(h, d); err != nil || q != nil {
			return err
		}
		return h.QdiscReplace(&netlink.GenericQdisc{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: d.Attrs().Index, Parent: netlink.HANDLE_ROOT}, QdiscType: queue})
	})
}

// Unset lets NICs speak.
func (n *NICs) Unset(_ context.Context, rows []grant.Silence) error {
	return n.each(rows, func(h *netlink.Handle, d netlink.Link) error {
		q, err := silent(h, d)
		if err != nil || q == nil {
			return err
		}
		return h.QdiscDel(q)
	})
}

func (n *NICs) each(rows []grant.Silence, do func(*netlink.Handle, netlink.Link) error) error {
	var errs []error
	for _, row := range rows {
		if err := n.in(row, do); err != nil {
			errs = append(errs, &reconcile.RowError{Key: grant.Silences.Key(row), Err: err})
		}
	}
	return errors.Join(errs...)
}

// in does something to a NIC that is there.
func (n *NICs) in(row grant.Silence, do func(*netlink.Handle, netlink.Link) error) error {
	if _, err := os.Stat(n.Root + row.Netns); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := inside.Do(n.Root+row.Netns, func(h *netlink.Handle) error {
		d, err := h.LinkByName(row.Interface)
		if err == nil {
			err = do(h, d)
		}
		if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("silence %s of container %s: %w", row.Interface, row.ContainerID, err)
	}
	return nil
}

// silent is the queue that drops all; nil: there is none.
func silent(h *netlink.Handle, d netlink.Link) (netlink.Qdisc, error) {
	list, err := h.QdiscList(d)
	for _, q := range list {
		if q.Type() == queue && q.Attrs().Parent == netlink.HANDLE_ROOT {
			return q, nil
		}
	}
	return nil, err
}
