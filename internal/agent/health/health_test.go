package health

import (
	"testing"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

func TestANodeWhoseServicesWaitForTheKernelTooLongIsUnhealthy(t *testing.T) {
	ready := false
	tables, db := table.New()
	start := time.Now()
	p := &proxy{t: tables, db: db, ready: func() bool { return ready }, updated: start}
	want := func(after time.Duration, healthy bool, updated time.Duration) {
		t.Helper()
		if s := p.look(start.Add(after)); s.Healthy != healthy || !s.Updated.Equal(start.Add(updated)) {
			t.Errorf("after %s: healthy %v, updated after %s", after, s.Healthy, s.Updated.Sub(start))
		}
	}
	write := func(do func(tx *state.Tx) error) {
		t.Helper()
		if err := db.Write(do); err != nil {
			t.Fatal(err)
		}
	}
	change := func() {
		write(func(tx *state.Tx) error {
			tables.Frontends.Put(tx, table.Frontend{Port: uint16(tables.Frontends.Len(tx) + 1)})
			return nil
		})
	}
	follow := func() {
		write(func(tx *state.Tx) error {
			status.Statuses.Put(tx, status.Status{Table: tables.Frontends.Name(), Rev: tables.Frontends.LastRevision(tx)})
			return nil
		})
	}
	want(0, false, 0) // the agent is starting
	ready = true
	want(time.Second, true, time.Second)
	change()
	want(2*time.Second, true, time.Second) // not late yet
	want(30*time.Second, true, time.Second)
	want(62*time.Second, false, time.Second)
	follow()
	change()
	want(63*time.Second, true, time.Second) // another one waits, and not for long
	want(124*time.Second, false, time.Second)
	follow()
	want(125*time.Second, true, 125*time.Second)
}
