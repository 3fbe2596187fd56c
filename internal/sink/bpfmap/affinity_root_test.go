package bpfmap_test

import (
	"net/netip"
	"slices"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/table"
)

// takers are the backends that have a row for affinity, by their addresses.
func takers(t *testing.T, m maps) []string { return marked(t, m, abi.SlotTakes) }

// marked are the backends that slots of a kind name, by their addresses.
func marked(t *testing.T, m maps, kind uint32) (list []string) {
	var key abi.SlotKey
	var id uint32
	rows := m["slots"].Iterate()
	for rows.Next(&key, &id) {
		if key.Slot&(abi.SlotTakes|abi.SlotLeft) != kind {
			continue
		}
		var b abi.Backend
		if err := m["backends"].Lookup(id, &b); err != nil || key.Slot != kind|id {
			t.Fatalf("slot %#x names backend %d: %v", key.Slot, id, err)
		}
		list = append(list, b.Addr.IP().String())
	}
	slices.Sort(list)
	return list
}

func TestOnlyBackendsThatTakeNewConnectionsAreThereForAffinity(t *testing.T) {
	m := newMaps(t)
	s, err := bpfmap.NewServices(m)
	if err != nil {
		t.Fatal(err)
	}
	row := table.Frontend{Address: netip.MustParseAddr("10.96.0.1"), Port: 80, Protocol: 6, AffinitySeconds: 60}
	one, two := table.Backend{Address: netip.MustParseAddr("10.0.0.1"), Port: 80}, table.Backend{Address: netip.MustParseAddr("10.0.0.2"), Port: 80}
	leaving := one
	leaving.Terminating = true
	for _, step := range []struct {
		seconds  uint32
		backends []table.Backend
		want     []string
	}{
		{60, []table.Backend{one, two}, []string{"10.0.0.1", "10.0.0.2"}},
		{60, []table.Backend{leaving, two}, []string{"10.0.0.2"}},
		{60, []table.Backend{one}, []string{"10.0.0.1"}},
		{0, []table.Backend{one, two}, nil},
		{60, []table.Backend{one, two}, []string{"10.0.0.1", "10.0.0.2"}},
		{60, nil, nil},
	} {
		row.AffinitySeconds, row.Backends = step.seconds, step.backends
		if err := s.Set(t.Context(), []table.Frontend{row}); err != nil {
			t.Fatal(err)
		}
		if have := takers(t, m); !slices.Equal(have, step.want) {
			t.Errorf("affinity of %v: have %v, want %v", step.backends, have, step.want)
		}
	}
	if err := s.Unset(t.Context(), []table.Frontend{row}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, m["slots"]); n != 0 {
		t.Errorf("%d slots are left of no frontend", n)
	}
}

// What an agent before these rows wrote, or one that was killed over them, is written anew; what is right stays.
func TestAffinityOfAnEarlierAgentIsMadeGood(t *testing.T) {
	for name, change := range map[string]func(*testing.T, maps){
		"complete": func(*testing.T, maps) {},
		"without rows": func(t *testing.T, m maps) {
			for _, id := range []uint32{1, 2} {
				if err := m["slots"].Delete(abi.SlotKey{Service: 1, Slot: abi.SlotTakes | id}); err != nil {
					t.Fatal(err)
				}
			}
		},
		"with one too many": func(t *testing.T, m maps) {
			if err := m["slots"].Put(abi.SlotKey{Service: 1, Slot: abi.SlotTakes | 9}, uint32(9)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMaps(t)
			before, err := bpfmap.NewServices(m)
			if err != nil {
				t.Fatal(err)
			}
			row := table.Frontend{Address: netip.MustParseAddr("10.96.0.1"), Port: 80, Protocol: 6, AffinitySeconds: 60, Backends: []table.Backend{
				{Address: netip.MustParseAddr("10.0.0.1"), Port: 80}, {Address: netip.MustParseAddr("10.0.0.2"), Port: 80},
			}}
			if err := before.Set(t.Context(), []table.Frontend{row}); err != nil {
				t.Fatal(err)
			}
			change(t, m)
			s, err := bpfmap.NewServices(m)
			if err != nil {
				t.Fatal(err)
			}
			dump, err := s.Dump(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, have := range dump {
				if equal := s.Equal(row, have); equal != (name == "complete") {
					t.Errorf("the frontend is left as it is: %v", equal)
				}
			}
			if err := s.Set(t.Context(), []table.Frontend{row}); err != nil {
				t.Fatal(err)
			}
			if have := takers(t, m); !slices.Equal(have, []string{"10.0.0.1", "10.0.0.2"}) {
				t.Errorf("affinity of %v", have)
			}
		})
	}
}

func TestANumberThatACallNamesIsGivenToNoOtherBackend(t *testing.T) {
	for name, remember := range map[string]func(m maps, id uint32) error{
		"translations": func(m maps, id uint32) error {
			return m["translations"].Put(abi.NatKey{SrcPort: abi.Port(1)}, abi.Nat{Backend: id})
		},
		"socket_backends": func(m maps, id uint32) error { return m["socket_backends"].Put(abi.SocketCall{Cookie: 1}, id) },
	} {
		m := newMaps(t)
		row := table.Frontend{Address: netip.MustParseAddr("10.96.0.1"), Port: 53, Protocol: 17}
		for _, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			s, err := bpfmap.NewServices(m) // an agent for each
			if err != nil {
				t.Fatal(err)
			}
			row.Backends = []table.Backend{{Address: netip.MustParseAddr(address), Port: 53}}
			if err := s.Set(t.Context(), []table.Frontend{row}); err != nil {
				t.Fatal(err)
			}
			var id uint32
			if err := m["backends"].NextKey(nil, &id); err != nil {
				t.Fatal(err)
			}
			if err := remember(m, id); err != nil {
				t.Fatal(err)
			}
			if address == "10.0.0.1" {
				row.Backends = nil // it goes before the next agent begins
				if err := s.Set(t.Context(), []table.Frontend{row}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if id == 1 {
				t.Errorf("%s: backend %s has number %d, which a call of another names", name, address, id)
			}
		}
	}
}

// A Service that is made anew is another one to datagrams of before, also where an agent has begun anew in between.
func TestANumberThatACallNamesIsGivenToNoOtherService(t *testing.T) {
	for name, remember := range map[string]func(m maps, id uint32) error{
		"translations": func(m maps, id uint32) error {
			return m["translations"].Put(abi.NatKey{SrcPort: abi.Port(1)}, abi.Nat{Service: id})
		},
		"socket_backends": func(m maps, id uint32) error {
			return m["socket_backends"].Put(abi.SocketCall{Cookie: 1, Service: id}, uint32(1))
		},
	} {
		m := newMaps(t)
		row := table.Frontend{Address: netip.MustParseAddr("10.96.0.1"), Port: 53, Protocol: 17}
		number := func() uint32 {
			s, err := bpfmap.NewServices(m) // an agent for each
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Set(t.Context(), []table.Frontend{row}); err != nil {
				t.Fatal(err)
			}
			var key abi.ServiceKey
			var value abi.Service
			if err := m["services"].NextKey(nil, &key); err != nil {
				t.Fatal(err)
			}
			if err := m["services"].Lookup(key, &value); err != nil {
				t.Fatal(err)
			}
			if err := s.Unset(t.Context(), []table.Frontend{row}); err != nil {
				t.Fatal(err)
			}
			return value.Id
		}
		first := number()
		if err := remember(m, first); err != nil {
			t.Fatal(err)
		}
		if second := number(); second == first {
			t.Errorf("%s: the service that is made anew has number %d, which a call names", name, second)
		}
	}
}
