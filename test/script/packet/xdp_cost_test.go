package packet

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/packet"
)

// BenchmarkALedPacket is what one packet of a call that is known costs where it is led on to another node: in from_net, and in xdp. That
// of from_net is without what the kernel does to make a packet of a frame, which xdp saves, too.
func BenchmarkALedPacket(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root: runs programs in the kernel")
	}
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	for _, family := range []struct{ name, client, own, backend string }{
		{"IPv4", "192.168.0.50", "192.168.0.1", "192.168.0.9"},
		{"IPv6", "[fd00:1::50]", "[fd00:1::1]", "[fd00:1::9]"},
	} {
		bench := leader(b, true, false)
		call, answer := "tcp "+family.client+":20000 > "+family.own+":30090 ", "tcp "+family.backend+":8080 > "+family.own+":20000 "
		for _, line := range []string{call + "S seq 1", answer + "SA seq 1 ack 2", call + "A seq 2 ack 2"} {
			bench.through(b, line)
		}
		for _, way := range []struct{ name, line string }{{"call", call + "A seq 2 ack 2 len 1000"}, {"answer", answer + "A seq 2 ack 2 len 1000"}} {
			for _, program := range []string{"from_net", "xdp"} {
				b.Run(family.name+"/"+way.name+"/"+program, func(b *testing.B) { led(b, bench, program, way.line) })
			}
		}
	}
}

func led(b *testing.B, bench *bench, program, line string) {
	frame, err := packet.Parse(line)
	if err != nil {
		b.Fatal(err)
	}
	p, ifindex, on := bench.dp.Program(program), bench.devices["eth0"].Ifindex, uint32(7)
	options := func() *ebpf.RunOptions {
		if program == "xdp" {
			return &ebpf.RunOptions{Data: frame, Context: xdpFrame{DataEnd: uint32(len(frame)), IngressIfindex: ifindex}}
		}
		return &ebpf.RunOptions{Data: frame, Context: skb{Ifindex: ifindex}}
	}
	if program == "xdp" {
		on = xdpTX
	}
	before, err := p.Stats()
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		if err := bench.do(func() error {
			verdict, err := p.Run(options())
			if err == nil && verdict != on {
				b.Errorf("%s: verdict %d", program, verdict)
			}
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	after, err := p.Stats()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((after.Runtime-before.Runtime).Nanoseconds())/float64(after.RunCount-before.RunCount), "ns/packet")
}
