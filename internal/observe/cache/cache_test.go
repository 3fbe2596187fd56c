package cache

import (
	"testing"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestACacheLooksUpAgainWhatMayHaveChanged(t *testing.T) {
	tables, db := table.New()
	asked := 0
	m := Cache[uint32, string]{
		Tables: []Versioned{tables.Devices},
		Find: func(r state.Reader, n uint32) string {
			asked++
			d, _ := tables.Devices.One(r, state.Join(n))
			return d.Name
		},
	}
	expect := func(n uint32, name string, questions int) {
		t.Helper()
		if have := m.Of(db.Snapshot(), n); have != name || asked != questions {
			t.Errorf("device %d is %q after %d questions, want %q after %d", n, have, asked, name, questions)
		}
	}
	write := func(fn func(tx *state.Tx)) {
		if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	expect(1, "", 1)
	expect(1, "", 1)
	write(func(tx *state.Tx) { tables.Devices.Put(tx, table.Device{Index: 1, Name: "eth0"}) })
	expect(1, "eth0", 2)
	write(func(tx *state.Tx) { tables.Pods.Put(tx, table.Pod{Namespace: "a", Name: "b"}) })
	expect(1, "eth0", 2)
	expect(2, "", 3)
	write(func(tx *state.Tx) { tables.Devices.Delete(tx, state.Join(uint32(1))) })
	expect(1, "", 4)
	for n := range uint32(3 * size) {
		expect(n+9, "", asked+1)
	}
	if len(m.known) > size {
		t.Errorf("%d values are kept, more than %d", len(m.known), size)
	}
}
