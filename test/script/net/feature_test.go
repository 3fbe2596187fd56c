package net

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/kerneltest"
	"weftnet.io/weftnet/internal/nettest/netns"
)

// device is one that not every kernel can make.
type device struct {
	kerneltest.Feature
	make func() error
}

// devices by the condition that asks for them. $no_NAME says why there is none.
var devices = map[string]device{
	"vlan": {kerneltest.VLAN, above(func(below int) netlink.Link {
		return &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "tried", ParentIndex: below}, VlanId: 5}
	})},
	"ipvlan": {kerneltest.IPVLAN, above(func(below int) netlink.Link {
		return &netlink.IPVlan{LinkAttrs: netlink.LinkAttrs{Name: "tried", ParentIndex: below}, Mode: netlink.IPVLAN_MODE_L2}
	})},
	"geneve": {kerneltest.Geneve, func() error {
		return netlink.LinkAdd(&netlink.Geneve{LinkAttrs: netlink.LinkAttrs{Name: "tried"}, FlowBased: true})
	}},
	"vrf": {kerneltest.VRF, func() error {
		return netlink.LinkAdd(&netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "tried"}, Table: 5})
	}},
	"dummy": {kerneltest.Dummy, func() error {
		return netlink.LinkAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "tried"}})
	}},
	"bridge_vlan": {kerneltest.Bridge, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "tried"}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return fmt.Errorf("make a bridge to try VLANs on: %w", err)
		}
		if err := netlink.BridgeSetVlanFiltering(bridge, true); err != nil {
			return err
		}
		l, err := netlink.LinkByName("tried")
		if b, ok := l.(*netlink.Bridge); err == nil && (!ok || b.VlanFiltering == nil || !*b.VlanFiltering) {
			return unix.EOPNOTSUPP // a kernel without takes no notice of it
		}
		return err
	}},
}

// above makes a device on another one.
func above(of func(below int) netlink.Link) func() error {
	return func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "below"}, PeerName: "peer"}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("make a pair to try a device on: %w", err)
		}
		return netlink.LinkAdd(of(pair.Index))
	}
}

// makes tells whether a device of a feature can be made, in a namespace of its own.
func makes(f kerneltest.Feature, device func() error) (bool, error) {
	ns, err := netns.NewNamespace("device", false)
	if err != nil {
		return false, err
	}
	defer ns.Close()
	if err = ns.Do(device); !errors.Is(err, unix.EOPNOTSUPP) {
		return err == nil, err
	}
	skip, why, err := kerneltest.Lacks(f)
	if err == nil && !skip {
		err = errors.New(why)
	}
	return false, err
}
