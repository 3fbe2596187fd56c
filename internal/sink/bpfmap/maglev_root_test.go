package bpfmap_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/table"
)

// led are the backends to which a frontend's table leads, each once; none: it has none.
func led(t *testing.T, m maps, row table.Frontend) (list []string) {
	t.Helper()
	key := abi.ServiceKey{Addr: abi.From(row.Address), Port: abi.Port(row.Port), Protocol: row.Protocol, Scope: uint8(row.Scope), Net: abi.NetPods}
	var v abi.Service
	if err := m["services"].Lookup(key, &v); err != nil {
		t.Fatal(err)
	}
	for element := range v.TableSize {
		var part abi.MaglevPart
		if err := m["maglev"].Lookup(abi.MaglevKey{Table: v.Table, Part: element / abi.MaglevElements}, &part); err != nil {
			t.Fatalf("element %d: %v", element, err)
		}
		var b abi.Backend
		if err := m["backends"].Lookup(part.Backend[element%abi.MaglevElements], &b); err != nil {
			t.Fatalf("element %d leads to no backend: %v", element, err)
		}
		if text := b.Addr.IP().String(); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	slices.Sort(list)
	return list
}

func hashed(address string, size uint32, backends ...string) table.Frontend {
	row := table.Frontend{Address: netip.MustParseAddr(address), Port: 443, Protocol: 6, Scope: table.ScopeOutside, Maglev: maglev.Shape{Size: size}}
	for _, b := range backends {
		row.Backends = append(row.Backends, table.Backend{Address: netip.MustParseAddr(b), Port: 80})
	}
	return row
}

func set(t *testing.T, s *bpfmap.Services, rows ...table.Frontend) {
	t.Helper()
	if err := s.Set(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
}

func TestATableGoesWithTheLastFrontendThatNamesIt(t *testing.T) {
	m := newMaps(t)
	s, err := bpfmap.NewServices(m)
	if err != nil {
		t.Fatal(err)
	}
	one, two := hashed("203.0.113.1", 251, "10.0.0.1", "10.0.0.2"), hashed("203.0.113.2", 251, "10.0.0.1", "10.0.0.2")
	for _, step := range []struct {
		name  string
		do    func() error
		parts int
	}{
		{"a frontend has one", func() error { return s.Set(t.Context(), []table.Frontend{one}) }, 3},
		{"another with the same backends shares it", func() error { return s.Set(t.Context(), []table.Frontend{two}) }, 3},
		{"one with others has its own", func() error {
			return s.Set(t.Context(), []table.Frontend{hashed("203.0.113.2", 509, "10.0.0.1", "10.0.0.3")})
		}, 3 + 5},
		{"which goes with it", func() error { return s.Unset(t.Context(), []table.Frontend{two}) }, 3},
		{"or when the choice is by chance", func() error {
			return s.Set(t.Context(), []table.Frontend{hashed("203.0.113.1", 0, "10.0.0.1", "10.0.0.2")})
		}, 0},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, m["maglev"]); n != step.parts {
			t.Errorf("%s: map maglev has %d parts, want %d", step.name, n, step.parts)
		}
	}
}

// What is right stays when another agent begins, what is not is made good, and what is of no frontend goes.
func TestTablesOfAnEarlierAgentAreTakenOver(t *testing.T) {
	row := hashed("203.0.113.1", 251, "10.0.0.1", "10.0.0.2")
	for name, c := range map[string]struct {
		want   table.Frontend
		change func(m maps) error
		equal  bool
	}{
		"as it is":           {row, func(maps) error { return nil }, true},
		"another size":       {hashed("203.0.113.1", 509, "10.0.0.1", "10.0.0.2"), func(maps) error { return nil }, false},
		"other backends":     {hashed("203.0.113.1", 251, "10.0.0.1", "10.0.0.3"), func(maps) error { return nil }, false},
		"by chance":          {hashed("203.0.113.1", 0, "10.0.0.1", "10.0.0.2"), func(maps) error { return nil }, false},
		"a part is missing":  {row, func(m maps) error { return deletePart(m, 1) }, false},
		"the end is missing": {row, func(m maps) error { return deletePart(m, 2) }, false},
		"one of no frontend": {row, func(m maps) error { return m["maglev"].Put(abi.MaglevKey{Table: 7}, abi.MaglevPart{}) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMaps(t)
			before, err := bpfmap.NewServices(m)
			if err != nil {
				t.Fatal(err)
			}
			set(t, before, row)
			if err := c.change(m); err != nil {
				t.Fatal(err)
			}
			s, err := bpfmap.NewServices(m)
			if err != nil {
				t.Fatal(err)
			}
			dump, err := s.Dump(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, have := range dump {
				if equal := s.Equal(c.want, have); equal != c.equal {
					t.Errorf("the frontend is left as it is: %v", equal)
				}
			}
			set(t, s, c.want)
			var want []string
			for _, b := range c.want.Backends {
				if c.want.Maglev.Size > 0 {
					want = append(want, b.Address.String())
				}
			}
			if have := led(t, m, c.want); !slices.Equal(have, want) {
				t.Errorf("its table leads to %v, want %v", have, want)
			}
			if n, want := count(t, m["maglev"]), int(c.want.Maglev.Size+abi.MaglevElements-1)/abi.MaglevElements; n != want {
				t.Errorf("map maglev has %d parts, want %d", n, want)
			}
		})
	}
}

// deletePart takes a part away from the one table that there is.
func deletePart(m maps, part uint32) error {
	var key abi.MaglevKey
	if err := m["maglev"].NextKey(nil, &key); err != nil {
		return err
	}
	return m["maglev"].Delete(abi.MaglevKey{Table: key.Table, Part: part})
}

// A map that is full keeps what it holds; what does not fit leaves nothing behind, and fits once there is room.
func TestWhatDoesNotFitTouchesNothingElse(t *testing.T) {
	for _, full := range []string{"services", "slots", "backends", "service_sources", "maglev"} {
		t.Run(full, func(t *testing.T) {
			m := newMaps(t)
			m.shrink(t, full, map[string]uint32{"services": 2, "slots": 5, "backends": 4, "service_sources": 3, "maglev": 5}[full])
			s, err := bpfmap.NewServices(m)
			if err != nil {
				t.Fatal(err)
			}
			source := func(prefix string) table.Source {
				return table.Source{Prefix: netip.MustParsePrefix(prefix), Allowed: true}
			}
			first, grows := hashed("203.0.113.1", 251, "10.0.0.1", "10.0.0.2"), hashed("203.0.113.2", 0, "10.0.0.1")
			first.Sources = []table.Source{source("198.51.100.0/24")}
			set(t, s, first, grows)
			held := dump(t, m)

			new := hashed("203.0.113.3", 251, "10.0.0.3", "10.0.0.4")
			new.Sources = []table.Source{source("198.51.101.0/24"), source("198.51.102.0/24"), source("198.51.103.0/24")}
			if full == "slots" {
				new.Backends = append(new.Backends, hashed("203.0.113.3", 0, "10.0.0.5").Backends...)
			}
			if full == "backends" {
				new.Backends = append(new.Backends, hashed("203.0.113.3", 0, "10.0.0.5").Backends...)
			}
			for range 3 {
				err := s.Set(t.Context(), []table.Frontend{new})
				if err == nil || !strings.Contains(err.Error(), "map "+full+" is full") {
					t.Fatalf("%v, want that map %s is full", err, full)
				}
				now := dump(t, m)
				if full == "maglev" { // it is there, and calls find their backend by chance
					if have := led(t, m, new); have != nil {
						t.Errorf("it has a table that leads to %v", have)
					}
					delete(now, "services")
					delete(now, "slots")
					delete(now, "backends")
					delete(now, "service_sources")
				}
				for name, entries := range now {
					if entries != held[name] {
						t.Fatalf("map %s has changed:\n%s\nwas\n%s", name, entries, held[name])
					}
				}
			}
			if have := led(t, m, first); !slices.Equal(have, []string{"10.0.0.1", "10.0.0.2"}) {
				t.Errorf("the table of the first leads to %v", have)
			}
			if err := s.Unset(t.Context(), []table.Frontend{first}); err != nil {
				t.Fatal(err)
			}
			if err := s.Set(t.Context(), []table.Frontend{new}); err != nil {
				t.Errorf("there is room now: %v", err)
			}
		})
	}
}

// dump is what the maps hold.
func dump(t *testing.T, m maps) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"services", "slots", "backends", "service_sources", "maglev"} {
		key, value := make([]byte, m[name].KeySize()), make([]byte, m[name].ValueSize())
		var lines []string
		each := m[name].Iterate()
		for each.Next(&key, &value) {
			lines = append(lines, fmt.Sprintf("%x %x", key, value))
		}
		if err := each.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(lines)
		all[name] = strings.Join(lines, "\n")
	}
	return all
}
