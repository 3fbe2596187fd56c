package datapath

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
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
	for _, step := range []struct {
		name   string
		config Config
		size   uint32
	}{
		{"the same", config, 4096},
		{"another address", Config{Masquerade4: netip.MustParseAddr("192.0.2.1"), Entries: config.Entries}, 4096},
		{"attached another way", Config{Classic: true, Entries: config.Entries}, 4096},
		{"a larger map", Config{Classic: true, Entries: map[string]uint32{"connections": 8192, "policies": 4096}}, 8192},
		{"a smaller map", Config{Entries: map[string]uint32{"connections": 2048}}, 2048},
		{"too small a map", Config{Entries: map[string]uint32{"connections": 600}}, 2048},
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
		if m.MaxEntries() != step.size || d.Map("policies").MaxEntries() != 2048 {
			t.Errorf("%s: sizes are %d and %d", step.name, m.MaxEntries(), d.Map("policies").MaxEntries())
		}
		entries(t, m, func(k, v []byte) {
			if n++; held[string(k)] != fmt.Sprintf("%x", v) {
				t.Errorf("%s: entry %x is %x", step.name, k, v)
			}
		})
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
