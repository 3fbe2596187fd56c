package sweep

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Mark has the kernel do something with connections, and tells with how many of them: packets change their rows meanwhile, and
// nothing of that is lost. SweepMade counts rows that the agent has put there, whatever the keys are.
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
