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
// A NIC is found by its index, since who runs in the namespace may rename it. KubeVirt does, and gives its name and its MAC address to another device:
//
//	3: net1-nic  02:5a:11:00:00:02  master k6t-net1   the NIC
//	5: net1      02:00:0a:00:c8:0a  dummy              none
//
// # Invariants
//
//   - Everything may be repeated, and a NIC or a namespace that is gone is silent enough.
//   - A device of that index in a namespace where nothing has the NIC's MAC address is another's, and is left alone.
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
	"slices"

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
		row := m.Silence()
		err := n.in(row, func(h *netlink.Handle, d netlink.Link, other error) error {
			if other != nil {
				return nil
			}
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
	return n.each(rows, func(h *netlink.Handle, d netlink.Link, other error) error {
		if other != nil {
			return other
		}
		if q, err := silent(h, d); err != nil || q != nil {
			return err
		}
		return h.QdiscReplace(&netlink.GenericQdisc{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: d.Attrs().Index, Parent: netlink.HANDLE_ROOT}, QdiscType: queue})
	})
}

// Unset lets NICs speak.
func (n *NICs) Unset(_ context.Context, rows []grant.Silence) error {
	return n.each(rows, func(h *netlink.Handle, d netlink.Link, other error) error {
		if other != nil {
			return nil
		}
		q, err := silent(h, d)
		if err != nil || q == nil {
			return err
		}
		return h.QdiscDel(q)
	})
}

// doer does something to the device of a NIC's index; other says that it is not the NIC.
type doer func(h *netlink.Handle, d netlink.Link, other error) error

func (n *NICs) each(rows []grant.Silence, do doer) error {
	return reconcile.Each(grant.Silences, rows, func(row grant.Silence) error { return n.in(row, do) })
}

// in does something to a NIC that is there.
func (n *NICs) in(row grant.Silence, do doer) error {
	if _, err := os.Stat(n.Root + row.Netns); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := inside.Do(n.Root+row.Netns, func(h *netlink.Handle) error {
		d, err := find(h, row)
		if err == nil {
			var other error
			if other, err = stranger(h, d, row); err == nil {
				err = do(h, d, other)
			}
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

// find finds the device of a NIC.
func find(h *netlink.Handle, row grant.Silence) (netlink.Link, error) {
	if row.Index == 0 {
		return h.LinkByName(row.Interface)
	}
	return h.LinkByIndex(row.Index)
}

// stranger says that a device is not the NIC that was made.
func stranger(h *netlink.Handle, d netlink.Link, row grant.Silence) (other, err error) {
	has := func(d netlink.Link) bool { return d.Attrs().HardwareAddr.String() == row.MAC }
	if row.Index == 0 || row.MAC == "" || has(d) {
		return nil, nil
	}
	list, err := h.LinkList() // the NIC's may be at a device that stands for it
	if err != nil || slices.ContainsFunc(list, has) {
		return nil, err
	}
	return fmt.Errorf("device %d of the pod, %s, has the MAC %s, and no device there has %s, which the NIC was made with", row.Index, d.Attrs().Name, d.Attrs().HardwareAddr, row.MAC), nil
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
