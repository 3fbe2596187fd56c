package datapath

import (
	"testing"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/datapath/probe"
	"weftnet.io/weftnet/internal/kerneltest"
)

func TestEveryPacketOfANetkitPairMeetsOneProgramWhileProgramsAreReplaced(t *testing.T) {
	kerneltest.Needs(t, kerneltest.Netkit, probe.Netkit())
	s := newStandOf(t, netkitPair(0))
	h := netkit{linksOf(s.dir)}
	s.replace(t, h, "from_pod", s.peer)

	check(t, h.attach("from_pod", s.first, s.host))
	check(t, netlink.LinkDel(netkitPair(0)))
	if list, err := h.list(); err != nil || len(list) != 1 || list[0].ID != 0 {
		t.Errorf("the pair is gone, and attached are %v, %v", list, err)
	}
	check(t, netlink.LinkAdd(netkitPair(s.host)))
	check(t, h.attach("from_pod", s.second, s.host)) // to another pair of that number
	s.listed(t, h, "from_pod", s.second)
}

// netkitPair is a pair to make, of which the near side gets a number if it is not 0.
func netkitPair(index int) *netlink.Netkit {
	pair := &netlink.Netkit{LinkAttrs: netlink.LinkAttrs{Name: "host", Index: index}, Mode: netlink.NETKIT_MODE_L2}
	pair.SetPeerAttrs(&netlink.LinkAttrs{Name: "peer"})
	return pair
}
