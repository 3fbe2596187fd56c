package called

import (
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/lb/orphan"
)

func TestAllRowsAreRead(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("makes a map: run it as root")
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 32, ValueSize: 24, MaxEntries: 65536})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want, service := map[orphan.Led]bool{}, netip.MustParseAddrPort("10.96.0.10:53")
	for cookie := range uint64(3*atOnce + 1) {
		at, protocol := netip.MustParseAddrPort("10.244.1.7:53"), uint8(17)
		switch cookie % 3 {
		case 1:
			at, protocol = netip.MustParseAddrPort("[fd00::7]:5353"), 6
		case 2:
			protocol = 0
		}
		key := abi.SocketKey{Cookie: cookie, Addr: abi.From(at.Addr()), Port: abi.Port(at.Port())}
		if err := m.Put(key, abi.SocketService{Addr: abi.From(service.Addr()), Port: abi.Port(service.Port()), Protocol: protocol}); err != nil {
			t.Fatal(err)
		}
		want[orphan.Led{Socket: orphan.Socket{Cookie: cookie, Backend: orphan.Backend{At: at, Protocol: protocol}}, Service: service}] = true
	}
	have, err := Read(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range have {
		if !want[s] {
			t.Errorf("%v was read, and is not there", s)
		}
		delete(want, s)
	}
	if len(want) > 0 {
		t.Errorf("%d rows were not read", len(want))
	}
}
