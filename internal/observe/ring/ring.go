// Package ring reads what the kernel tells an observer: the ring buffer of events, and what the programs count.
//
// Invariants: one reader at a time moves the position that all share; a record is valid until the next one is read.
//
//	r, err := ring.Open(maps["events"])
//	record, more, err := r.Read()
package ring

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/observe/loss"
)

// Ring is the kernel's ring buffer `events`, a source of an observer.
type Ring struct {
	reader *ringbuf.Reader
	record ringbuf.Record // its memory is used again
	empty  bool           // nothing was left behind record
}

// gather is how long records may gather once the reader has caught up, instead of waking it one by one: the kernel wakes
// only who has caught up.
const gather = 5 * time.Millisecond

// Open begins to read the map `events`. Records that were written before and not read come first. Only one reader
// may exist at a time: it moves the position that all share.
func Open(events *ebpf.Map) (*Ring, error) {
	r, err := ringbuf.NewReader(events)
	if err != nil {
		return nil, fmt.Errorf("open ring buffer of events: %w", err)
	}
	return &Ring{reader: r}, nil
}

// Read waits for the next record.
func (r *Ring) Read() (record []byte, more bool, err error) {
	if r.empty {
		time.Sleep(gather)
	}
	if err := r.reader.ReadInto(&r.record); err != nil {
		return nil, false, err
	}
	r.empty = r.record.Remaining == 0
	return r.record.RawSample, !r.empty, nil
}

// Close ends a Read that waits.
func (r *Ring) Close() error { return r.reader.Close() }

// Lost watches what map event_budget says is lost, on all CPUs, and notes in the state folder, if there is one, what was told.
func Lost(budget *ebpf.Map, stateDir, boot string, log *slog.Logger) loss.Watch {
	notes := journal.Dir[loss.Note]{}
	if stateDir != "" {
		notes.Path = filepath.Join(stateDir, "events")
	}
	return loss.Watch{Notes: notes, Boot: boot, Now: time.Now, Log: log, Count: func() (uint64, error) {
		var each []abi.EventBudget
		if err := budget.Lookup(uint32(0), &each); err != nil {
			return 0, fmt.Errorf("read map event_budget: %w", err)
		}
		var sum uint64
		for _, b := range each {
			sum += b.Lost
		}
		return sum, nil
	}}
}

// CounterKey is one counter of the datapath: what became of packets (DropNone: forwarded), and where.
type CounterKey struct {
	Hook   abi.Hook
	Reason abi.DropReason
}

// CountersOf gives the function that an observer's collector wants: map counters, summed over all CPUs, without those at zero.
func CountersOf(counters *ebpf.Map) func() (map[CounterKey]abi.Counter, error) {
	return func() (map[CounterKey]abi.Counter, error) {
		var (
			at    uint32
			each  []abi.Counter
			total = map[CounterKey]abi.Counter{}
		)
		list := counters.Iterate()
		for list.Next(&at, &each) {
			var sum abi.Counter
			for _, c := range each {
				sum.Packets += c.Packets
				sum.Bytes += c.Bytes
			}
			if sum.Packets > 0 {
				total[CounterKey{abi.Hook(at >> 8), abi.DropReason(at & 0xff)}] = sum
			}
		}
		if err := list.Err(); err != nil {
			return nil, fmt.Errorf("read map counters: %w", err)
		}
		return total, nil
	}
}
