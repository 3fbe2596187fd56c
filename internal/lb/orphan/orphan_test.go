package orphan

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const tcp, udp = 6, 17

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func TestASocketIsAnOrphanWhenNoServiceOffersItsBackend(t *testing.T) {
	var o Offers
	one, two := Backend{at("10.244.1.7:53"), udp}, Backend{at("10.244.1.8:53"), udp}
	sockets := []Socket{{1, one}, {2, two}, {3, Backend{at("10.244.1.7:53"), tcp}}, {4, Backend{At: at("10.244.1.7:53")}}}
	if o.Put(nil, []Backend{one, two}) || o.Put(nil, []Backend{one}) {
		t.Error("something is lost although only services came")
	}
	if have := o.Orphans(sockets, udp); len(have) != 0 {
		t.Errorf("all backends are offered, and %v are orphans", have)
	}
	if o.Put([]Backend{one, two}, []Backend{two}) {
		t.Error("a backend that another service offers is lost")
	}
	if !o.Put([]Backend{one}, nil) {
		t.Error("a backend that no service offers is not lost")
	}
	if have := o.Orphans(sockets, udp); !slices.Equal(have, []Socket{{1, one}, {4, one}}) {
		t.Errorf("orphans of UDP: %v", have)
	}
	want := []Socket{{1, one}, {3, Backend{one.At, tcp}}, {4, one}, {4, Backend{one.At, tcp}}}
	if have := o.Orphans(sockets, udp, tcp); !slices.Equal(have, want) {
		t.Errorf("orphans of UDP and TCP: %v, want %v", have, want)
	}
}

func TestABackendIsLostWhenTheLastFrontendLetsGoOfIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var o Offers
		rows := map[string][]Backend{} // the oracle looks through all
		offered := func(b Backend) bool {
			for _, row := range rows {
				if slices.Contains(row, b) {
					return true
				}
			}
			return false
		}
		backend := rapid.Custom(func(rt *rapid.T) Backend {
			return Backend{at(fmt.Sprintf("10.0.0.1:%d", rapid.IntRange(1, 4).Draw(rt, "port"))), rapid.SampledFrom([]uint8{tcp, udp}).Draw(rt, "protocol")}
		})
		for range rapid.IntRange(1, 40).Draw(rt, "changes") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "frontend")
			row := rapid.SliceOfNDistinct(backend, 0, 4, rapid.ID).Draw(rt, "backends")
			before := rows[name]
			rows[name] = row
			want := slices.ContainsFunc(before, func(b Backend) bool { return !offered(b) })
			if have := o.Put(before, row); have != want {
				rt.Fatalf("%s has %v after %v: lost is %v, want %v", name, row, before, have, want)
			}
			for cookie := range uint64(4) {
				for _, p := range []uint8{tcp, udp} {
					s := Socket{cookie, Backend{at(fmt.Sprintf("10.0.0.1:%d", cookie+1)), p}}
					if have := len(o.Orphans([]Socket{s}, tcp, udp)) > 0; have != !offered(s.Backend) {
						rt.Fatalf("%v is an orphan: %v", s, have)
					}
				}
			}
		}
	})
}
