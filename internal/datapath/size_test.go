package datapath

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// open is an agent whose map of a name has this size.
func open(t *testing.T, dir, name string, size uint32) *Datapath {
	t.Helper()
	d, err := Open(dir, Config{Entries: map[string]uint32{name: size}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestAMapOfAnotherSizeKeepsWhatItHolds(t *testing.T) {
	for _, name := range []string{"connections", "affinities", "services", "slots", "backends", "maglev"} {
		t.Run(name, func(t *testing.T) {
			r, dir := rand.New(rand.NewPCG(3, 4)), pinDirectory(t)
			spec, held := mapSpec(t, name), map[string]string{}
			first := open(t, dir, name, 4096)
			for range 1000 {
				k, v := random(r, spec.KeySize), random(r, spec.ValueSize)
				held[string(k)] = fmt.Sprintf("%x", v)
				if err := first.Map(name).Put(k, v); err != nil {
					t.Fatal(err)
				}
			}
			for _, step := range []struct{ asked, size uint32 }{
				{8192, 8192},
				{2560, 2560},
				{1024, 2560}, // would be all but full
			} {
				d := open(t, dir, name, step.asked)
				if done, err := d.Follow(); err != nil || !done {
					t.Fatalf("follow: %v, %v", done, err)
				}
				if got := d.Map(name).MaxEntries(); got != step.size {
					t.Errorf("asked for %d entries: there are %d, not %d", step.asked, got, step.size)
				}
				if len(d.Renewed()) > 0 {
					t.Errorf("asked for %d entries: renewed are %v", step.asked, d.Renewed())
				}
				n := 0
				entries(t, d.Map(name), func(k, v []byte) {
					if n++; held[string(k)] != fmt.Sprintf("%x", v) {
						t.Errorf("asked for %d entries: entry %x is %x, not %s", step.asked, k, v, held[string(k)])
					}
				})
				if n != len(held) {
					t.Errorf("asked for %d entries: %d of %d are there", step.asked, n, len(held))
				}
			}
		})
	}
}
