package packet

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/packet"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

// uplink NAME makes a device of the node that NICs may share; member UPLINK NAME MAC ADDRESSES identity=N network=N is such a NIC. Frames
// that tests make have no sign, so that of a NIC is 0, unless unsigned is said: then frames with its address are not its own. Of one that is
// audited nothing is dropped. port DEVICE NAME MAC ADDRESSES identity=N network=N makes a device that is the port of such a NIC in a bridge; frames to
// it are of another port if signed is said, and tagged ones pass if it is a trunk. port DEVICE MAC is one without policy, for that MAC address. inside NAME says whose programs from_nic and to_nic are from now on, with the sign of what comes by the wire.
var (
	_ = declare("uplink", opened(func(b *bench, ts *testscript.TestScript, args []string) {
		ifindex, err := b.addDevice(args[0])
		ts.Check(err)
		b.devices[args[0]] = table.NIC{Ifindex: ifindex}
		ts.Check(b.station(ifindex, "00:00:00:00:00:00", abi.Station{Flags: abi.StationNode}))
		ts.Check(b.station(ifindex, packet.DstMAC.String(), abi.Station{Flags: abi.StationNode}))
	}))
	_ = declare("member", opened(member))
	_ = declare("port", opened(port))
	_ = declare("inside", with(func(b *bench, ts *testscript.TestScript, args []string) {
		row := b.devices[args[0]]
		b.tell("inside", abi.NicConfig{Nic: row.Ifindex, Uplink: b.uplinks[args[0]], WireSign: number(cmp.Or(options(args)["wire"], "9"))})
		b.changed = true
		ts.Check(b.dp.Reload(b.config))
	}))
)

func (b *bench) station(uplink uint32, mac string, s abi.Station) error {
	m, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	key := abi.StationKey{Uplink: uplink}
	copy(key.Mac[:], m)
	return b.dp.Map("stations").Put(key, s)
}

func member(b *bench, ts *testscript.TestScript, args []string) {
	row := b.member(ts, args[1:])
	s := abi.Station{Nic: row.Ifindex}
	if slices.Contains(args, "apart") {
		s.Flags |= abi.StationApart
	}
	if slices.Contains(args, "audited") {
		s.Flags |= abi.StationAudited
	}
	if slices.Contains(args, "unsigned") {
		s.Sign, s.GroupSign = 1, 2
	}
	uplink := b.devices[args[0]].Ifindex
	ts.Check(b.station(uplink, args[2], s))
	if b.uplinks == nil {
		b.uplinks = map[string]uint32{}
	}
	b.devices[args[1]], b.uplinks[args[1]] = row, uplink
	ts.Check(b.enforce(args[1]))
}

func port(b *bench, ts *testscript.TestScript, args []string) {
	ifindex, err := b.addDevice(args[0])
	ts.Check(err)
	s := abi.Station{Flags: abi.StationPort, Sign: 1}
	if len(args) == 2 {
		s.Flags |= abi.StationNode
		ts.Check(b.station(ifindex, args[1], s))
		ts.Check(b.station(ifindex, "00:00:00:00:00:00", s))
		b.devices[args[0]] = table.NIC{Ifindex: ifindex}
		return
	}
	row := b.member(ts, args[1:])
	s.Nic = row.Ifindex
	for word, flag := range map[string]abi.StationFlag{"trunk": abi.StationTrunk, "audited": abi.StationAudited} {
		if slices.Contains(args, word) {
			s.Flags |= flag
		}
	}
	if slices.Contains(args, "signed") {
		s.Sign = row.Network // such that their sign is 0
	}
	ts.Check(b.station(ifindex, "00:00:00:00:00:00", s))
	b.devices[args[0]], b.devices[args[1]] = table.NIC{Ifindex: ifindex}, row
	ts.Check(b.enforce(args[1]))
}

// member writes what the kernel knows of a NIC, whose name, MAC address and addresses these are, and lets it allow everything.
func (b *bench) member(ts *testscript.TestScript, args []string) table.NIC {
	o := options(args)
	name, id, network := args[0], identity.Number(number(o["identity"])), number(cmp.Or(o["network"], "7"))
	b.members++
	row := table.NIC{
		Device: name, Ifindex: abi.NicInside | b.members, Incarnation: 0x40000000 | b.members, Identity: id, Network: network,
		MAC: args[1], HostMAC: "00:00:00:00:00:00",
	}
	for _, a := range addrs(args[2]) {
		if a.Is4() {
			row.IPv4 = a
		} else {
			row.IPv6 = a
		}
		ts.Check(b.ipcache.Set(context.Background(), []table.IPCacheRow{{
			Network: network, Prefix: netip.PrefixFrom(a, a.BitLen()), Identity: id, Ifindex: row.Ifindex, Flags: table.IPCacheLocal | table.IPCacheCluster,
		}}))
	}
	for _, d := range []policy.Direction{policy.Ingress, policy.Egress} {
		b.entries[name] = append(b.entries[name], policy.Entry{Direction: d, Verdict: policy.Allow, Match: policy.MatchAll})
	}
	return row
}
