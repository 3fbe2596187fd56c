package packet

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath"
	derived "weftnet.io/weftnet/internal/derive/policy"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/packet"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/sink/bpfmap/exempt"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/oracle"
)

// bench is one script's kernel: a network namespace of its own on a thread of its own, and a datapath that no other uses meanwhile.
type bench struct {
	before  []exempt.Connection // open when the firewall comes
	work    chan func()
	config  datapath.Config
	changed bool // the datapath is not what was loaded
	still   still
	ends    int // of connections, that the kernel has told of since command ends
	dp      *loaded
	tables  *table.Tables
	db      *state.DB
	ipcache *bpfmap.IPCache
	nics    *bpfmap.NICs
	sets    *bpfmap.Sets
	lb      *bpfmap.Services
	events  *ringbuf.Reader

	xdp     bool   // program xdp sees what comes by devices of the node first
	turned  int    // packets that it has led on
	left    string // the last packet that was let go
	devices map[string]table.NIC
	entries map[string][]policy.Entry
	ranges  map[string][]policy.Range
	uplinks map[string]uint32 // by the name of a NIC that shares one
	members uint32            // such NICs

	signers map[string]*ebpf.Program // by the program that they go on with
	kept    []io.Closer

	world *oracle.World       // that of the last command world
	lists map[uint32][]string // rules by the number of their list
	calls int
}

func newBench() (*bench, error) {
	b := &bench{work: make(chan func()), signers: map[string]*ebpf.Program{}, devices: map[string]table.NIC{}, entries: map[string][]policy.Entry{}, ranges: map[string][]policy.Range{}}
	b.config = datapath.Config{
		NATPortMin: 10000, NATPortMax: 29999, EventsPerSecond: 1_000_000, World4: uint32(identity.WorldIPv4), World6: uint32(identity.WorldIPv6),
		Loopback4: netip.MustParseAddr("169.254.42.1"), Loopback6: netip.MustParseAddr("fd57:4546:54::1"),
		// Of connections so many that those that are opening hardly take each other's places, by chance.
		Entries: map[string]uint32{"connections": 65536, "translations": 1024, "fragments": 256, "ipcache": 1024, "policies": 1024, "sets": 1024},
	}
	started := make(chan error)
	go func() { // its thread has left the namespace of the others and is never given back
		runtime.LockOSThread()
		started <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range b.work {
			f()
		}
	}()
	return b, <-started
}

func (b *bench) do(f func() error) error {
	done := make(chan error)
	b.work <- func() { done <- f() }
	return <-done
}

func (b *bench) close() {
	for _, k := range b.kept {
		k.Close()
	}
	if b.dp != nil {
		_, err := b.drain()
		b.events.Close()
		b.dp.giveBack(b.changed || err != nil)
	}
	close(b.work)
}

// open loads the programs, once the configuration is known.
func (b *bench) open() error {
	if b.dp != nil {
		return nil
	}
	dp, err := load(b.config)
	if err != nil {
		return err
	}
	b.dp = dp
	tables, db := table.New()
	b.tables, b.db = tables, db
	revisions := bpfmap.NewRevisions(dp.Datapath)
	b.ipcache = bpfmap.NewIPCache(dp, revisions)
	if b.nics, err = bpfmap.NewNICs(db, tables.NICStatuses, dp, revisions, func(uint32) bool { return false }, b.exempt); err != nil {
		return err
	}
	if b.lb, err = bpfmap.NewServices(dp); err != nil {
		return err
	}
	if b.events, err = ringbuf.NewReader(dp.Map("events")); err != nil {
		return err
	}
	if b.sets, err = bpfmap.NewSets(db, tables.SetStatuses, dp, revisions, derived.ListNumber); err != nil {
		return err
	}
	for family, id := range map[string]identity.Number{"::ffff:0:0/96": identity.WorldIPv4, "::/0": identity.WorldIPv6} {
		if err := b.ipcache.Set(context.Background(), []table.IPCacheRow{{Prefix: netip.MustParsePrefix(family), Identity: id}}); err != nil {
			return err
		}
	}
	return nil
}

// addDevice makes a veth pair; its host side gets the name.
func (b *bench) addDevice(name string) (ifindex uint32, err error) {
	err = b.do(func() error {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-in"}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
		for _, n := range []string{name, name + "-in"} {
			l, err := netlink.LinkByName(n)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(l); err != nil {
				return err
			}
			if n == name { // frames come to its address
				if err := netlink.LinkSetHardwareAddr(l, packet.DstMAC[:]); err != nil {
					return err
				}
				ifindex = uint32(l.Attrs().Index)
			}
		}
		return nil
	})
	return ifindex, err
}

func (b *bench) addNIC(name string, addrs []netip.Addr, id identity.Number) error {
	return b.addNICIn(0, name, addrs, id)
}

// addNICIn adds one in a network.
func (b *bench) addNICIn(network uint32, name string, addrs []netip.Addr, id identity.Number) error {
	ifindex, err := b.addDevice(name)
	if err != nil {
		return err
	}
	row := table.NIC{Device: name, Ifindex: ifindex, Incarnation: ifindex, Identity: id, Network: network, MAC: mac(ifindex), HostMAC: packet.DstMAC.String()}
	for _, a := range addrs {
		if a.Is4() {
			row.IPv4 = a
		} else {
			row.IPv6 = a
		}
		if err := b.ipcache.Set(context.Background(), []table.IPCacheRow{{
			Network: network, Prefix: netip.PrefixFrom(a, a.BitLen()), Identity: id, Ifindex: ifindex, Flags: table.IPCacheLocal | table.IPCacheCluster,
		}}); err != nil {
			return err
		}
	}
	b.devices[name] = row
	for _, d := range []policy.Direction{policy.Ingress, policy.Egress} {
		b.entries[name] = append(b.entries[name], policy.Entry{Direction: d, Verdict: policy.Allow, Match: policy.MatchAll})
	}
	return b.enforce(name)
}

// enforce puts a NIC's policy set in force and points the NIC at it.
func (b *bench) enforce(name string) error {
	set := table.PolicySet{Identity: b.devices[name].Identity, NamedPorts: name, Entries: slices.Clone(b.entries[name]), Ranges: slices.Clone(b.ranges[name])}
	if err := b.sets.Set(context.Background(), []table.PolicySet{set}); err != nil {
		return err
	}
	status, ok := b.tables.SetStatuses.One(b.db.Snapshot(), table.SetKey(set.Identity, set.NamedPorts))
	if !ok {
		return fmt.Errorf("set of %s is not in force", name)
	}
	row := b.devices[name]
	row.SetIndex = status.Index
	b.devices[name] = row
	return b.nics.Set(context.Background(), []table.NIC{row})
}

// become gives a NIC the identity and the set of another, which have been there before.
func (b *bench) become(name, other string) error {
	row := b.devices[name]
	row.Identity, row.SetIndex = b.devices[other].Identity, b.devices[other].SetIndex
	b.devices[name] = row
	return b.nics.Set(context.Background(), []table.NIC{row})
}

func mac(n uint32) string {
	return net.HardwareAddr{2, 0, 0, 1, byte(n >> 8), byte(n)}.String()
}

// skb is struct __sk_buff up to what a test may set or read.
type skb struct {
	Len, PktType, Mark, QueueMapping, Protocol, VlanPresent, VlanTCI, VlanProto, Priority uint32
	IngressIfindex, Ifindex, TCIndex                                                      uint32
	_                                                                                     [128]byte
	GSOSize                                                                               uint32
	_                                                                                     [12]byte
}

// run sends a packet through a program and returns the program's verdict.
func (b *bench) run(program string, ifindex uint32, mark, iif uint32, line string) (uint32, error) {
	frame, err := packet.Parse(line)
	if err != nil {
		return 0, err
	}
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skb{Ifindex: ifindex, Mark: mark, IngressIfindex: iif}, ContextOut: &skb{}}
	var verdict uint32
	err = b.do(func() error {
		verdict, err = b.dp.Program(program).Run(options)
		return err
	})
	return verdict, err
}

// behind gives a program that runs after another has changed its packet: signed its mark as ours, for nothing but a program
// can write tc_index, or put tags of VLANs on it, the last of which the kernel has taken off the frame.
func (b *bench) behind(program string, sign bool, tags []uint16) (*ebpf.Program, error) {
	key := fmt.Sprint(program, sign, tags)
	if p := b.signers[key]; p != nil {
		return p, nil
	}
	next, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return nil, err
	}
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	if sign {
		code = append(code, asm.Mov.Imm(asm.R2, abi.MarkSign), asm.StoreMem(asm.R1, int16(unsafe.Offsetof(skb{}.TCIndex)), asm.R2, asm.Word))
	}
	for _, tag := range tags {
		code = append(code, asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, 0x0081), asm.Mov.Imm(asm.R3, int32(tag)), asm.FnSkbVlanPush.Call())
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: append(code,
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, next.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, -1),
		asm.Return(),
	)})
	if err != nil {
		return nil, err
	}
	b.signers[key] = p
	b.kept = append(b.kept, p, next)
	return p, next.Put(uint32(0), b.dp.Program(program))
}

// send runs a packet through a program and tells in words what became of it. Its mark is ours.
func (b *bench) send(program string, ifindex uint32, mark, iif uint32, line string) (string, error) {
	return b.sendAs(program, skb{Ifindex: ifindex, Mark: mark, IngressIfindex: iif}, mark != 0, nil, line)
}

func (b *bench) sendAs(program string, in skb, sign bool, tags []uint16, line string) (string, error) {
	frame, err := packet.Parse(line)
	if err != nil {
		return "", err
	}
	if b.xdp && program == "from_net" && in.GSOSize == 0 && in.Mark == 0 && tags == nil {
		if text, done, err := b.early(in.Ifindex, frame); done || err != nil {
			return text, err
		}
	}
	out := skb{}
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: in, ContextOut: &out}
	var verdict uint32
	if err := b.do(func() error {
		p := b.dp.Program(program)
		if sign || tags != nil {
			if p, err = b.behind(program, sign, tags); err != nil {
				return err
			}
		}
		verdict, err = p.Run(options)
		return err
	}); err != nil {
		return "", fmt.Errorf("run %s: %w", program, err)
	}
	names := map[uint32]string{0: "stack", 2: "drop", 7: "redirect"}
	text := names[verdict]
	if text == "" {
		text = fmt.Sprintf("verdict %d", verdict)
	}
	if verdict != 2 {
		if out.Mark != 0 {
			text += fmt.Sprintf(" mark=%#x", out.Mark)
		}
		b.left = packet.Format(options.DataOut)
		text += " " + b.left
	}
	events, err := b.drain()
	return text + "\n" + events, err
}

// eventTexts say what an event of a type adds to others. Each is declared in the file of its type.
var eventTexts = map[abi.EventType]func(record []byte) string{}

func declareEvent(t abi.EventType, text func(record []byte) string) abi.EventType {
	eventTexts[t] = text
	return t
}

// drain prints the events that are there, one a line.
func (b *bench) drain() (string, error) {
	var text strings.Builder
	b.events.SetDeadline(time.Unix(1, 0)) // only what is there already
	for {
		record, err := b.events.Read()
		if err != nil {
			return text.String(), nil //nolint:nilerr // past the deadline: nothing more is there
		}
		var e abi.Event
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &e); err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s %s %d>%d", strings.ToLower(e.Type.String()), e.Hook, e.Source, e.Destination)
		switch e.Type {
		case abi.EventDrop:
			fmt.Fprintf(&text, " %s", flow.DropText(uint32(e.Reason)))
		case abi.EventVerdict:
			fmt.Fprintf(&text, " %s %s", e.Direction, e.Verdict)
			if staged := abi.Verdict(e.Staged); staged != abi.VerdictNone {
				fmt.Fprintf(&text, " staged %s", staged)
			}
		case abi.EventTrace:
			fmt.Fprintf(&text, " %s", e.Flags%abi.EventNetwork)
		default:
			if e.Type == abi.EventClose {
				b.ends++
			}
			if more := eventTexts[e.Type]; more != nil {
				text.WriteString(more(record.RawSample))
			}
		}
		text.WriteString("\n")
	}
}

func number(text string) uint32 {
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}
