package datapath

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/datapath/layout"
	"weftnet.io/weftnet/internal/datapath/shelf"
)

// A pin of a former name is there if an agent of an earlier version has run since: this one leaves none.
func TestAfterADowngradeTheMapOfTheFormerNameCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for name, was := range former {
		t.Run(name, func(t *testing.T) {
			dir := pinDirectory(t)
			first, err := Open(dir, Config{}) // of this version
			check(t, err)
			stale := random(r, first.Map(name).KeySize())
			check(t, first.Map(name).Put(stale, random(r, first.Map(name).ValueSize())))
			aside, err := first.Map(name).Clone() // it died over a move
			check(t, err)
			check(t, aside.Pin(filepath.Join(dir, name+shelf.Before)))
			aside.Close()
			first.Close()
			spec := mapSpec(t, name).Copy() // of the earlier one
			spec.Name, spec.Pinning = was, ebpf.PinNone
			old := left(t, r, dir, spec, 100)
			next, err := Open(dir, Config{})
			check(t, err)
			defer next.Close()
			if shelf.Exists(filepath.Join(dir, was)) {
				t.Errorf("map %s stays pinned, and no version uses it", was)
			}
			if got := next.Moving(); len(got) > 0 || shelf.Exists(filepath.Join(dir, name+shelf.Before)) {
				t.Errorf("moving are %v: what was put aside before the downgrade is still there", got)
			}
			if id := layout.IDOf(next.Map(name)); id != layout.IDOf(old) {
				t.Error("the map that the programs on the devices use is not the one that is taken over")
			}
			value := make([]byte, next.Map(name).ValueSize())
			if err := next.Map(name).Lookup(stale, &value); err == nil {
				t.Error("what was known before the downgrade is there again")
			}
		})
	}
}
