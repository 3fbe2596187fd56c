package packet

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/bpf/abi"
)

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
