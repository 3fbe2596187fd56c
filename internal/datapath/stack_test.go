package datapath

import (
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"weftnet.io/weftnet/internal/datapath/object"
)

const (
	stackFrame = 32  // kernels before 6.8 round each frame up to this (check_max_stack_depth in kernel/bpf/verifier.c)
	stackLimit = 512 // MAX_BPF_STACK in include/linux/filter.h
)

// frame is what one function of a program has on its stack, and which others it calls.
type frame struct {
	depth int // bytes
	calls []string
}

// frames reads the functions of a program; the first is the program itself.
func frames(program asm.Instructions) (entry string, list map[string]*frame) {
	list = map[string]*frame{}
	var f *frame
	var below map[asm.Register]int // registers that point into the frame, and how far below its top
	reach := func(offset int) { f.depth = max(f.depth, -offset) }
	for _, ins := range program {
		if btf.FuncMetadata(&ins) != nil {
			f, below = &frame{}, map[asm.Register]int{asm.RFP: 0}
			list[ins.Symbol()] = f
			if entry == "" {
				entry = ins.Symbol()
			}
		}
		op := ins.OpCode
		switch class := op.Class(); {
		case ins.IsFunctionCall():
			f.calls = append(f.calls, ins.Reference())
		case class == asm.LdXClass:
			if at, ok := below[ins.Src]; ok {
				reach(at + int(ins.Offset))
			}
			delete(below, ins.Dst)
		case class == asm.StClass || class == asm.StXClass:
			if at, ok := below[ins.Dst]; ok {
				reach(at + int(ins.Offset))
			}
		case class == asm.ALU64Class && op.ALUOp() == asm.Mov && op.Source() == asm.RegSource:
			if at, ok := below[ins.Src]; ok {
				below[ins.Dst] = at
			} else {
				delete(below, ins.Dst)
			}
		case class == asm.ALU64Class && op.ALUOp() == asm.Add && op.Source() == asm.ImmSource:
			if at, ok := below[ins.Dst]; ok {
				below[ins.Dst] = at + int(ins.Constant)
				reach(below[ins.Dst])
			}
		case class.IsALU() || class == asm.LdClass:
			delete(below, ins.Dst)
		}
	}
	return entry, list
}

// deepest is the most that is on the stack at once below a function, as kernels before 6.8 count it.
func deepest(list map[string]*frame, name string) int {
	f, most := list[name], 0
	for _, callee := range f.calls {
		most = max(most, deepest(list, callee))
	}
	return (max(f.depth, 1)+stackFrame-1)/stackFrame*stackFrame + most
}

// stackDepth is that of a whole program.
func stackDepth(t *testing.T, name string) int {
	t.Helper()
	spec, err := object.Spec(name)
	if err != nil {
		t.Fatal(err)
	}
	entry, list := frames(spec.Programs[name].Instructions)
	return deepest(list, entry)
}
