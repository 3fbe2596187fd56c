package packet

import (
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"

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
			far := table.Host{Prefix: netip.MustParsePrefix("10.0.2.6/32"), Identity: 301, Flags: table.HostCluster, Tunnel: netip.MustParseAddr("192.168.0.2")}
			if err := bench.hosts.Set(b.Context(), []table.Host{far}); err != nil {
				b.Fatal(err)
			}
			frame, err := packet.Parse(line)
			if err != nil {
				b.Fatal(err)
			}
			run := func(repeat int) {
				options := &ebpf.RunOptions{Data: frame, Repeat: uint32(repeat), Context: skb{Ifindex: bench.devices["web"].Ifindex}}
				if err := bench.do(func() error { _, err := bench.dp.Program("from_pod").Run(options); return err }); err != nil {
					b.Fatal(err)
				}
			}
			run(2) // opens the connection
			b.ResetTimer()
			run(b.N)
		})
	}
}
