// Package found looks at further NICs that others have made, Multus with its delegates, and tells of each what the agent would know had it made it.
//
// # The world it models
//
//	Others  c1 net1  192.168.100.5           in c1: macvlan on device 3 of the node, mode bridge  ->  Found  c1 net1  macvlan on ens192, its MAC address
//	Others  c2 net1  10.7.0.5                in c2: veth, whose other side is a port of br0       ->  Found  c2 net1  bridge br0, veth3f9a
//	Others  c3 net1  10.8.0.5                in c3: nothing of this name                          ->  an error, and it is looked at again
//
// # Invariants
//
//   - What is said of a device is what the kernel says. Of the addresses only those count that both the pod's annotation and the device have: who may
//     write one of them has not got a foreign address by that.
//   - A NIC stays as it was seen first: what becomes of it later is its workload's doing.
//   - Nothing is changed.
//
// # Example
//
//	sink, err := found.New(db, root)
//	loop := &reconcile.Loop[network.Other]{Table: network.Others, Sink: sink, WaitSynced: true}
package found

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link/inside"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/network"
)

// NICs keeps table network.Found.
type NICs struct {
	db   *state.DB
	root string          // prefix of paths of network namespaces; empty: none
	host *netlink.Handle // of the node's namespace
	own  *os.File        // that namespace
	seen map[state.Key]network.Other
}

var _ reconcile.Sink[network.Other] = (*NICs)(nil)

// New opens the netlink socket of the current network namespace, which is the node's.
func New(db *state.DB, root string) (*NICs, error) {
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open the node's network namespace: %w", err)
	}
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &NICs{db: db, root: root, host: host, own: own, seen: map[state.Key]network.Other{}}, nil
}

// Dump lists the NICs that have been seen.
func (n *NICs) Dump(context.Context) (iter.Seq2[state.Key, network.Other], error) {
	return func(yield func(state.Key, network.Other) bool) {
		for key, o := range n.seen {
			if !yield(key, o) {
				return
			}
		}
	}, nil
}

// Set looks at NICs.
func (n *NICs) Set(_ context.Context, rows []network.Other) error {
	return reconcile.Each(network.Others, rows, func(o network.Other) error {
		made, err := n.look(o)
		if err != nil {
			return err
		}
		n.seen[network.Others.Key(o)] = o
		return n.db.Write(func(tx *state.Tx) error { network.Found.Put(tx, made); return nil })
	})
}

// Unset forgets NICs.
func (n *NICs) Unset(_ context.Context, rows []network.Other) error {
	return reconcile.Each(network.Others, rows, func(o network.Other) error {
		delete(n.seen, network.Others.Key(o))
		return n.db.Write(func(tx *state.Tx) error { network.Found.Delete(tx, network.Others.Key(o)); return nil })
	})
}

// Equal compares what a NIC is: whatever its definition says today, it stays.
func (n *NICs) Equal(want, have network.Other) bool {
	return want.ContainerID == have.ContainerID && want.Interface == have.Interface && want.Netns == have.Netns && want.MAC == have.MAC &&
		slices.Equal(want.Addresses, have.Addresses)
}

// look enters a pod's namespace.
func (n *NICs) look(o network.Other) (made network.Made, err error) {
	made.Want = network.Interface{
		ContainerID: o.ContainerID, First: o.First, Interface: o.Interface, Number: o.Number, Netns: o.Netns, Namespace: o.Namespace, Pod: o.Pod, UID: o.UID,
		Definition: o.Definition, Wire: o.Wire, Policy: o.Policy,
	}
	err = inside.Do(n.root+o.Netns, func(h *netlink.Handle) error {
		d, err := h.LinkByName(o.Interface)
		if err != nil {
			return fmt.Errorf("find %s, which annotation network-status tells of: %w", o.Interface, err)
		}
		a := d.Attrs()
		made.Index, made.MAC, made.MTU = a.Index, a.HardwareAddr.String(), a.MTU
		if o.MAC != "" && o.MAC != made.MAC {
			return fmt.Errorf("%s has the MAC address %s, and not %s, as annotation network-status has it", o.Interface, made.MAC, o.MAC)
		}
		has, err := h.AddrList(d, netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("list addresses of %s: %w", o.Interface, err)
		}
		for _, x := range has {
			at, _ := netip.AddrFromSlice(x.IP)
			bits, _ := x.Mask.Size()
			if at = at.Unmap(); slices.Contains(o.Addresses, at) {
				made.Addresses = append(made.Addresses, netip.PrefixFrom(at, bits))
			}
		}
		on := -1 // index of what it lies on, or of its other side, in the node's namespace
		if id, err := h.GetNetNsIdByFd(int(n.own.Fd())); err == nil && a.NetNsID >= 0 && id == a.NetNsID {
			on = a.ParentIndex
		}
		return n.describe(&made, d, on)
	})
	made.Want.Type = cmp.Or(made.Want.Type, o.Type)
	return made, err
}

// modes are those of macvlan, as its plugin calls them.
var modes = map[netlink.MacvlanMode]string{
	netlink.MACVLAN_MODE_PRIVATE: "private", netlink.MACVLAN_MODE_VEPA: "vepa", netlink.MACVLAN_MODE_BRIDGE: "bridge", netlink.MACVLAN_MODE_PASSTHRU: "passthru",
}

// describe says what a NIC is, in the words of a configuration that would make one like it.
func (n *NICs) describe(made *network.Made, d netlink.Link, on int) error {
	var below netlink.Link
	if on > 0 {
		below, _ = n.host.LinkByIndex(on) // if it has gone, so has the NIC
	}
	w, conf := &made.Want, map[string]any{}
	lies := attachment.Segment{}
	switch one := d.(type) {
	case *netlink.Macvlan:
		w.Type = "macvlan"
		if below != nil {
			w.Uplink = below.Attrs().Name
			lies = attachment.On(w.Uplink)
			conf["type"], conf["master"], conf["mode"] = w.Type, w.Uplink, cmp.Or(modes[one.Mode], "private")
		}
	case *netlink.Veth:
		if below == nil || below.Type() != "veth" || below.Attrs().ParentIndex != made.Index || below.Attrs().MasterIndex == 0 {
			break // the plugin's type says more than that it is a pair
		}
		bridge, err := n.host.LinkByIndex(below.Attrs().MasterIndex)
		if err != nil {
			return fmt.Errorf("find the bridge that %s is a port of: %w", below.Attrs().Name, err)
		}
		if bridge.Type() != "bridge" {
			break
		}
		w.Type, made.HostName = "bridge", below.Attrs().Name
		lies.Bridge = bridge.Attrs().Name
		conf["type"], conf["bridge"] = w.Type, lies.Bridge
		if n.trunk(below.Attrs().Index) {
			conf["vlanTrunk"] = []any{map[string]any{}}
		}
	default:
		w.Type = d.Type()
	}
	if len(conf) > 0 {
		text, err := json.Marshal(map[string]any{"name": w.Definition, "plugins": []any{conf}})
		if err != nil {
			return err
		}
		w.Config = string(text)
	}
	if lies != (attachment.Segment{}) {
		w.Wire = cmp.Or(w.Wire, lies.String())
	}
	return nil
}

// trunk tells whether tagged frames leave a bridge by a port.
func (n *NICs) trunk(port int) bool {
	list, err := n.host.BridgeVlanList()
	if err != nil {
		return false // this kernel's bridges know no VLANs
	}
	return slices.ContainsFunc(list[int32(port)], func(v *nl.BridgeVlanInfo) bool { return v.Flags&nl.BRIDGE_VLAN_INFO_UNTAGGED == 0 })
}
