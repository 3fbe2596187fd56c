package bpfmap_test

import (
	gomaps "maps"
	"net/netip"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// maps are those of a node, unpinned.
type maps map[string]*ebpf.Map

// Map makes maps a bpfmap.Maps; the others make it what the agent writes.
func (m maps) Map(name string) *ebpf.Map             { return m[name] }
func (m maps) Put(name string, key, value any) error { return m[name].Put(key, value) }
func (m maps) PutAll(name string, keys, values any) error {
	_, err := m[name].BatchUpdate(keys, values, nil)
	return err
}
func (m maps) Delete(name string, key any) error                  { return m[name].Delete(key) }
func (m maps) Read(name string, do func(m *ebpf.Map) error) error { return do(m[name]) }

// shrink puts an empty map with room for so many entries in the place of one.
func (m maps) shrink(t *testing.T, name string, entries uint32) {
	was := m[name]
	small, err := ebpf.NewMap(&ebpf.MapSpec{Type: was.Type(), KeySize: was.KeySize(), ValueSize: was.ValueSize(), Flags: was.Flags(), MaxEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { small.Close() })
	m[name] = small
}

func newMaps(t *testing.T) maps {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes BPF maps")
	}
	m := maps{}
	for name, spec := range map[string]ebpf.MapSpec{
		"sets":            {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(unsafe.Sizeof(abi.Set{})), MaxEntries: 64},
		"policies":        {Type: ebpf.LPMTrie, KeySize: uint32(unsafe.Sizeof(abi.PolicyKey{})), ValueSize: uint32(unsafe.Sizeof(abi.Policy{})), MaxEntries: 64, Flags: 1},
		"ranges":          {Type: ebpf.LPMTrie, KeySize: uint32(unsafe.Sizeof(abi.RangeKey{})), ValueSize: 4, MaxEntries: 64, Flags: 1},
		"nics":            {Type: ebpf.Hash, KeySize: 4, ValueSize: uint32(unsafe.Sizeof(abi.Nic{})), MaxEntries: 64},
		"revision":        {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		"peer_revisions":  {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4096},
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

func count(t *testing.T, m *ebpf.Map) (n int) {
	key := make([]byte, m.KeySize())
	for err := m.NextKey(nil, key); err == nil; err = m.NextKey(key, key) {
		n++
	}
	return n
}

func TestEntriesThatAnAgentWasKilledOverAreRemovedByTheNext(t *testing.T) {
	m := newMaps(t)
	for generation := range uint32(3) {
		key := abi.PolicyKey{Bits: abi.PolicyBitsFixed, Generation: generation + 1, Layer: 1}
		if err := m["policies"].Put(key, abi.Policy{Verdict: abi.VerdictAllow}); err != nil {
			t.Fatal(err)
		}
		at := abi.RangeKey{Bits: abi.RangeBitsFixed, Generation: generation + 1, Place: abi.PlaceOutside}
		if err := m["ranges"].Put(at, uint32(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m["sets"].Put(uint32(5), abi.Set{Generation: abi.SetHasRanges | 2, Revision: 1}); err != nil {
		t.Fatal(err)
	}
	tables, db := table.New()
	number := func([]policy.Origin) uint32 { return 1 }
	if _, err := bpfmap.NewSets(db, tables.SetStatuses, m, bpfmap.NewRevisions(m), number); err != nil {
		t.Fatal(err)
	}
	if n := count(t, m["policies"]); n != 1 {
		t.Errorf("%d entries are left, want that of the set in force", n)
	}
	if n := count(t, m["ranges"]); n != 1 {
		t.Errorf("%d ranges are left, want that of the set in force", n)
	}
}

// A NIC that names an index is at once under what the next agent has to say of its set, which must know all that others become.
func TestASetKeepsItsIndexWhenTheNextAgentTakesOver(t *testing.T) {
	m := newMaps(t)
	set := func(n identity.Number, ports string, peers ...identity.Number) table.PolicySet {
		row := table.PolicySet{Identity: n, NamedPorts: ports, Entries: []policy.Entry{{Verdict: policy.DenyImplicit}}}
		for _, p := range peers {
			row.Entries = append(row.Entries, policy.Entry{Peer: p, Verdict: policy.Allow, Precedence: 1})
		}
		return row
	}
	agent := func() (*bpfmap.Sets, func(rows ...table.PolicySet) map[state.Key]uint32) {
		tables, db := table.New()
		s, err := bpfmap.NewSets(db, tables.SetStatuses, m, bpfmap.NewRevisions(m), func([]policy.Origin) uint32 { return 1 })
		if err != nil {
			t.Fatal(err)
		}
		return s, func(rows ...table.PolicySet) map[state.Key]uint32 {
			if err := s.Set(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			indexes := map[state.Key]uint32{}
			for status := range tables.SetStatuses.All(db.Snapshot()) {
				indexes[status.Set] = status.Index
			}
			return indexes
		}
	}
	_, puts := agent()
	before := puts(set(300, "", 1), set(300, "http:6/80", 1), set(301, "", 1), set(302, "", 1))
	s, puts := agent()
	after := puts(set(303, "", 1), set(301, "", 1, 2), set(300, "http:6/80", 2, 3))
	for _, key := range []state.Key{table.SetKey(301, ""), table.SetKey(300, "http:6/80")} {
		if before[key] != after[key] {
			t.Errorf("set %v was in index %d and is in index %d", key, before[key], after[key])
		}
	}
	if index := after[table.SetKey(303, "")]; slices.Contains(slices.Collect(gomaps.Values(before)), index) {
		t.Errorf("a set that is new has got index %d of another's", index)
	}
	dump, err := s.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var left []table.PolicySet
	for _, row := range dump {
		if row.Identity == 0 {
			left = append(left, row)
		}
	}
	if len(left) != 2 { // those of 300 without ports and of 302
		t.Errorf("left are %v", left)
	}
	if err := s.Unset(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	if n := count(t, m["policies"]); n != 2+3+3 {
		t.Errorf("%d entries are left", n)
	}
}

func TestSlotsAndBackendsThatAnAgentWasKilledOverAreRemovedOnceAllFrontendsAreKnown(t *testing.T) {
	m := newMaps(t)
	for id := range uint32(3) {
		b := abi.Backend{Addr: abi.From(netip.AddrFrom4([4]byte{10, 0, 0, byte(id)})), Port: abi.Port(80), Protocol: 6, Id: id + 1}
		if err := m["backends"].Put(id+1, b); err != nil {
			t.Fatal(err)
		}
		if err := m["slots"].Put(abi.SlotKey{Service: 7 + id/2, Slot: id}, id+1); err != nil { // 7: slots 0 and 1; 8: slot 2
			t.Fatal(err)
		}
	}
	key := abi.ServiceKey{Addr: abi.From(netip.MustParseAddr("10.96.0.1")), Port: abi.Port(80), Protocol: 6}
	if err := m["services"].Put(key, abi.Service{Id: 7, Count: 1}); err != nil {
		t.Fatal(err)
	}
	s, err := bpfmap.NewServices(m)
	if err != nil {
		t.Fatal(err)
	}
	left := func() (rows []table.Frontend) {
		dump, err := s.Dump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range dump {
			if !r.Address.IsValid() {
				rows = append(rows, r)
			}
		}
		return rows
	}
	kept := table.Frontend{Address: netip.MustParseAddr("10.96.0.1"), Port: 80, Protocol: 6, Backends: []table.Backend{
		{Address: netip.AddrFrom4([4]byte{10, 0, 0, 0}), Port: 80}, {Address: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Port: 80, Terminating: true},
	}}
	if err := s.Set(t.Context(), []table.Frontend{kept}); err != nil { // what is known of backends that end comes first
		t.Fatal(err)
	}
	if err := s.Unset(t.Context(), left()); err != nil {
		t.Fatal(err)
	}
	if slots, backends := count(t, m["slots"]), count(t, m["backends"]); slots != 1 || backends != 2 {
		t.Errorf("%d slots and %d backends are left, want 1 and 2", slots, backends)
	}
	if rows := left(); len(rows) > 0 {
		t.Errorf("still left: %v", rows)
	}
}
