package lookup_test

import (
	"net/netip"
	"os"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/explain/service"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/sink/bpfmap/lookup"
	"weftnet.io/weftnet/internal/table"
)

type maps map[string]*ebpf.Map

func (m maps) Map(name string) *ebpf.Map             { return m[name] }
func (m maps) Put(name string, key, value any) error { return m[name].Put(key, value) }
func (m maps) PutAll(name string, keys, values any) error {
	_, err := m[name].BatchUpdate(keys, values, nil)
	return err
}
func (m maps) Delete(name string, key any) error { return m[name].Delete(key) }

func newMaps(t *testing.T) maps {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes BPF maps")
	}
	m := maps{}
	for name, spec := range map[string]ebpf.MapSpec{
		"services":        {Type: ebpf.Hash, KeySize: uint32(unsafe.Sizeof(abi.ServiceKey{})), ValueSize: uint32(unsafe.Sizeof(abi.Service{})), MaxEntries: 64},
		"slots":           {Type: ebpf.Hash, KeySize: uint32(unsafe.Sizeof(abi.SlotKey{})), ValueSize: 4, MaxEntries: 64},
		"service_sources": {Type: ebpf.LPMTrie, KeySize: uint32(unsafe.Sizeof(abi.SourceKey{})), ValueSize: 4, MaxEntries: 64, Flags: 1},
		"maglev":          {Type: ebpf.Hash, KeySize: uint32(unsafe.Sizeof(abi.MaglevKey{})), ValueSize: uint32(unsafe.Sizeof(abi.MaglevPart{})), MaxEntries: 64},
		"translations":    {Type: ebpf.Hash, KeySize: uint32(unsafe.Sizeof(abi.NatKey{})), ValueSize: uint32(unsafe.Sizeof(abi.Nat{})), MaxEntries: 64},
		"socket_backends": {Type: ebpf.LRUHash, KeySize: uint32(unsafe.Sizeof(abi.SocketCall{})), ValueSize: 4, MaxEntries: 64},
		"backends":        {Type: ebpf.Hash, KeySize: 4, ValueSize: uint32(unsafe.Sizeof(abi.Backend{})), MaxEntries: 64},
	} {
		made, err := ebpf.NewMap(&spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { made.Close() })
		m[name] = made
	}
	return m
}

func TestWhatTheAgentWritesIsFoundAgain(t *testing.T) {
	m := newMaps(t)
	sink, err := bpfmap.NewServices(m)
	if err != nil {
		t.Fatal(err)
	}
	backend := func(address string, terminating bool) table.Backend {
		return table.Backend{Address: netip.MustParseAddr(address), Port: 8080, Terminating: terminating}
	}
	web := table.Frontend{
		Address: netip.MustParseAddr("10.96.0.20"), Port: 80, Protocol: 6, AffinitySeconds: 60,
		Backends: []table.Backend{backend("10.244.1.7", false), backend("10.244.1.8", true), backend("10.244.1.9", false)},
	}
	node := table.Frontend{Address: netip.IPv6Unspecified(), Port: 30080, Protocol: 6}
	outside := table.Frontend{
		Address: web.Address, Port: 80, Protocol: 6, Scope: table.ScopeOutside, Backends: web.Backends[:1],
		Sources: []table.Source{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Allowed: true}, {Prefix: netip.MustParsePrefix("203.0.113.7/32")}},
	}
	hashed := web
	hashed.Address, hashed.Maglev = netip.MustParseAddr("203.0.113.9"), maglev.Shape{Size: 251, Seed: maglev.Seed{7}}
	if err := sink.Set(t.Context(), []table.Frontend{web, node, outside, hashed}); err != nil {
		t.Fatal(err)
	}
	maps := lookup.New(m)
	held, err := maps.Frontend(web)
	if err != nil || held.ID == 0 || held.AffinitySeconds != 60 || len(held.Backends) != 3 {
		t.Fatalf("%+v, %v", held, err)
	}
	for i, want := range []service.HeldBackend{
		{Slot: 0, Address: netip.MustParseAddrPort("10.244.1.7:8080"), Protocol: 6, Takes: true},
		{Slot: 1, Address: netip.MustParseAddrPort("10.244.1.9:8080"), Protocol: 6, Takes: true},
		{Slot: -1, Address: netip.MustParseAddrPort("10.244.1.8:8080"), Protocol: 6},
	} {
		want.ID = held.Backends[i].ID
		if held.Backends[i] != want || want.ID == 0 {
			t.Errorf("backend %d: %+v, want %+v", i, held.Backends[i], want)
		}
	}
	if held, err := maps.Frontend(node); err != nil || held.ID == 0 || len(held.Backends) != 0 {
		t.Errorf("%+v, %v", held, err)
	}
	rows, err := maps.At([]netip.Addr{web.Address})
	if err != nil || len(rows) != 2 || rows[0].Port != 80 || rows[0].Scope != table.ScopeCluster || rows[1].Scope != table.ScopeOutside {
		t.Errorf("%+v, %v", rows, err)
	}
	limited, err := maps.Frontend(outside)
	if err != nil || !limited.Limited || held.Limited || limited.ID == held.ID || len(limited.Backends) != 1 {
		t.Errorf("%+v, %v", limited, err)
	}
	for client, may := range map[string]bool{"203.0.113.1": true, "203.0.113.7": false, "198.51.100.1": false} {
		if is, err := maps.Admits(netip.MustParseAddr(client), limited.ID); err != nil || is != may {
			t.Errorf("%s may call it: %v, %v", client, is, err)
		}
	}

	far, err := maps.Frontend(hashed)
	if err != nil || len(held.Elements) != 0 || len(far.Elements) != 251 {
		t.Fatalf("%d and %d elements, %v; want none and 251", len(held.Elements), len(far.Elements), err)
	}
	members := []maglev.Member{{Address: web.Backends[0].Address, Port: 8080, Protocol: 6}, {Address: web.Backends[2].Address, Port: 8080, Protocol: 6}}
	for i, member := range hashed.Maglev.Table(members) {
		if far.Elements[i] != far.Backends[member].ID {
			t.Errorf("element %d leads to backend %d, want %d", i, far.Elements[i], far.Backends[member].ID)
		}
	}

	// What others break is told as it is.
	if err := m["backends"].Delete(held.Backends[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := m["slots"].Delete(abi.SlotKey{Service: held.ID, Slot: 1}); err != nil {
		t.Fatal(err)
	}
	broken, err := maps.Frontend(web)
	if err != nil || broken.Backends[0].Address.IsValid() || broken.Backends[1].ID != 0 {
		t.Errorf("%+v, %v", broken, err)
	}
	if err := sink.Unset(t.Context(), []table.Frontend{node}); err != nil {
		t.Fatal(err)
	}
	if held, err := maps.Frontend(node); err != nil || held.ID != 0 {
		t.Errorf("%+v, %v", held, err)
	}
}
