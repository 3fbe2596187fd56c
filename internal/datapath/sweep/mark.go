package sweep

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Mark has the program sweep set a flag of connections, count them, or tell what they have carried, and says of how many it did. A program does it, since packets change
// the same rows meanwhile and nothing of that may be lost. With SweepMade the keys do not matter: as many rows, which the agent has put
// there, are counted for no workload.
func Mark(maps map[string]*ebpf.Map, program *ebpf.Program, what abi.SweepWhat, keys []abi.CtKey) (int, error) {
	s, marked := sweeper{maps: maps, program: program}, 0
	s.batch.What = what
	for some := range slices.Chunk(keys, abi.SweepKeys) {
		for i, key := range some {
			*(*abi.CtKey)(unsafe.Pointer(&s.batch.Keys[i])) = key
		}
		s.batch.Count = uint32(len(some))
		n, err := s.run(abi.QuotaConnections)
		if err != nil {
			return marked, fmt.Errorf("mark connections: %w", err)
		}
		marked += n
	}
	return marked, nil
}
