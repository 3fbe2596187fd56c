package datapath

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// callAgainAndAgain opens sockets, connects each and closes it.
func callAgainAndAgain(to string, times int) error {
	at := netip.MustParseAddrPort(to)
	target := &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	for range times {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		if err := unix.Connect(fd, target); err != nil {
			return err
		}
		unix.Close(fd)
	}
	return nil
}

// BenchmarkAProcessConnectsASocket reports what the programs of one connection take, by a service and by none, once more sockets were led than the
// kernel remembers.
func BenchmarkAProcessConnectsASocket(b *testing.B) {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	here := abi.LbConfig{NodePortMin: 30000, NodePortMax: 32767, HostPorts: 1}
	d, err := Open(pinDirectory(b), Config{Constants: map[string]any{"services_here": here}})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	inside := group(b)
	if err := d.AttachSockets(inside); err != nil {
		b.Fatal(err)
	}
	defer d.DetachSockets()
	serve(b, d, 1, "10.96.0.10:53", "192.0.2.1:8080", unix.IPPROTO_UDP)
	for name, to := range map[string]string{"service": "10.96.0.10:53", "none": "192.0.2.1:8080"} {
		b.Run(name, func(b *testing.B) {
			before := map[string]*ebpf.ProgramStats{}
			for name, p := range d.programs {
				before[name], _ = p.Stats()
			}
			began := time.Now()
			if said := calls(b, inside, fmt.Sprintf("again %s %d", to, b.N)); said != "" {
				b.Fatal(said)
			}
			b.ReportMetric(float64(time.Since(began).Nanoseconds())/float64(b.N), "ns/wall")
			for name, p := range d.programs {
				now, err := p.Stats()
				if err == nil && now.RunCount > before[name].RunCount && strings.HasPrefix(name, "connect") {
					b.ReportMetric(float64((now.Runtime-before[name].Runtime).Nanoseconds())/float64(now.RunCount-before[name].RunCount), "ns/"+name)
				}
			}
		})
	}
}
