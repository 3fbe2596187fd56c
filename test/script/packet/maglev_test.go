package packet

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/table"
)

// Every node that has the same backends leads a call to the same one: to the one that internal/maglev says.
func TestTheKernelChoosesAsMaglevSays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes maps in the kernel")
	}
	b, err := newBench()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	seed := maglev.Seed{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	b.tell("services_here", abi.LbConfig{
		Outside: 1, NodePortMin: 30000, NodePortMax: 32767, CallKey: maglev.KeyOf(seed),
		Node4: abi.From(netip.MustParseAddr("192.168.0.1")), Node6: abi.From(netip.MustParseAddr("fd00:1::1")),
	})
	b.config.Entries["connections"], b.config.Entries["translations"] = 65536, 65536
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	device, err := b.addDevice("eth0")
	if err != nil {
		t.Fatal(err)
	}
	var rows []table.IPCacheRow
	members := map[bool][]maglev.Member{}
	backends := map[bool][]table.Backend{}
	for i := range 12 {
		for _, a := range []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 2, byte(i)}), netip.AddrFrom16([16]byte{0xfd, 0, 14: 2, 15: byte(i)})} {
			rows = append(rows, table.IPCacheRow{Prefix: netip.PrefixFrom(a, a.BitLen()), Identity: 400, Flags: table.IPCacheCluster | table.IPCacheDirect})
			members[a.Is4()] = append(members[a.Is4()], maglev.Member{Address: a, Port: 8080, Protocol: 6})
			backends[a.Is4()] = append(backends[a.Is4()], table.Backend{Address: a, Port: 8080})
		}
	}
	if err := b.ipcache.Set(context.Background(), rows); err != nil {
		t.Fatal(err)
	}
	for at, affinity := range map[string]uint32{"203.0.113.7:443": 0, "[2001:db8::7]:443": 0, "203.0.113.8:443": 60, "[2001:db8::8]:443": 60} {
		service := netip.MustParseAddrPort(at)
		ipv4 := service.Addr().Is4()
		row := table.Frontend{
			Address: service.Addr(), Port: service.Port(), Protocol: 6, Scope: table.ScopeOutside, Backends: backends[ipv4], Maglev: maglev.Shape{Size: 1021, Seed: seed},
			AffinitySeconds: affinity,
		}
		if err := b.lb.Set(context.Background(), []table.Frontend{row}); err != nil {
			t.Fatal(err)
		}
		list, of := row.Maglev.Table(members[ipv4]), members[ipv4]
		for range 200 {
			var from [16]byte
			binary.BigEndian.PutUint64(from[8:], rand.Uint64())
			from[0], from[1] = 0x20, 2
			client := netip.AddrPortFrom(netip.AddrFrom16(from), uint16(1024+rand.N(60000)))
			if ipv4 {
				client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, from[9], from[10], from[11]}), client.Port())
			}
			call := maglev.Call{Client: client, Service: service, Protocol: 6}
			want := of[list[maglev.KeyOf(seed).Hash(call, row.AffinitySeconds > 0)%row.Maglev.Size]]
			text, err := b.send("from_net", device, 0, 0, fmt.Sprintf("tcp %s > %s S", client, service))
			if err != nil {
				t.Fatal(err)
			}
			key := abi.NatKey{
				Src: abi.From(client.Addr()), Dst: abi.From(service.Addr()), SrcPort: abi.Port(client.Port()), DstPort: abi.Port(service.Port()),
				Protocol: 6, Kind: uint8(abi.NatService),
			}
			var has abi.Nat
			if err := b.dp.Map("translations").Lookup(key, &has); err != nil || has.Addr.IP() != want.Address {
				t.Fatalf("%s calls %s: goes to %s, want %s (%v)\n%s", client, service, has.Addr.IP(), want.Address, err, text)
			}
		}
	}
}
