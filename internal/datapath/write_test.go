package datapath

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath/layout"
)

// rule is an entry of a generation.
func rule(generation, peer uint32) abi.PolicyKey {
	return abi.PolicyKey{Bits: abi.PolicyBitsFixed, Generation: generation, Peer: peer, Layer: 1}
}

func have(t *testing.T, m *ebpf.Map) map[abi.PolicyKey]abi.Policy {
	t.Helper()
	list := map[abi.PolicyKey]abi.Policy{}
	var key abi.PolicyKey
	var value abi.Policy
	each := m.Iterate()
	for each.Next(&key, &value) {
		list[key] = value
	}
	check(t, each.Err())
	return list
}

func rules(n uint32) Config { return Config{Entries: map[string]uint32{"policies": n}} }

// resized has programs with another configuration, while those on devices are the former ones.
func (d *Datapath) resized(t *testing.T, config Config) {
	t.Helper()
	next, err := d.successor(config)
	check(t, err)
	former, err := d.settleInto(next)
	check(t, err)
	for _, p := range former {
		t.Cleanup(func() { p.Close() })
	}
}

func TestWhatTheAgentWritesWhileFormerProgramsRunIsInTheirMapsToo(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, rules(2048))
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Attach("from_net", s.host))
	want := map[abi.PolicyKey]abi.Policy{}
	put := func(generation, peer uint32) {
		t.Helper()
		want[rule(generation, peer)] = abi.Policy{Precedence: peer, Verdict: abi.VerdictAllow}
		check(t, d.Put("policies", rule(generation, peer), want[rule(generation, peer)]))
	}
	for peer := range uint32(100) {
		put(1, peer)
	}
	former, err := d.Map("policies").Clone()
	check(t, err)
	t.Cleanup(func() { former.Close() })
	d.resized(t, rules(4096))
	put(1, 7) // once more
	put(2, 7)
	delete(want, rule(1, 8))
	check(t, d.Delete("policies", rule(1, 8)))
	for name, m := range map[string]*ebpf.Map{"former": former, "next": d.Map("policies")} {
		if diff := cmp.Diff(want, have(t, m)); diff != "" {
			t.Errorf("the %s map (-want +have):\n%s", name, diff)
		}
	}
	check(t, d.replace())
	if done, err := d.Follow(); !done || err != nil {
		t.Fatalf("follow: %v, %v", done, err)
	}
	put(3, 7)
	if diff := cmp.Diff(want, have(t, d.Map("policies"))); diff != "" || d.Map("policies").MaxEntries() != 4096 {
		t.Errorf("after the move %d entries are asked for (-want +have):\n%s", d.Map("policies").MaxEntries(), diff)
	}
}

// The agent puts one generation after the other in force. Whichever of two maps a program has, it finds that which is.
func TestNoProgramMissesAGenerationWhileMapsGetAnotherSize(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, rules(2048))
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Attach("from_net", s.host))
	var end atomic.Bool
	over := make(chan error)
	write := func(generation uint32) error {
		for peer := range uint32(5) {
			if err := d.Put("policies", rule(generation, peer), abi.Policy{Verdict: abi.VerdictAllow}); err != nil {
				return err
			}
		}
		if err := d.Put("sets", uint32(1), abi.Set{Generation: uint64(generation)}); err != nil || generation == 1 {
			return err
		}
		for peer := range uint32(5) {
			if err := d.Delete("policies", rule(generation-1, peer)); err != nil {
				return err
			}
		}
		return nil
	}
	check(t, write(1))
	generations := uint32(1)
	go func() {
		var err error
		for err == nil && !end.Load() {
			generations++
			err = write(generations)
		}
		over <- err
	}()
	ask := func(m *ebpf.Map) {
		for last := uint64(0); ; {
			var set abi.Set
			var value abi.Policy
			check(t, d.Map("sets").Lookup(uint32(1), &set))
			if m.Lookup(rule(uint32(set.Generation), 0), &value) == nil {
				return
			}
			if set.Generation == last {
				t.Fatalf("generation %d is in force, and a map of %d entries has it not", last, m.MaxEntries())
			}
			last = set.Generation
		}
	}
	for i := range 6 {
		former, err := d.Map("policies").Clone()
		check(t, err)
		d.resized(t, rules([]uint32{4096, 2048}[i%2]))
		for range 200 {
			ask(former)
			ask(d.Map("policies"))
		}
		check(t, former.Close())
		check(t, d.replace())
		if done, err := d.Follow(); !done || err != nil {
			t.Fatalf("follow: %v, %v", done, err)
		}
	}
	end.Store(true)
	check(t, <-over)
	t.Logf("%d generations", generations)
}

// impossible is a size that no kernel makes a hash of.
const impossible = 1<<32 - 1

func TestAMapThatCannotHaveTheSizeKeepsItsOwnAndSaysWhy(t *testing.T) {
	s := newStand(t)
	sizes := func(policies, connections uint32) Config {
		return Config{Entries: map[string]uint32{"policies": policies, "connections": connections}}
	}
	d, err := Open(s.dir, sizes(2048, 2048))
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Attach("from_net", s.host))
	for peer := range uint32(300) {
		check(t, d.Put("policies", rule(1, peer), abi.Policy{Verdict: abi.VerdictAllow}))
	}
	before := have(t, d.Map("policies"))
	asked := func(d *Datapath, policies, connections uint32, why ...string) {
		t.Helper()
		has := fmt.Sprintf("policies %d, connections %d", d.Map("policies").MaxEntries(), d.Map("connections").MaxEntries())
		if want := fmt.Sprintf("policies %d, connections %d", policies, connections); has != want {
			t.Errorf("there are %s, want %s", has, want)
		}
		kept := d.Kept()
		if len(kept) != len(why)/2 {
			t.Errorf("kept are %v, want %v", kept, why)
		}
		for i := 0; i < len(why); i += 2 {
			if !strings.HasPrefix(kept[why[i]], why[i+1]) {
				t.Errorf("%s is kept since %q, want %q", why[i], kept[why[i]], why[i+1])
			}
		}
		if diff := cmp.Diff(before, have(t, d.Map("policies"))); diff != "" {
			t.Errorf("policies (-before +after):\n%s", diff)
		}
		if done, err := d.Follow(); !done || err != nil {
			t.Fatalf("follow: %v, %v", done, err)
		}
	}
	check(t, d.Reload(sizes(1024, impossible)))
	asked(d, 2048, 2048, "policies", "what it holds would fill more than a quarter of that", "connections", "make map connections: ")
	check(t, d.Reload(sizes(1024, 4096)))
	asked(d, 2048, 4096, "policies", "what it holds would fill more than a quarter of that")
	check(t, d.Reload(sizes(4096, 4096)))
	asked(d, 4096, 4096)
	again, err := Open(s.dir, sizes(1024, impossible))
	check(t, err)
	defer again.Close()
	check(t, again.replace())
	asked(again, 4096, 4096, "policies", "what it holds would fill more than a quarter of that", "connections", "make map connections: ")
}

// A version whose entries have another shape reads what this one writes meanwhile, by the names of their fields.
func TestWhatIsWrittenIsReadByProgramsOfAnotherVersion(t *testing.T) {
	dir, r := pinDirectory(t), rand.New(rand.NewPCG(11, 12))
	spec := other(t, r, "policies")
	old := left(t, r, dir, spec, 0)
	d, err := Open(dir, Config{})
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Put("policies", rule(5, 6), abi.Policy{Precedence: 77, Verdict: abi.VerdictDeny}))
	key, row := make([]byte, old.KeySize()), make([]byte, old.ValueSize())
	each := old.Iterate()
	if !each.Next(&key, &row) {
		t.Fatalf("the map of the other version is empty: %v", each.Err())
	}
	fields := bytesOf(layout.Of(spec).Value, row)
	if fields["precedence"] != "4d000000" || fields["verdict"] != "02" {
		t.Errorf("it reads %v", fields)
	}
	check(t, d.Delete("policies", rule(5, 6)))
	if each := old.Iterate(); each.Next(&key, &row) {
		t.Error("what was removed is in the map of the other version")
	}
}

func TestWhatIsWrittenTogetherIsInTheMapOfAnotherVersion(t *testing.T) {
	for _, shape := range []string{"the same", "another"} {
		t.Run(shape, func(t *testing.T) {
			dir, r := pinDirectory(t), rand.New(rand.NewPCG(11, 12))
			spec := other(t, r, "services")
			if shape == "the same" {
				spec = mapSpec(t, "services").Copy()
				spec.Pinning, spec.MaxEntries = ebpf.PinNone, 2*spec.MaxEntries
			}
			old := left(t, r, dir, spec, 0)
			d, err := Open(dir, Config{})
			check(t, err)
			t.Cleanup(d.Close)
			keys := []abi.ServiceKey{{Port: abi.Port(80)}, {Port: abi.Port(443)}}
			check(t, d.PutAll("services", keys, []abi.Service{{Id: 77}, {Id: 78}}))
			for i, key := range keys {
				var v abi.Service
				if err := d.Map("services").Lookup(key, &v); err != nil || v.Id != uint32(77+i) {
					t.Errorf("it has %v, %v", v, err)
				}
			}
			ids := map[string]bool{}
			k, v := make([]byte, old.KeySize()), make([]byte, old.ValueSize())
			each := old.Iterate()
			for each.Next(&k, &v) {
				ids[bytesOf(layout.Of(spec).Value, v)["id"]] = true
			}
			check(t, each.Err())
			if !ids["4d000000"] || !ids["4e000000"] || len(ids) != 2 {
				t.Errorf("the other version reads %v", ids)
			}
			for _, key := range keys {
				check(t, d.Delete("services", key))
			}
			if each := old.Iterate(); each.Next(&k, &v) {
				t.Error("what was removed is in the map of the other version")
			}
		})
	}
}
