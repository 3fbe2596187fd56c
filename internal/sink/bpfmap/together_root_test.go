package bpfmap_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/table"
)

// meaning is what the maps of services say, without numbers; an error is what means nothing.
func meaning(m maps) (map[string]string, error) {
	slots, err := rowsOf[abi.SlotKey, uint32](m["slots"])
	if err != nil {
		return nil, err
	}
	backends, err := rowsOf[uint32, abi.Backend](m["backends"])
	if err != nil {
		return nil, err
	}
	services, err := rowsOf[abi.ServiceKey, abi.Service](m["services"])
	if err != nil {
		return nil, err
	}
	parts, err := rowsOf[abi.MaglevKey, abi.MaglevPart](m["maglev"])
	if err != nil {
		return nil, err
	}
	at := map[uint32]string{}
	for id, b := range backends {
		at[id] = fmt.Sprint(b.Addr.IP(), b.Port.Number(), b.Protocol)
	}
	tables := map[uint64]uint32{}
	for k := range parts {
		tables[k.Table]++
	}
	out, named, led := map[string]string{}, map[uint32]bool{}, map[uint64]bool{}
	for k, v := range services {
		var to []string
		for slot, id := range slots {
			if slot.Service != v.Id {
				continue
			}
			delete(slots, slot)
			if named[id] = true; at[id] == "" {
				return nil, fmt.Errorf("slot %v leads to no backend", slot)
			}
			to = append(to, fmt.Sprint(slot.Slot&abi.SlotTakes != 0, at[id]))
		}
		slices.Sort(to)
		if led[v.Table] = true; tables[v.Table] != (v.TableSize+abi.MaglevElements-1)/abi.MaglevElements {
			return nil, fmt.Errorf("the table of %v has %d parts", v, tables[v.Table])
		}
		out[fmt.Sprint(k.Addr.IP(), k.Port.Number())] = fmt.Sprint(v.Count, v.Flags, v.AffinitySeconds, v.TableSize, strings.Join(to, ","))
	}
	for k := range parts {
		if !led[k.Table] {
			return nil, fmt.Errorf("table %d is of no frontend", k.Table)
		}
	}
	if len(slots) > 0 {
		return nil, fmt.Errorf("slots of no frontend: %v", slots)
	}
	return out, nil
}

func rowsOf[K comparable, V any](m *ebpf.Map) (map[K]V, error) {
	out := map[K]V{}
	var k K
	var v V
	each := m.Iterate()
	for each.Next(&k, &v) {
		out[k] = v
	}
	return out, each.Err()
}

// sealed are maps that nothing is written into.
type sealed struct{ maps }

func (sealed) Put(name string, _, _ any) error    { return errors.New("written: " + name) }
func (sealed) PutAll(name string, _, _ any) error { return errors.New("written: " + name) }
func (sealed) Delete(name string, _ any) error    { return errors.New("removed: " + name) }

var someFrontend = rapid.Custom(func(rt *rapid.T) table.Frontend {
	r := table.Frontend{
		Address: netip.AddrFrom4([4]byte{10, 96, 0, rapid.Byte().Draw(rt, "address") % 12}), Port: 80, Protocol: 6,
		AffinitySeconds: rapid.SampledFrom([]uint32{0, 0, 60}).Draw(rt, "affinity"),
		Maglev:          maglev.Shape{Size: rapid.SampledFrom([]uint32{0, 0, 251}).Draw(rt, "table")},
	}
	for _, b := range rapid.SliceOfNDistinct(rapid.Byte(), 1, 5, func(b byte) byte { return b % 16 }).Draw(rt, "backends") {
		r.Backends = append(r.Backends, table.Backend{Address: netip.AddrFrom4([4]byte{10, 0, 0, b % 16}), Port: 80, Terminating: b >= 224})
	}
	return r
})

func empty(t *testing.T, m maps) {
	t.Helper()
	for _, name := range []string{"services", "slots", "backends", "maglev"} {
		key := make([]byte, m[name].KeySize())
		for m[name].NextKey(nil, key) == nil {
			if err := m[name].Delete(key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What is written of many frontends together is what is written of one after the other, whether they were there or not; the next agent finds
// that nothing is to be done.
func TestFrontendsAreWrittenTogetherAsOneByOne(t *testing.T) {
	together, single := newMaps(t), newMaps(t)
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		empty(t, together)
		empty(t, single)
		all, err := bpfmap.NewServices(together)
		if err != nil {
			rt.Fatal(err)
		}
		one, err := bpfmap.NewServices(single)
		if err != nil {
			rt.Fatal(err)
		}
		want := map[netip.Addr]table.Frontend{}
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			rows := rapid.SliceOfNDistinct(someFrontend, 0, 8, func(r table.Frontend) netip.Addr { return r.Address }).Draw(rt, "rows")
			gone := rapid.Bool().Draw(rt, "gone")
			if gone {
				err = all.Unset(ctx, rows)
			} else {
				err = all.Set(ctx, rows)
			}
			if err != nil {
				rt.Fatal(err)
			}
			for _, r := range rows {
				if want[r.Address] = r; gone {
					err = one.Unset(ctx, []table.Frontend{r})
					delete(want, r.Address)
				} else {
					err = one.Set(ctx, []table.Frontend{r})
				}
				if err != nil {
					rt.Fatal(err)
				}
			}
			have, err := meaning(together)
			if err != nil {
				rt.Fatal(err)
			}
			is, err := meaning(single)
			if err != nil {
				rt.Fatal(err)
			}
			if fmt.Sprint(have) != fmt.Sprint(is) {
				rt.Fatalf("together:\n%v\none by one:\n%v", have, is)
			}
		}
		next, err := bpfmap.NewServices(sealed{together})
		if err != nil {
			rt.Fatal(err)
		}
		dump, err := next.Dump(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		for _, have := range dump {
			row, there := want[have.Address]
			ends := slices.ContainsFunc(row.Backends, func(b table.Backend) bool { return b.Terminating }) // of which maps tell nothing
			if have.Address.IsValid() && !ends && (!there || !next.Equal(row, have)) {
				rt.Fatalf("the next agent would write %v anew, which it finds as %v", row, have)
			}
			if have.Address.IsValid() && !ends {
				if err := next.Set(ctx, []table.Frontend{row}); err != nil {
					rt.Fatalf("the next agent writes %v, which is there: %v", row, err)
				}
			}
		}
	})
}

// Of many frontends, too many for a map, some are written whole and of the others nothing is there; and none that was there has changed.
func TestOfFrontendsThatDoNotAllFitSomeAreWrittenWhole(t *testing.T) {
	for full, entries := range map[string]uint32{"services": 5, "slots": 14, "backends": 7, "maglev": 4} {
		t.Run(full, func(t *testing.T) {
			m := newMaps(t)
			m.shrink(t, full, entries)
			s, err := bpfmap.NewServices(m)
			if err != nil {
				t.Fatal(err)
			}
			row := func(i byte) table.Frontend {
				return hashed(fmt.Sprintf("203.0.113.%d", i), 251*uint32(i%2), fmt.Sprintf("10.0.0.%d", i), fmt.Sprintf("10.0.1.%d", i))
			}
			set(t, s, row(1))
			var rows []table.Frontend
			for i := range byte(10) {
				rows = append(rows, row(2+i))
			}
			if err := s.Set(t.Context(), rows); err == nil || !strings.Contains(err.Error(), "map "+full+" is full") {
				t.Fatalf("%v, want that map %s is full", err, full)
			}
			have, err := meaning(m)
			if err != nil {
				t.Fatal(err)
			}
			if len(have) < 3 || full != "maglev" && len(have) == 11 || have["203.0.113.1 443"] == "" {
				t.Errorf("there are %v", have)
			}
			if n, of := count(t, m["backends"]), 2*len(have); n != of {
				t.Errorf("%d frontends have %d backends, want %d", len(have), n, of)
			}
			if err := s.Unset(t.Context(), append(rows, row(1))); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"services", "slots", "backends", "maglev"} {
				if n := count(t, m[name]); n > 0 {
					t.Errorf("map %s has %d rows of no frontend", name, n)
				}
			}
		})
	}
}
