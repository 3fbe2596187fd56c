package delegate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/sink/link/conflict"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

// ask asks on the wire whether the addresses that a NIC is to have are free, while other things are done. What it gives says that one is taken.
func (d *Delegates) ask(ctx context.Context, want network.Interface) <-chan error {
	free := make(chan error, 1)
	go func() { free <- d.taken(ctx, want) }()
	return free
}

func (d *Delegates) taken(ctx context.Context, want network.Interface) error {
	var addresses []netip.Addr
	for _, p := range want.Addresses {
		addresses = append(addresses, p.Addr().Unmap())
	}
	if want.DHCP != "" || len(addresses) == 0 || d.Probe == nil || d.Probe() == conflict.Off {
		return nil // a server says which, or a plugin
	}
	if other, a := d.neighbor(want, addresses); other != "" {
		err := fmt.Errorf("%s is that of pod %s, on the same wire (%s): give one of them another", a, other, want.Wire)
		return d.exchange(want, a, "pod "+other+", on the same wire ("+want.Wire+")", err)
	}
	device, ok := d.wire(want)
	if !ok || want.Owner.Machine { // while a machine moves, its pod on another node has the address, too
		return nil
	}
	found, err := conflict.Probe(ctx, device, addresses, d.Probe())
	if found != nil && found.MAC.String() != want.MAC { // with the very MAC address it is the same machine, which is on its way here
		return d.exchange(want, found.Address, fmt.Sprintf("the machine %s on %s", found.MAC, want.Wire), &conflict.Error{Found: *found, Wire: want.Wire})
	}
	if err != nil {
		d.Log.Warn("addresses are used without having been asked for on the wire", "pod", want.Namespace+"/"+want.Pod, "nic", want.Interface, "error", err)
	}
	return nil
}

// exchange has a NIC granted another address in place of one that is taken, where that may be.
func (d *Delegates) exchange(want network.Interface, a netip.Addr, by string, why error) error {
	if !want.Terms.Exchanges(a) {
		return why
	}
	t := grant.Taken{
		ContainerID: want.ContainerID, First: want.First, Interface: want.Interface, Namespace: want.Namespace, Pod: want.Pod, UID: want.UID, Address: a, By: by,
	}
	if err := d.DB.Write(func(tx *state.Tx) error { grant.TakenAddresses.Put(tx, t); return nil }); err != nil {
		return errors.Join(why, err)
	}
	return errors.New(t.Text())
}

// announce tells the wire of a NIC's addresses where that is asked as RFC 5227 has it. It runs in the workload's namespace.
func (d *Delegates) announce(made network.Made) {
	if d.Probe == nil || d.Probe() != conflict.Whole {
		return
	}
	mac, err := net.ParseMAC(made.MAC)
	if err != nil {
		return // it is no device that speaks ARP
	}
	var addresses []netip.Addr
	for _, p := range made.Addresses {
		addresses = append(addresses, p.Addr().Unmap())
	}
	conflict.Announce(conflict.Device{Index: made.Index, MAC: mac}, addresses)
}

// neighbor is another pod of this node whose NIC on the same wire has one of these addresses. NICs on one uplink do not hear what the uplink asks.
func (d *Delegates) neighbor(want network.Interface, addresses []netip.Addr) (pod string, taken netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.have {
		w := r.Made.Want
		if r.Pending || w.Wire != want.Wire || w.ContainerID == want.ContainerID && w.Interface == want.Interface || w.Owner != (network.Owner{}) && w.Owner == want.Owner && w.Namespace == want.Namespace {
			continue
		}
		for _, p := range r.Made.Addresses {
			if a := p.Addr().Unmap(); slices.Contains(addresses, a) {
				return w.Namespace + "/" + w.Pod, a
			}
		}
	}
	return "", taken
}

// wire is the device of the node behind which the NIC's wire begins. Not ok: it is not there before the NIC is, or not the node's.
func (d *Delegates) wire(want network.Interface) (at conflict.Device, ok bool) {
	name := want.Uplink
	if want.Type == "bridge" {
		var conf struct {
			Plugins []struct {
				Bridge string `json:"bridge"`
				VLAN   int    `json:"vlan"`
			} `json:"plugins"`
		}
		if json.Unmarshal([]byte(want.Config), &conf) != nil || len(conf.Plugins) == 0 || conf.Plugins[0].VLAN != 0 {
			return at, false
		}
		name = conf.Plugins[0].Bridge
	}
	if name == "" || want.Type == "vlan" || want.Type == "host-device" {
		return at, false
	}
	l, err := netlink.LinkByName(name)
	if err != nil || len(l.Attrs().HardwareAddr) != 6 {
		return at, false
	}
	return conflict.Device{Index: l.Attrs().Index, MAC: l.Attrs().HardwareAddr}, true
}
