// Package vlan makes the VLAN devices that further NICs lie on, and takes them away again.
//
// # The world it models
//
//	row                              the node has            then
//	ens192.100 of ens192, tag 100    ens192                  it is made, with the alias weft:vlan, and comes up
//	                                 ens192, ens192.100      it is used as it is, and stays when the row goes
//	                                 neither                 an error that names ens192
//
// A device is made under another name, weftv3.100 after its parent's index, and gets its own when it has its alias: one with such a name is what a
// crash left. The node itself has nothing to do on it: it gets no address there, answers for none, and forwards nothing.
//
// # Invariants
//
//   - Only devices with the alias, or such a name, are ever changed or removed.
//   - Nothing fails because it is there, or gone, already.
//
// # Example
//
//	sink, err := vlan.New("/proc")
//	loop := &reconcile.Loop[table.Device]{Table: table.Devices, Sink: sink}
package vlan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/state"
	table "weftnet.io/weftnet/internal/table/vlan"
)

const (
	alias = "weft:vlan"
	kind  = "vlan"
	early = "weftv" // begins the name that a device is made under
)

// settings of a device, below sys/net: the node has no business on it.
var settings = [][2]string{
	{"ipv6/conf/%s/disable_ipv6", "1"}, // no link-local address, and no router there becomes the node's
	{"ipv4/conf/%s/arp_ignore", "8"},   // the kernel answers for all of the node's addresses otherwise, on whatever device they are
	{"ipv4/conf/%s/forwarding", "0"},   // the node is no router between pods' wires and its own
}

// Devices keeps VLAN devices equal to table vlan.Devices.
type Devices struct {
	proc   string
	handle *netlink.Handle
}

var _ reconcile.Sink[table.Device] = (*Devices)(nil)

// New opens the netlink socket of the current network namespace. Empty proc: /proc.
func New(proc string) (*Devices, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &Devices{cmp.Or(proc, "/proc"), h}, nil
}

// Dump lists the devices that were made here. One that was never finished has a name that no row has.
func (d *Devices) Dump(context.Context) (iter.Seq2[state.Key, table.Device], error) {
	devices, err := d.handle.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return func(yield func(state.Key, table.Device) bool) {
		for _, one := range devices {
			if a := one.Attrs(); ours(one) && !yield(state.Join(a.Name), table.Device{Name: a.Name, On: a.ParentIndex}) {
				return
			}
		}
	}, nil
}

func ours(d netlink.Link) bool {
	a := d.Attrs()
	return d.Type() == kind && (a.Alias == alias || strings.HasPrefix(a.Name, early))
}

// Equal compares what a device lies on.
func (d *Devices) Equal(want, have table.Device) bool {
	return want.Name == have.Name && want.On == have.On
}

// Set makes devices.
func (d *Devices) Set(_ context.Context, rows []table.Device) error {
	return reconcile.Each(table.Devices, rows, d.ensure)
}

// Unset removes those that were made here.
func (d *Devices) Unset(_ context.Context, rows []table.Device) error {
	return reconcile.Each(table.Devices, rows, d.remove)
}

// find is a device of a name; nil: there is none.
func (d *Devices) find(name string) (netlink.Link, error) {
	found, err := d.handle.LinkByName(name)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("find device %s: %w", name, err)
	}
	return found, nil
}

func (d *Devices) remove(row table.Device) error {
	found, err := d.find(row.Name)
	if err != nil || found == nil || !ours(found) {
		return err
	}
	if err := d.handle.LinkDel(found); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove VLAN device %s: %w", row.Name, err)
	}
	return nil
}

func (d *Devices) ensure(want table.Device) error {
	there, err := d.find(want.Name)
	if err != nil || there != nil && !ours(there) {
		return err // it is used as it is
	}
	if there == nil {
		there, err = d.create(want)
	}
	if err != nil {
		return err
	}
	if err := d.handle.LinkSetUp(there); err != nil {
		return fmt.Errorf("set VLAN device %s up: %w (is %s up?)", want.Name, err, want.Parent)
	}
	return nil
}

func (d *Devices) create(want table.Device) (netlink.Link, error) {
	parent, err := d.find(want.Parent)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return nil, fmt.Errorf("this node has neither a device %s, which NICs are to lie on, nor %s, of which it would be VLAN %d: correct master in the NetworkAttachmentDefinition, or give the node the device", want.Name, want.Parent, want.Tag)
	}
	name := fmt.Sprintf("%s%d.%d", early, parent.Attrs().Index, want.Tag)
	made, err := d.find(name)
	if err != nil {
		return nil, err
	}
	if made == nil {
		if err := d.handle.LinkAdd(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: name, ParentIndex: parent.Attrs().Index, TxQLen: -1}, VlanId: want.Tag, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}); err != nil {
			return nil, d.explain(want, parent, err)
		}
		if made, err = d.handle.LinkByName(name); err != nil {
			return nil, fmt.Errorf("find device %s just made: %w", name, err)
		}
	}
	if err := d.handle.LinkSetAlias(made, alias); err != nil {
		return nil, fmt.Errorf("set alias of %s: %w", name, err)
	}
	for _, s := range settings {
		if err := link.WriteSysctl(d.proc, fmt.Sprintf(s[0], name), s[1]); err != nil {
			return nil, fmt.Errorf("keep the node itself off VLAN device %s: %w", want.Name, err)
		}
	}
	if err := d.handle.LinkSetName(made, want.Name); err != nil {
		return nil, fmt.Errorf("name VLAN device %s: %w", want.Name, err)
	}
	return d.handle.LinkByName(want.Name)
}

// explain says what keeps the kernel from making a device.
func (d *Devices) explain(want table.Device, parent netlink.Link, err error) error {
	err = fmt.Errorf("make VLAN device %s on %s: %w", want.Name, want.Parent, err)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: this node's kernel has no VLANs: it lacks the module 8021q (CONFIG_VLAN_8021Q)", err)
	}
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	devices, listed := d.handle.LinkList()
	if listed != nil {
		return errors.Join(err, listed)
	}
	for _, other := range devices {
		if v, ok := other.(*netlink.Vlan); ok && v.ParentIndex == parent.Attrs().Index && v.VlanId == want.Tag {
			return fmt.Errorf("%w: VLAN %d of %s is the node's device %s: write that as master into the NetworkAttachmentDefinition", err, want.Tag, want.Parent, v.Name)
		}
	}
	return err
}
