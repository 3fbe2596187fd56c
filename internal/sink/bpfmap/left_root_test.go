package bpfmap_test

import (
	"net/netip"
	"slices"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/table"
)

// leavers are the backends that have left a frontend, by their addresses.
func leavers(t *testing.T, m maps) []string { return marked(t, m, abi.SlotLeft) }

func TestABackendThatLeftOneFrontendOfUDPIsRememberedWhileAnotherHasIt(t *testing.T) {
	for _, again := range []bool{false, true} { // an agent that starts again between
		m := newMaps(t)
		s, err := bpfmap.NewServices(m)
		if err != nil {
			t.Fatal(err)
		}
		first := table.Frontend{Address: netip.MustParseAddr("10.96.0.1"), Port: 53, Protocol: 17}
		second, stream := first, first
		second.Address, stream.Protocol = netip.MustParseAddr("10.96.0.2"), 6
		one, two := table.Backend{Address: netip.MustParseAddr("10.0.0.1"), Port: 53}, table.Backend{Address: netip.MustParseAddr("10.0.0.2"), Port: 53}
		for _, step := range []struct {
			what          string
			first, second []table.Backend
			gone          bool // the first has
			want          []string
		}{
			{"both have one", []table.Backend{one}, []table.Backend{one}, false, nil},
			{"the first has another", []table.Backend{two}, []table.Backend{one}, false, []string{"10.0.0.1"}},
			{"and none", nil, []table.Backend{one}, false, []string{"10.0.0.1"}},
			{"and the one again", []table.Backend{one}, []table.Backend{one}, false, nil},
			{"both have both", []table.Backend{one, two}, []table.Backend{one, two}, false, nil},
			{"the first has none", nil, []table.Backend{one, two}, false, []string{"10.0.0.1", "10.0.0.2"}},
			{"the second has another", nil, []table.Backend{two}, false, []string{"10.0.0.2"}},
			{"the first is gone", nil, []table.Backend{two}, true, nil},
		} {
			if again {
				if s, err = bpfmap.NewServices(m); err != nil {
					t.Fatal(err)
				}
			}
			first.Backends, second.Backends, stream.Backends = step.first, step.second, step.first
			if err := s.Set(t.Context(), []table.Frontend{first, second, stream}); err != nil {
				t.Fatal(err)
			}
			if step.gone {
				if err := s.Unset(t.Context(), []table.Frontend{first}); err != nil {
					t.Fatal(err)
				}
			}
			if have := leavers(t, m); !slices.Equal(have, step.want) {
				t.Errorf("%s, again %v: %v have left, want %v", step.what, again, have, step.want)
			}
		}
	}
}
