package need_test

import (
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/derive/need"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// bandwidth is a feature that pods have to wait for.
func bandwidth(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	return nil, func(_ state.Reader, a table.Attachment) []table.Need {
		return []table.Need{{What: "bandwidth", Table: "bandwidths", Key: state.Join(a.HostName)}}
	}
}

// named is one whose row is not known before there is a pod.
func named(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	of := func(r state.Reader, p table.Pod) (keys []state.Key) {
		for a := range t.Attachments.By(r, table.ByPod, table.ObjectKey(p.Namespace, p.Name)) {
			keys = append(keys, t.Attachments.Key(a))
		}
		return keys
	}
	return []state.Input{state.On(t.Pods, of)}, func(r state.Reader, a table.Attachment) []table.Need {
		p, ok := t.Pods.One(r, table.ObjectKey(a.Namespace, a.Pod))
		if !ok {
			return []table.Need{{What: "policy", Table: "policy-sets", Lacks: "there is no pod", Advice: "make one"}}
		}
		return []table.Need{{What: "policy", Table: "policy-sets", Key: state.Join(p.UID)}}
	}
}

type bench struct {
	t    *table.Tables
	db   *state.DB
	runs []state.AnyDerivation
}

func newBench() *bench {
	t, db := table.New()
	return &bench{t, db, []state.AnyDerivation{need.Needs(t, bandwidth, named), need.Ready(t)}}
}

func (b *bench) write(fn func(tx *state.Tx)) {
	_ = b.db.Write(func(tx *state.Tx) error { fn(tx); return nil })
}

func (b *bench) step() {
	for range 2 {
		for _, d := range b.runs {
			d.Step(b.db)
		}
	}
}

func (b *bench) ready() (names []string) {
	for r := range b.t.Ready.All(b.db.Snapshot()) {
		names = append(names, r.ContainerID+" "+r.HostName)
	}
	return names
}

var web = table.Attachment{ContainerID: "c1", Interface: "eth0", Namespace: "shop", Pod: "web", HostName: "weft1"}

func done(tx *state.Tx, name, key string) {
	status.Statuses.Put(tx, status.Status{Table: name, Key: state.Join(key), Done: true, Rev: 1})
}

func TestAnAttachmentIsReadyWhenAllThatItNeedsHasBeenInPlace(t *testing.T) {
	b := newBench()
	expect := func(when string, want int) {
		t.Helper()
		if b.step(); len(b.ready()) != want {
			t.Errorf("%s: ready is %v, want %d", when, b.ready(), want)
		}
	}
	b.write(func(tx *state.Tx) { b.t.Attachments.Put(tx, web); done(tx, "bandwidths", "weft1") })
	expect("without a pod", 0)
	b.write(func(tx *state.Tx) { b.t.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "web", UID: "u1"}) })
	expect("without a policy", 0)
	b.write(func(tx *state.Tx) { done(tx, "policy-sets", "u1") })
	expect("with all", 1)
	b.write(func(tx *state.Tx) {
		status.Statuses.Put(tx, status.Status{Table: "bandwidths", Key: state.Join("weft1"), Rev: 1, Attempts: 1, Err: "busy"})
	})
	expect("while a row is written again", 1)
	again := web
	again.HostName = "weft2"
	b.write(func(tx *state.Tx) { b.t.Attachments.Put(tx, again) })
	expect("when it is attached anew", 0)
	b.write(func(tx *state.Tx) { done(tx, "bandwidths", "weft2") })
	expect("when that is done", 1)
	b.write(func(tx *state.Tx) { b.t.Attachments.Delete(tx, b.t.Attachments.Key(web)) })
	expect("when it is gone", 0)
}

func TestReadyDoesNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench()
		for range rapid.IntRange(1, 30).Draw(rt, "changes") {
			a := web
			a.ContainerID = rapid.SampledFrom([]string{"c1", "c2"}).Draw(rt, "container")
			a.HostName = rapid.SampledFrom([]string{"weft1", "weft2"}).Draw(rt, "device")
			uid := rapid.SampledFrom([]string{"u1", "u2"}).Draw(rt, "pod")
			b.write(func(tx *state.Tx) {
				switch rapid.IntRange(0, 7).Draw(rt, "what") {
				case 0, 1:
					b.t.Attachments.Put(tx, a)
				case 2:
					b.t.Attachments.Delete(tx, b.t.Attachments.Key(a))
				case 3:
					b.t.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "web", UID: uid})
				case 4:
					b.t.Pods.Delete(tx, table.ObjectKey("shop", "web"))
				case 5:
					done(tx, "bandwidths", a.HostName)
				case 6:
					done(tx, "policy-sets", uid)
				case 7:
					status.Statuses.Delete(tx, state.Join("bandwidths", state.Join(a.HostName)))
				}
			})
			if rapid.Bool().Draw(rt, "look") {
				b.step()
			}
		}
		b.step()
		fresh := []state.AnyDerivation{need.Needs(b.t, bandwidth, named), need.Ready(b.t)}
		before := b.ready()
		b.write(func(tx *state.Tx) {
			for n := range b.t.Needs.All(tx) {
				b.t.Needs.Delete(tx, b.t.Needs.Key(n))
			}
			for r := range b.t.Ready.All(tx) {
				b.t.Ready.Delete(tx, b.t.Ready.Key(r))
			}
		})
		b.runs = fresh
		b.step()
		if after := b.ready(); len(before) != len(after) || len(before) > 0 && before[0] != after[0] || len(before) > 1 && before[1] != after[1] {
			rt.Fatalf("ready is %v, and %v to one who sees the end only", before, after)
		}
	})
}
