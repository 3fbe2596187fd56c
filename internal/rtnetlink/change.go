package rtnetlink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Change is a request to the kernel, and what it is in words.
type Change struct {
	What    string
	Request *nl.NetlinkRequest
	Exists  bool // it is no error that there is one already
}

// Make makes changes, in order. The error is that of the first which fails; those after it are made all the same.
func (s *Socket) Make(changes ...Change) error {
	requests := make([]*nl.NetlinkRequest, len(changes))
	for i, c := range changes {
		requests[i] = c.Request
	}
	for i, err := range s.Do(requests...) {
		if c := changes[i]; err != nil && !(c.Exists && errors.Is(err, unix.EEXIST)) {
			return fmt.Errorf("%s: %w", c.What, err)
		}
	}
	return nil
}

// ChangeOf is a request that changes a device.
func ChangeOf(index int, flags uint32, more ...nl.NetlinkRequestData) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index, head.Flags, head.Change = int32(index), flags, flags
	r.AddData(head)
	for _, data := range more {
		r.AddData(data)
	}
	return r
}

// End is one side of a pair of devices.
type End struct {
	Name  string
	MAC   net.HardwareAddr
	MTU   int // 0: the kernel's
	Netns int // file descriptor of the network namespace it is born in; 0: the socket's
}

func (e End) describe(attribute func(kind int, value []byte) *nl.RtAttr) {
	attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(e.Name))
	attribute(unix.IFLA_ADDRESS, e.MAC)
	attribute(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1))
	attribute(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1))
	if e.MTU > 0 {
		attribute(unix.IFLA_MTU, nl.Uint32Attr(uint32(e.MTU)))
	}
	if e.Netns > 0 {
		attribute(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(e.Netns)))
	}
}

// Veth makes a pair of veth devices with one queue each.
func Veth(near, far End) Change {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	near.describe(func(kind int, value []byte) *nl.RtAttr {
		a := nl.NewRtAttr(kind, value)
		r.AddData(a)
		return a
	})
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	far.describe(peer.AddRtAttr)
	r.AddData(info)
	return Change{What: "make veth pair " + near.Name, Request: r}
}

// Netkit is a pair of netkit devices whose far side sends nothing until a program is there, and both sides of which speak Ethernet, as those
// of a veth pair do.
func Netkit(near, far End) netlink.Link {
	of := func(e End) netlink.LinkAttrs {
		return netlink.LinkAttrs{Name: e.Name, HardwareAddr: e.MAC, MTU: e.MTU, TxQLen: -1, NumTxQueues: 1, NumRxQueues: 1}
	}
	p := &netlink.Netkit{
		LinkAttrs: of(near), Mode: netlink.NETKIT_MODE_L2, Policy: netlink.NETKIT_POLICY_FORWARD,
		PeerPolicy: netlink.NETKIT_POLICY_BLACKHOLE, Scrub: netlink.NETKIT_SCRUB_DEFAULT, PeerScrub: netlink.NETKIT_SCRUB_DEFAULT,
	}
	there := of(far)
	there.Namespace = netlink.NsFd(far.Netns)
	p.SetPeerAttrs(&there)
	return p
}

// Up brings a device up.
func Up(index int, name string) Change {
	return Change{What: "set " + name + " up", Request: ChangeOf(index, unix.IFF_UP)}
}

// Alias writes on a device whose it is.
func Alias(index int, name, text string) Change {
	return Change{What: "set alias of " + name, Request: ChangeOf(index, 0, nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(text)))}
}

// MAC gives a device another MAC address.
func MAC(index int, name string, mac net.HardwareAddr) Change {
	return Change{What: "set MAC address of " + name, Request: ChangeOf(index, 0, nl.NewRtAttr(unix.IFLA_ADDRESS, mac))}
}

// MTU gives a device another MTU.
func MTU(index int, name string, mtu int) Change {
	return Change{What: fmt.Sprintf("set MTU of %s to %d", name, mtu), Request: ChangeOf(index, 0, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))}
}

// Destroy deletes a device.
func (s *Socket) Destroy(index int) error {
	r := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(index)
	r.AddData(head)
	return s.Do(r)[0]
}

// Neighbour is a permanent entry of the neighbour table.
func Neighbour(index int, name string, a netip.Addr, mac net.HardwareAddr) Change {
	r := nl.NewNetlinkRequest(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	r.AddData(&netlink.Ndmsg{Family: family(a), Index: uint32(index), State: netlink.NUD_PERMANENT})
	r.AddData(nl.NewRtAttr(netlink.NDA_DST, a.AsSlice()))
	r.AddData(nl.NewRtAttr(netlink.NDA_LLADDR, mac))
	return Change{What: fmt.Sprintf("neighbour %s on %s", a, name), Request: r}
}

// Address is one of a workload. It is there at once: no other machine has it.
func Address(index int, a netip.Addr) Change {
	r := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	head := nl.NewIfAddrmsg(int(family(a)))
	head.Index, head.Prefixlen = uint32(index), uint8(a.BitLen())
	if a.Is6() {
		head.Flags = unix.IFA_F_NODAD
	}
	r.AddData(head)
	r.AddData(nl.NewRtAttr(unix.IFA_LOCAL, a.AsSlice()))
	r.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, a.AsSlice()))
	return Change{What: "add address " + a.String(), Request: r}
}

// Route is a route by a device in the main table.
func Route(index int, to netip.Prefix, scope uint8, flags uint32, more ...nl.NetlinkRequestData) Change {
	r := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	head := nl.NewRtMsg()
	head.Family, head.Dst_len, head.Scope, head.Flags = family(to.Addr()), uint8(to.Bits()), scope, flags
	r.AddData(head)
	r.AddData(nl.NewRtAttr(unix.RTA_DST, to.Addr().AsSlice()))
	for _, data := range more {
		r.AddData(data)
	}
	r.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	return Change{What: "add route " + to.String(), Request: r}
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
