// Package chosen reads what programs have chosen for calls: backends, by services, each by its number.
//
// # The world it models
//
// A row of map translations or socket_backends names the backend of a call, and the service that has chosen it, for as long as the call may go
// on. What goes leaves such rows behind: their calls find no backend of that number, or another service where they call, and choose another.
//
// # Invariants
//
//   - As long as a row names a number, nothing else may have it: the call would be led to what it never called.
//
// # Example
//
//	last, err := chosen.Read(datapath) // the next backend is last.Backend+1
package chosen

import (
	"fmt"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/sink/bpfmap/batch"
)

// Maps are maps by name; datapath.Datapath has them.
type Maps interface{ Map(name string) *ebpf.Map }

// Last has the highest numbers that a row names, 0 if none does.
type Last struct{ Backend, Service uint32 }

// Read gives them. Rows that programs write meanwhile name what is there.
func Read(m Maps) (last Last, err error) {
	err = each(m, "translations", func(_ abi.NatKey, n abi.Nat) {
		last = Last{max(last.Backend, n.Backend), max(last.Service, n.Service)}
	})
	if err != nil {
		return Last{}, err
	}
	return last, each(m, "socket_backends", func(call abi.SocketCall, id uint32) {
		last = Last{max(last.Backend, id), max(last.Service, call.Service)}
	})
}

func each[K, V any](m Maps, name string, do func(K, V)) error {
	if err := batch.Each(m.Map(name), do); err != nil {
		return fmt.Errorf("read what was chosen for calls, map %s: %w", name, err)
	}
	return nil
}
