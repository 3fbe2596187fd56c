package state_test

import (
	"fmt"
	"net/netip"
	"testing"

	"weftnet.io/weftnet/internal/state"
)

func benchPods(n int) []pod {
	pods := make([]pod, n)
	for i := range pods {
		pods[i] = pod{fmt.Sprintf("namespace-%d/pod-%d", i%100, i), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "ab"}
	}
	return pods
}

func BenchmarkInsertOneTransaction(b *testing.B) {
	plain := state.NewTable("pods", func(p pod) state.Key { return state.Join(p.Name) })
	rows := benchPods(100000)
	for b.Loop() {
		put(state.New(plain), plain, rows...)
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkInsertOneTransactionThreeIndexKeys(b *testing.B) {
	pods := newPods()
	rows := benchPods(100000)
	for b.Loop() {
		put(state.New(pods), pods, rows...)
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkInsertOneByOneAmong100k(b *testing.B) {
	pods := newPods()
	db := state.New(pods)
	put(db, pods, benchPods(100000)...)
	i := 0
	for b.Loop() {
		put(db, pods, pod{Name: "x", Addr: netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)})})
		i++
	}
}

func BenchmarkPutEqual(b *testing.B) {
	pods := newPods()
	db := state.New(pods)
	rows := benchPods(100000)
	put(db, pods, rows...)
	for b.Loop() {
		put(db, pods, rows...)
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkGet(b *testing.B) {
	pods := newPods()
	db := state.New(pods)
	rows := benchPods(100000)
	put(db, pods, rows...)
	s, i := db.Snapshot(), 0
	for b.Loop() {
		pods.One(s, state.Join(rows[i%len(rows)].Name))
		i += 7919
	}
}

func BenchmarkDeriveOneOf100k(b *testing.B) {
	w := newWorld()
	put(w.db, w.pods, benchPods(100000)...)
	d := w.ownersOf()
	d.Step(w.db)
	i := 0
	for b.Loop() {
		put(w.db, w.pods, pod{Name: "x", Addr: netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)})})
		d.Step(w.db)
		i++
	}
}
