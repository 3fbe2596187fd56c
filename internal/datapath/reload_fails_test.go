package datapath

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"weftnet.io/weftnet/internal/datapath/layout"
	"weftnet.io/weftnet/internal/datapath/shelf"
)

// broken keeps a map from being made anew, until it is mended.
func broken(t *testing.T, dir, name string) (mend func()) {
	t.Helper()
	path := filepath.Join(dir, name+shelf.Before)
	check(t, os.Mkdir(path, 0o700))
	return func() { check(t, os.Remove(path)) }
}

func TestAReloadThatFailsAndIsTakenBackLeavesConnectionsToTheNextAgent(t *testing.T) {
	s, r := newStand(t), rand.New(rand.NewPCG(7, 8))
	sizes := func(connections, affinities uint32) Config {
		return Config{Entries: map[string]uint32{"connections": connections, "affinities": affinities}}
	}
	d, err := Open(s.dir, sizes(1024, 1024))
	check(t, err)
	check(t, d.Attach("from_net", s.host))
	connections := mapSpec(t, "connections")
	first, later := random(r, connections.KeySize), random(r, connections.KeySize)
	value := random(r, connections.ValueSize)
	check(t, d.Map("connections").Put(first, value))
	mend := broken(t, s.dir, "affinities")
	if err := d.Reload(sizes(4096, 2048)); err == nil {
		t.Fatal("a map is made whose pin cannot be read")
	}
	mend()
	check(t, d.Reload(sizes(1024, 1024))) // the administrator takes it back
	check(t, d.Map("connections").Put(later, value))
	if shelf.Exists(filepath.Join(s.dir, "connections"+shelf.Before)) {
		t.Error("the map that programs use is pinned as a former one")
	}
	d.Close()
	next, err := Open(s.dir, sizes(1024, 1024))
	check(t, err)
	defer next.Close()
	for name, key := range map[string][]byte{"opened before": first, "opened later": later} {
		got := make([]byte, connections.ValueSize)
		if err := next.Map("connections").Lookup(key, &got); err != nil {
			t.Errorf("the connection %s: %v", name, err)
		}
	}
	list, _ := os.ReadDir(s.dir)
	for _, e := range list {
		t.Log(e.Name())
	}
}

func TestAReloadThatFailsAndIsTriedAgainMovesConnectionsAsTheyAre(t *testing.T) {
	s, r := newStand(t), rand.New(rand.NewPCG(7, 8))
	d, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 1024, "affinities": 1024}})
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Attach("from_net", s.host))
	connections := mapSpec(t, "connections")
	key, was, is := random(r, connections.KeySize), random(r, connections.ValueSize), random(r, connections.ValueSize)
	gone := random(r, connections.KeySize)
	check(t, d.Map("connections").Put(key, was))
	check(t, d.Map("connections").Put(gone, was))
	mend := broken(t, s.dir, "affinities")
	if err := d.Reload(Config{Entries: map[string]uint32{"connections": 4096, "affinities": 2048}}); err == nil {
		t.Fatal("a map is made whose pin cannot be read")
	}
	mend()
	check(t, d.Map("connections").Put(key, is)) // packets flow
	check(t, d.Map("connections").Delete(gone))
	check(t, d.Reload(Config{Entries: map[string]uint32{"connections": 4096, "affinities": 1024}}))
	done, err := d.Follow()
	if check(t, err); !done {
		t.Fatal("not done")
	}
	got := make([]byte, connections.ValueSize)
	check(t, d.Map("connections").Lookup(key, &got))
	if string(got) != string(is) {
		t.Error("a connection is what it was when the first try failed")
	}
	if err := d.Map("connections").Lookup(gone, &got); err == nil {
		t.Error("a connection that is gone is back")
	}
}

func TestAReloadAfterOneThatFailedMovesWhatProgramsUse(t *testing.T) {
	s, r := newStand(t), rand.New(rand.NewPCG(7, 8))
	d, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 1024, "affinities": 1024}})
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Attach("from_net", s.host))
	connections := mapSpec(t, "connections")
	mend := broken(t, s.dir, "affinities")
	if err := d.Reload(Config{Entries: map[string]uint32{"connections": 4096, "affinities": 2048}}); err == nil {
		t.Fatal("a map is made whose pin cannot be read")
	}
	mend()
	key, value := random(r, connections.KeySize), random(r, connections.ValueSize)
	check(t, d.Map("connections").Put(key, value)) // packets flow
	check(t, d.Reload(Config{Entries: map[string]uint32{"connections": 8192, "affinities": 1024}}))
	done, err := d.Follow()
	if check(t, err); !done {
		t.Fatal("not done")
	}
	if err := d.Map("connections").Lookup(key, &value); err != nil {
		t.Errorf("the connection that was opened after the first try: %v", err)
	}
}

func TestAnAgentThatDiesBeforeItsProgramsRunLeavesConnectionsAsTheyAre(t *testing.T) {
	s, r := newStand(t), rand.New(rand.NewPCG(7, 8))
	larger := Config{Entries: map[string]uint32{"connections": 4096}}
	d, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 1024}})
	check(t, err)
	defer d.Close()
	check(t, d.Attach("from_net", s.host))
	connections := mapSpec(t, "connections")
	key, was, is := random(r, connections.KeySize), random(r, connections.ValueSize), random(r, connections.ValueSize)
	check(t, d.Map("connections").Put(key, was))
	dead, err := d.successor(larger) // it died before it put these in place
	check(t, err)
	dead.Close()
	check(t, d.Map("connections").Put(key, is)) // packets flow
	next, err := Open(s.dir, larger)
	check(t, err)
	defer next.Close()
	check(t, next.replace())
	done, err := next.Follow()
	if check(t, err); !done {
		t.Fatal("not done")
	}
	got := make([]byte, connections.ValueSize)
	check(t, next.Map("connections").Lookup(key, &got))
	if string(got) != string(is) {
		t.Error("a connection is what it was when the agent died")
	}
}

// The pins are exchanged one map after the other: if one cannot be pinned, those before it are as they were.
func TestIfOneMapCannotBePinnedNoneIs(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, Config{})
	check(t, err)
	t.Cleanup(d.Close)
	next, err := d.successor(Config{Entries: map[string]uint32{"connections": 4096, "translations": 4096}})
	check(t, err)
	next.maps["translations"].Close() // nothing can pin it any more
	if err := next.settle(); err == nil {
		t.Fatal("a map that is closed is pinned")
	}
	next.discard(d)
	for _, name := range []string{"connections", "translations"} {
		path := filepath.Join(s.dir, name)
		m, err := shelf.Load(path)
		check(t, err)
		if m == nil || layout.IDOf(m) != layout.IDOf(d.Map(name)) || len(shelf.PutAside(path)) > 0 {
			t.Errorf("pinned as %s is not the map that programs use alone", name)
		}
		m.Close()
	}
}

// An agent that dies after it has put a map aside, and before it has pinned its own, leaves no pin of the map's name.
func TestAMapThatWasPutAsideForNoneIsTakenAgain(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, Config{})
	check(t, err)
	t.Cleanup(d.Close)
	path := filepath.Join(s.dir, "connections")
	check(t, os.Rename(path, path+shelf.Before+shelf.Before))
	next, err := Open(s.dir, Config{})
	check(t, err)
	t.Cleanup(next.Close)
	if layout.IDOf(next.Map("connections")) != layout.IDOf(d.Map("connections")) || len(shelf.PutAside(path)) > 0 {
		t.Error("the next agent has another map than the programs on the devices")
	}
}
