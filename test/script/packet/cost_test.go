package packet

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/packet"
	"weftnet.io/weftnet/internal/table"
)

// BenchmarkAnEstablishedPacket is what from_pod costs for a packet of a connection that is known: the kernel repeats the
// program and takes the mean. It tells more than a packet on a wire, whose path is mostly not ours.
func BenchmarkAnEstablishedPacket(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root: runs programs in the kernel")
	}
	for name, line := range map[string]string{
		"pod of this node": "tcp 10.0.1.5:4000 > 10.0.1.6:80 A len 1000",
		"same, IPv6":       "tcp [fd00::5]:4000 > [fd00::6]:80 A len 1000",
		"pod of another":   "tcp 10.0.1.5:4000 > 10.0.2.6:80 A len 1000",
	} {
		b.Run(name, func(b *testing.B) {
			bench, err := newBench()
			if err != nil {
				b.Fatal(err)
			}
			defer bench.close()
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
			far := table.IPCacheEntry{Prefix: netip.MustParsePrefix("10.0.2.6/32"), Identity: 301, Flags: table.IPCacheCluster, Tunnel: netip.MustParseAddr("192.168.0.2")}
			if err := bench.hosts.Set(b.Context(), []table.IPCacheEntry{far}); err != nil {
				b.Fatal(err)
			}
			frame, err := packet.Parse(line)
			if err != nil {
				b.Fatal(err)
			}
			run := func(repeat int, frame []byte) {
				options := &ebpf.RunOptions{Data: frame, Repeat: uint32(repeat), Context: skb{Ifindex: bench.devices["web"].Ifindex}}
				if err := bench.do(func() error { _, err := bench.dp.Program("from_pod").Run(options); return err }); err != nil {
					b.Fatal(err)
				}
			}
			first, err := packet.Parse(strings.Replace(line, " A len 1000", " S", 1))
			if err != nil {
				b.Fatal(err)
			}
			run(2, first) // opens the connection
			b.ResetTimer()
			run(b.N, frame)
		})
	}
}

// BenchmarkASweep is a pass of the agent over 100,000 connections, of which half are finished.
func BenchmarkASweep(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root: runs programs in the kernel")
	}
	bench, err := newBench()
	if err != nil {
		b.Fatal(err)
	}
	defer bench.close()
	bench.config.Entries = nil // the sizes of a node
	if err := bench.open(); err != nil {
		b.Fatal(err)
	}
	const all = 100_000
	keys, rows := make([]abi.CtKey, all), make([]abi.Ct, all)
	for i := range keys {
		keys[i] = abi.CtKey{A: abi.From(netip.MustParseAddr("10.0.1.5")), B: abi.From(netip.MustParseAddr("10.0.1.6")), Protocol: 6, Net: uint16(i >> 16), APort: abi.BePort{byte(i >> 8), byte(i)}}
		rows[i] = abi.Ct{Expires: uint64(i%2) * (1 << 62), Owner: 7}
	}
	var took time.Duration
	for range b.N {
		if _, err := bench.dp.Map("connections").BatchUpdate(keys, rows, nil); err != nil {
			b.Fatal(err)
		}
		swept, _, err := bench.dp.Sweep()
		if err != nil {
			b.Fatal(err)
		}
		if swept[0].Removed != all/2 || swept[0].Held != all/2 {
			b.Fatalf("%d removed and %d left, want half of %d each", swept[0].Removed, swept[0].Held, all)
		}
		took += swept[0].Took
	}
	b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms/pass")
}
