package packet

import (
	"fmt"
	"math"

	"github.com/cilium/ebpf"
	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// refusals says how many calls from outside each CPU may still answer, and that it earns no more; or "earned": all that a long
// silence gives. Without an argument it prints what is left, of the CPU that has answered.
func refusals(b *bench, ts *testscript.TestScript, args []string) {
	m, cpus := b.dp.Map("refusals"), ebpf.MustPossibleCPU()
	all := make([]abi.Refusals, cpus)
	if len(args) == 0 {
		ts.Check(m.Lookup(uint32(0), &all))
		for _, r := range all {
			if r.Filled > 1 {
				fmt.Fprintf(ts.Stdout(), "%d left\n", r.Tokens)
			}
		}
		return
	}
	for i := range all {
		if all[i].Filled = 1; args[0] != "earned" {
			all[i] = abi.Refusals{Tokens: uint64(number(args[0])), Filled: math.MaxUint64}
		}
	}
	ts.Check(m.Put(uint32(0), all))
}
