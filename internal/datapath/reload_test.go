package datapath

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath/shelf"
)

func TestAnotherConfigurationTakesThePlaceOfTheFormerWhereverItIsAttached(t *testing.T) {
	s, r := newStand(t), rand.New(rand.NewPCG(5, 6))
	config := Config{Entries: map[string]uint32{"connections": 4096, "policies": 2048}}
	d, err := Open(s.dir, config)
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Attach("from_net", s.host))
	check(t, d.Attach("to_pod", s.peer))
	connections, held := mapSpec(t, "connections"), map[string]string{}
	for range 500 {
		k, v := random(r, connections.KeySize), random(r, connections.ValueSize)
		held[string(k)] = fmt.Sprintf("%x", v)
		check(t, d.Map("connections").Put(k, v))
	}
	for peer := range uint32(30) {
		check(t, d.Put("policies", rule(1, peer), abi.Policy{Precedence: peer}))
	}
	policies := have(t, d.Map("policies"))
	for _, step := range []struct {
		name   string
		config Config
		size   uint32
		rules  uint32
	}{
		{"the same", config, 4096, 2048},
		{"another address", Config{Masquerade4: netip.MustParseAddr("192.0.2.1"), Entries: config.Entries}, 4096, 2048},
		{"attached another way", Config{Classic: true, Entries: config.Entries}, 4096, 2048},
		{"a larger map", Config{Classic: true, Entries: map[string]uint32{"connections": 8192, "policies": 4096}}, 8192, 4096},
		{"a smaller map", Config{Entries: map[string]uint32{"connections": 2048, "policies": 1024}}, 2048, 1024},
		{"too small a map", Config{Entries: map[string]uint32{"connections": 600, "policies": 100}}, 2048, 1024},
	} {
		before := d.Program("from_net")
		check(t, d.Reload(step.config))
		if same := before == d.Program("from_net"); same != (step.name == "the same") {
			t.Errorf("%s: programs are the former ones: %v", step.name, same)
		}
		list, err := d.Attachments()
		check(t, err)
		for _, a := range list {
			if !a.Current {
				t.Errorf("%s: %s stays on device %d as it was, by %s", step.name, a.Program, a.Ifindex, a.By)
			}
		}
		if len(list) != 2 {
			t.Errorf("%s: attached are %v", step.name, list)
		}
		if done, err := d.Follow(); err != nil || !done {
			t.Fatalf("%s: follow: %v, %v", step.name, done, err)
		}
		m, n := d.Map("connections"), 0
		if m.MaxEntries() != step.size || d.Map("policies").MaxEntries() != step.rules {
			t.Errorf("%s: sizes are %d and %d", step.name, m.MaxEntries(), d.Map("policies").MaxEntries())
		}
		entries(t, m, func(k, v []byte) {
			if n++; held[string(k)] != fmt.Sprintf("%x", v) {
				t.Errorf("%s: entry %x is %x", step.name, k, v)
			}
		})
		if diff := cmp.Diff(policies, have(t, d.Map("policies"))); diff != "" {
			t.Errorf("%s: policies (-want +have):\n%s", step.name, diff)
		}
		if n != len(held) {
			t.Errorf("%s: %d of %d entries are there", step.name, n, len(held))
		}
		if _, _, err := d.Sweep(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		for k, v := range held { // what is random may have been at its end
			value := make([]byte, connections.ValueSize)
			fmt.Sscanf(v, "%x", &value)
			check(t, m.Put([]byte(k), value))
		}
	}
}

// While entries move, another configuration waits. An agent that stops meanwhile leaves the former map to the next one.
func TestWhileEntriesMoveAnotherConfigurationWaits(t *testing.T) {
	s, r := newStand(t), rand.New(rand.NewPCG(7, 8))
	sizes := func(n uint32) Config { return Config{Entries: map[string]uint32{"connections": n}} }
	d, err := Open(s.dir, sizes(1024))
	check(t, err)
	check(t, d.Attach("from_net", s.host))
	connections := mapSpec(t, "connections")
	former, err := d.Map("connections").Clone()
	check(t, err)
	t.Cleanup(func() { former.Close() })
	check(t, d.Reload(sizes(2048)))
	if err := d.Reload(sizes(4096)); !errors.Is(err, ErrMoving) {
		t.Errorf("a second configuration while entries move: %v", err)
	}
	check(t, d.Reload(sizes(2048))) // that which it has
	key, value := random(r, connections.KeySize), random(r, connections.ValueSize)
	check(t, former.Put(key, value)) // by a former program that ends with its packet
	d.Close()
	if done, err := d.Follow(); done || err != nil {
		t.Errorf("follow after the end: %v, %v", done, err)
	}
	next, err := Open(s.dir, sizes(4096)) // while entries of the first map move, of the second
	check(t, err)
	t.Cleanup(next.Close)
	list, err := next.Attachments()
	check(t, err)
	if len(list) != 1 || list[0].Current {
		t.Fatalf("attached are %v", list)
	}
	latest := random(r, connections.KeySize)
	check(t, former.Put(latest, value))
	check(t, next.replace())
	if done, err := next.Follow(); !done || err != nil {
		t.Fatalf("follow: %v, %v", done, err)
	}
	for name, key := range map[string][]byte{"before the agent stopped": key, "after": latest} {
		if err := next.Map("connections").Lookup(key, &value); err != nil {
			t.Errorf("the connection that was opened %s: %v", name, err)
		}
	}
	if pins := shelf.PutAside(filepath.Join(s.dir, "connections")); len(pins) > 0 {
		t.Errorf("pins %v are still there", pins)
	}
}
