// Package chosen reads which backends programs have chosen for calls, by their numbers.
//
// # The world it models
//
// A row of map translations or socket_backends names the backend of a call by its number, for as long as the call may go on. A backend that goes leaves such
// rows behind: their calls find no backend of that number, and choose another.
//
// # Invariants
//
//   - As long as a row names a number, no other backend may have it: the call would be led to what it never called.
//
// # Example
//
//	last, err := chosen.Last(datapath) // the next backend is last+1
package chosen

import (
	"fmt"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/sink/bpfmap/batch"
)

// Maps are maps by name; datapath.Datapath has them.
type Maps interface{ Map(name string) *ebpf.Map }

// Last is the highest number of a backend that a row names, 0 if none does. Rows that programs write meanwhile name backends that are there.
func Last(m Maps) (uint32, error) {
	calls, err := highest[abi.NatKey](m, "translations", func(n abi.Nat) uint32 { return n.Backend })
	if err != nil {
		return 0, err
	}
	messages, err := highest[abi.SocketKey](m, "socket_backends", func(id uint32) uint32 { return id })
	return max(calls, messages), err
}

func highest[K, V any](m Maps, name string, number func(V) uint32) (last uint32, err error) {
	err = batch.Each(m.Map(name), func(_ K, v V) { last = max(last, number(v)) })
	if err != nil {
		return 0, fmt.Errorf("read which backends were chosen, map %s: %w", name, err)
	}
	return last, nil
}
