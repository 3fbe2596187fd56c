package packet

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/packet"
	"weftnet.io/weftnet/internal/table"
)

// crowd is how many connections take turns where caches shall not hold them all.
const crowd = 10_000

// BenchmarkAnEstablishedPacket is what from_pod costs for a packet of a connection that is known. The kernel repeats a
// driver, which moves the packet's numbers forward and goes on with from_pod; row "driver" is what that takes alone.
// It tells more than a packet on a wire, whose path is mostly not ours.
func BenchmarkAnEstablishedPacket(b *testing.B) {
	for _, to := range []struct{ name, from, to string }{
		{"pod of this node", "10.0.1.5:2000", "10.0.1.6"},
		{"same, IPv6", "[fd00::5]:2000", "[fd00::6]"},
		{"pod of another", "10.0.1.5:2000", "10.0.2.6"},
	} {
		b.Run(to.name, func(b *testing.B) {
			bench := newCostBench(b)
			for _, kind := range []string{"data", "ACK", "unanswered", "crowd", "UDP", "crowd of UDP"} {
				b.Run(kind, func(b *testing.B) {
					port := 53
					if !strings.HasSuffix(kind, "UDP") {
						bench.calls++ // each run has connections of its own, whose numbers begin anew
						port = 80 + bench.calls
					}
					establishedPacket(b, bench, to.from, fmt.Sprintf("%s:%d", to.to, port), kind)
				})
			}
			b.Run("driver", func(b *testing.B) {
				drive(b, bench, "", driver{connections: 1, port: 34}, packetOf(b, "10.0.1.5:2000 > 10.0.1.6:80 A len 1000"))
			})
		})
	}
}

func establishedPacket(b *testing.B, bench *bench, from, to, kind string) {
	there, back := from+" > "+to, to+" > "+from
	line := there + " A seq 2 ack 2 len 1000"
	d := driver{connections: 1, port: 34, number: 38, from: 2, step: 1000}
	switch kind {
	case "ACK":
		line = there + " A seq 2 ack 2"
		d.number = 42
	case "unanswered":
		d.number = 0
	case "UDP", "crowd of UDP":
		line = there + " len 1000"
		d.number = 0
	}
	if strings.HasPrefix(kind, "crowd") {
		d.connections = crowd
	}
	if strings.HasPrefix(from, "[") {
		d.port += 20
		if d.number != 0 {
			d.number += 20
		}
	}
	opens, answers := d, d
	opens.number, answers.number = 0, 0
	answers.port += 2
	hook, device := "from_pod", "db"
	if strings.HasPrefix(to, "10.0.2.6") {
		hook, device = "to_pod", "web" // as if the host's stack had got it from elsewhere
	}
	if strings.HasSuffix(kind, "UDP") {
		bench.repeat(b, "from_pod", "web", opens, packetOf(b, line), d.connections)
		bench.repeat(b, hook, device, answers, packetOf(b, back+" len 100"), d.connections)
	} else {
		bench.repeat(b, "from_pod", "web", opens, packetOf(b, there+" S seq 1"), d.connections)
		if kind != "unanswered" {
			bench.repeat(b, hook, device, answers, packetOf(b, back+" SA seq 1 ack 2"), d.connections)
			bench.repeat(b, "from_pod", "web", opens, packetOf(b, there+" A seq 2 ack 2"), d.connections)
		}
	}
	drive(b, bench, "from_pod", d, packetOf(b, line))
}

// drive measures: the least of portions of some milliseconds, since what else the machine does comes in between.
func drive(b *testing.B, bench *bench, program string, d driver, frame []byte) {
	p, err := bench.driven(d, program)
	if err != nil {
		b.Fatal(err)
	}
	least := time.Duration(1 << 62)
	for left := b.N; left > 0; left -= crowd {
		start := time.Now()
		bench.once(b, p, "web", frame, crowd)
		least = min(least, time.Since(start))
	}
	b.ReportMetric(float64(least)/crowd, "least-ns/packet")
}

// repeat lets a device send a packet of each connection.
func (b *bench) repeat(t testing.TB, hook, device string, d driver, frame []byte, n int) {
	t.Helper()
	p, err := b.driven(d, hook)
	if err != nil {
		t.Fatal(err)
	}
	b.once(t, p, device, frame, n)
}

func (b *bench) once(t testing.TB, p *ebpf.Program, device string, frame []byte, n int) {
	t.Helper()
	b.timed(t, p, device, frame, n)
}

func (b *bench) timed(t testing.TB, p *ebpf.Program, device string, frame []byte, n int) (took time.Duration) {
	t.Helper()
	ifindex := b.devices[device].Ifindex
	if device == "tunnel" {
		ifindex = b.config.OverlayIfindex
	}
	if err := b.do(func() error {
		options := &ebpf.RunOptions{Data: frame, Repeat: uint32(n), Context: skb{Ifindex: ifindex, IngressIfindex: b.config.OverlayIfindex}}
		start := time.Now()
		verdict, err := p.Run(options)
		took = time.Since(start)
		if err == nil && verdict == 2 {
			err = fmt.Errorf("%s: dropped", device)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return took
}

// BenchmarkALonePacket is what from_pod costs once something else has used the caches, by the kernel's own count
// (BPF_STATS_RUN_TIME, which adds some 20 to 40 ns).
func BenchmarkALonePacket(b *testing.B) {
	bench := newCostBench(b)
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	run := func(device, line string) {
		if err := bench.do(func() error {
			_, err := bench.dp.Program("from_pod").Run(&ebpf.RunOptions{Data: packetOf(b, line), Context: skb{Ifindex: bench.devices[device].Ifindex}})
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	run("web", "10.0.1.5:2000 > 10.0.1.6:80 S seq 1")
	run("db", "10.0.1.6:80 > 10.0.1.5:2000 SA seq 1 ack 2")
	others := make([]byte, 64<<20)
	took := func() (time.Duration, uint64) {
		s, err := bench.dp.Program("from_pod").Stats()
		if err != nil {
			b.Fatal(err)
		}
		return s.Runtime, s.RunCount
	}
	before, ran := took()
	for i := range b.N {
		for at := 0; at < len(others); at += 64 {
			others[at]++
		}
		run("web", fmt.Sprintf("10.0.1.5:2000 > 10.0.1.6:80 A seq %d ack 2 len 1", 2+i))
	}
	after, runs := took()
	b.ReportMetric(float64(after-before)/float64(runs-ran), "ns/packet")
}

// packetOf is the frame of a line; what it says of protocol is found by its flags.
func packetOf(b *testing.B, line string) []byte {
	b.Helper()
	protocol := "udp "
	for _, flags := range []string{" S ", " SA ", " A ", " FA "} {
		if strings.Contains(line, flags) {
			protocol = "tcp "
		}
	}
	frame, err := packet.Parse(protocol + line)
	if err != nil {
		b.Fatal(err)
	}
	return frame
}

// newCostBench is a node with two pods, which knows one of another node; its maps have the sizes of a node.
func newCostBench(b *testing.B) *bench {
	if os.Geteuid() != 0 {
		b.Skip("needs root: runs programs in the kernel")
	}
	bench, err := newBench()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bench.close)
	bench.config.Entries = nil
	overlay, err := bench.addDevice("tunnel")
	if err != nil {
		b.Fatal(err)
	}
	bench.config.OverlayIfindex = overlay
	if err := bench.open(); err != nil {
		b.Fatal(err)
	}
	for i, at := range []string{"10.0.1.5,fd00::5", "10.0.1.6,fd00::6"} {
		if err := bench.addNIC([]string{"web", "db"}[i], addrs(at), 300); err != nil {
			b.Fatal(err)
		}
	}
	there := netip.MustParseAddr("192.168.0.2")
	rows := []table.IPCacheRow{{Prefix: netip.PrefixFrom(there, 32), Identity: identity.RemoteNode, Flags: table.IPCacheNode | table.IPCacheCluster, Tunnel: there}}
	for _, pod := range []string{"10.0.2.6/32", "fd00::2:6/128"} {
		rows = append(rows, table.IPCacheRow{Prefix: netip.MustParsePrefix(pod), Identity: 301, Flags: table.IPCacheCluster, Tunnel: there})
	}
	if err := bench.ipcache.Set(b.Context(), rows); err != nil {
		b.Fatal(err)
	}
	return bench
}

// driver says how a packet differs from repetition to repetition: connections take turns, of which each has a port, and
// a number that moves on from turn to turn.
type driver struct {
	connections  int
	port, number int16 // where they stand in the frame; number 0: none moves on
	from, step   int32
	tunnelled    bool // it comes from the other node
}

// driven is a program that makes the next packet and goes on with another; "": with none.
func (b *bench) driven(d driver, program string) (*ebpf.Program, error) {
	turns, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return nil, err
	}
	next, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return nil, err
	}
	steps := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.R10, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, turns.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "go"),
		asm.LoadMem(asm.R7, asm.R0, 0, asm.Word),
		asm.Mov.Reg(asm.R8, asm.R7),
		asm.Add.Imm(asm.R8, 1),
		asm.StoreMem(asm.R0, 0, asm.R8, asm.Word),
		asm.LoadMem(asm.R2, asm.R6, 76, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R6, 80, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, max(int32(d.port)+2, int32(d.number)+4)),
		asm.JGT.Reg(asm.R4, asm.R3, "go"),
	}
	if d.connections > 1 {
		steps = append(steps,
			asm.Mov.Reg(asm.R8, asm.R7),
			asm.Mul.Imm(asm.R8, 7919), // no neighbours in memory
			asm.Mod.Imm(asm.R8, int32(d.connections)),
			asm.Add.Imm(asm.R8, 2000),
			asm.HostTo(asm.BE, asm.R8, asm.Half),
			asm.StoreMem(asm.R2, d.port, asm.R8, asm.Half),
			asm.Div.Imm(asm.R7, int32(d.connections)),
		)
	}
	if d.number != 0 && d.step != 0 {
		steps = append(steps,
			asm.Mul.Imm(asm.R7, d.step),
			asm.Add.Imm(asm.R7, d.from),
			asm.HostTo(asm.BE, asm.R7, asm.Word),
			asm.StoreMem(asm.R2, d.number, asm.R7, asm.Word),
		)
	}
	if d.tunnelled {
		steps = append(steps, tunnelled()...)
	}
	steps = append(steps,
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("go"),
		asm.LoadMapPtr(asm.R2, next.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: steps})
	if err != nil {
		return nil, err
	}
	b.kept = append(b.kept, p, next, turns)
	if program == "" {
		return p, nil
	}
	return p, next.Put(uint32(0), b.dp.Program(program))
}

// tunnelled gives a packet the tunnel key of one that the other node has sent: bpf_skb_set_tunnel_key writes what would go there,
// so that its two ends change places.
func tunnelled() asm.Instructions {
	const size = 44 // struct bpf_tunnel_key
	steps := asm.Instructions{}
	for at := int16(-48); at < 0; at += 4 {
		steps = append(steps, asm.StoreImm(asm.R10, at, 0, asm.Word))
	}
	return append(steps,
		asm.StoreImm(asm.R10, -48, 301, asm.Word),                        // tunnel_id
		asm.StoreImm(asm.R10, -44, 192<<24|168<<16|1-1<<32, asm.Word),    // remote_ipv4: this node
		asm.StoreImm(asm.R10, -48+28, 192<<24|168<<16|2-1<<32, asm.Word), // local_ipv4: the other
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -48),
		asm.Mov.Imm(asm.R3, size),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnSkbSetTunnelKey.Call(),
	)
}
