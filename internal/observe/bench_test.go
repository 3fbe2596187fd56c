package observe

import (
	"testing"
	"time"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
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

// BenchmarkAnEnd is what follower connections takes for the end of a connection.
func BenchmarkAnEnd(b *testing.B) {
	c := newConnections()
	f := &Flow{more: flow.Close{Ending: "fin", Duration: time.Millisecond, Sent: flow.Carried{Packets: 5, Bytes: 300}, Received: flow.Carried{Packets: 4, Bytes: 240}}}
	f.event.Protocol = 6
	b.ReportAllocs()
	for b.Loop() {
		c.take(f)
	}
}
