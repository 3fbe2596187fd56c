package xdp

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// UnfitError says why a device has not the program. What the program would send on goes by tc.
type UnfitError struct{ Device, Why string }

func (e *UnfitError) Error() string { return "device " + e.Device + ": " + e.Why }

// From include/uapi/linux/netdev.h and if_link.h of the kernel.
const (
	netdevGet         = 1 // NETDEV_CMD_DEV_GET
	netdevIfindex     = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
	attachedGeneric   = 2 // XDP_ATTACHED_SKB

	runsPrograms = 1 // NETDEV_XDP_ACT_BASIC: the driver runs programs, and sends what they turn back
	takesFrames  = 4 // NETDEV_XDP_ACT_NDO_XMIT: it takes frames that other devices' programs send to it
)

// errUnknown is that of a kernel before 6.3, which does not tell what a driver can.
var errUnknown = errors.New("this kernel does not tell what drivers do with XDP (Linux 6.3 and later do)")

// unfit tells why a device is not to have the program; nil: it may.
//
// A frame that the program turns back on a veth pair goes to the other end, which takes none unless it has a program of XDP itself or
// receives in batches (GRO): without a word it would be lost (veth_xdp_xmit in drivers/net/veth.c). Of all other drivers that run
// programs the kernel demands that they send what is turned back.
func unfit(device netlink.Link, generic bool) error {
	if generic {
		return nil
	}
	name, pair := device.Attrs().Name, device.Type() == "veth"
	can, err := features(device.Attrs().Index)
	switch {
	case errors.Is(err, errUnknown) && pair:
		return &UnfitError{name, "whether the other end of the pair takes frames is not known: " + err.Error()}
	case errors.Is(err, errUnknown):
		return nil // it is tried
	case err != nil:
		return fmt.Errorf("device %s: ask what its driver does with XDP: %w", name, err)
	case can&runsPrograms == 0:
		return &UnfitError{name, "its driver has no XDP"}
	case pair && can&takesFrames == 0:
		return &UnfitError{name, "the other end of the pair takes no frames of XDP: it has neither a program of XDP nor GRO (ethtool -K DEVICE gro on, there)"}
	}
	return nil
}

// features are what a driver does with XDP.
func features(ifindex int) (uint64, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if errors.Is(err, os.ErrNotExist) {
		return 0, errUnknown
	}
	if err != nil {
		return 0, err
	}
	request := nl.NewNetlinkRequest(int(family.ID), 0)
	request.AddData(&nl.Genlmsg{Command: netdevGet, Version: 1})
	request.AddData(nl.NewRtAttr(netdevIfindex, nl.Uint32Attr(uint32(ifindex))))
	messages, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		attributes, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, err
		}
		for _, a := range attributes {
			if a.Attr.Type == netdevXDPFeatures && len(a.Value) >= 8 {
				return nl.NativeEndian().Uint64(a.Value), nil
			}
		}
	}
	return 0, errors.New("the kernel has not answered")
}
