package sweep

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Exempt has the node's policy not asked about a connection any more, if there is one at this key. Packets change its row
// meanwhile, and nothing of that is lost.
func Exempt(maps map[string]*ebpf.Map, program *ebpf.Program, key abi.CtKey) (known bool, err error) {
	n, err := mark(maps, program, abi.SweepExempt, []abi.CtKey{key})
	return n > 0, err
}

// Made counts connections that the agent itself has put into the table: they are no workload's.
func Made(maps map[string]*ebpf.Map, program *ebpf.Program, n int) error {
	for ; n > 0; n -= abi.SweepKeys {
		if _, err := mark(maps, program, abi.SweepMade, make([]abi.CtKey, min(n, abi.SweepKeys))); err != nil {
			return err
		}
	}
	return nil
}

// mark does one thing with at most as many connections as one run looks at.
func mark(maps map[string]*ebpf.Map, program *ebpf.Program, what abi.SweepWhat, keys []abi.CtKey) (int, error) {
	s := sweeper{maps: maps, program: program}
	s.batch.What, s.batch.Count = what, uint32(len(keys))
	for i, key := range keys {
		*(*abi.CtKey)(unsafe.Pointer(&s.batch.Keys[i])) = key
	}
	n, err := s.run(abi.QuotaConnections)
	if err != nil {
		return 0, fmt.Errorf("mark connections: %w", err)
	}
	return n, nil
}
