package observe

import (
	"testing"
	"time"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// BenchmarkObserver takes records in as the ring gives them: 64 connections between two pods, each type in turn.
func BenchmarkObserver(b *testing.B) {
	tables, db := world(b)
	o := New(tables, db, Options{Node: "n1"})
	var records [][]byte
	for i := range 64 {
		for _, kind := range []abi.EventType{abi.EventVerdict, abi.EventTrace, abi.EventDrop} {
			records = append(records, syn(func(e *abi.Event) { e.Type, e.SrcPort, e.Rules = kind, uint16(4000+i), 9 }))
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		o.take(records[i%len(records)])
	}
	b.ReportMetric(float64(time.Second)/float64(b.Elapsed())*float64(b.N), "events/s")
}
