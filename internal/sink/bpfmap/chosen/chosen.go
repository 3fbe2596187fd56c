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
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// atOnce is how many rows are read by one system call.
const atOnce = 4096

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
	keys, values := make([]K, atOnce), make([]V, atOnce)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.Map(name).BatchLookup(&cursor, keys, values, nil)
		for _, v := range values[:n] {
			last = max(last, number(v))
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return last, nil
		case err != nil:
			return last, fmt.Errorf("read which backends were chosen, map %s: %w", name, err)
		}
	}
}
