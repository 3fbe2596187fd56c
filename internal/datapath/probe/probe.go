// Package probe finds out what the running kernel has of what programs would like to use.
//
// TCX and Netkit try, once: they attach to a device that cannot be. HostConntrack looks for a function in the kernel's
// types each time, as modules come and go.
package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// TCX tells whether the kernel has tcx (6.6).
var TCX = sync.OnceValue(func() bool {
	return has(func(p *ebpf.Program) error {
		_, err := link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: p, Attach: ebpf.AttachTCXIngress})
		return err
	})
})

// Netkit tells whether the kernel has netkit pairs (6.7, module netkit).
var Netkit = sync.OnceValue(func() bool {
	return has(func(p *ebpf.Program) error {
		_, err := link.AttachNetkit(link.NetkitOptions{Interface: math.MaxInt32, Program: p, Attach: ebpf.AttachNetkitPeer})
		return err
	})
})

func has(attach func(*ebpf.Program) error) bool {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return false
	}
	defer p.Close()
	return !errors.Is(attach(p), link.ErrNotSupported)
}

// lookIntoHost is the kernel's function by which programs look into the host's own connection tracking (5.18,
// net/netfilter/nf_conntrack_bpf.c). It is part of the kernel, or of module nf_conntrack, which must have been loaded.
const lookIntoHost = "bpf_skb_ct_lookup"

// HostConntrack tells whether programs can look into the host's own connection tracking now. (A program that takes the
// function's address to find out does not load where a module has it.) types are the kernel's, read already or not.
func HostConntrack(types *btf.Cache) (bool, error) {
	kernel, err := types.Kernel()
	if errors.Is(err, ebpf.ErrNotSupported) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the kernel's types: %w", err)
	}
	if _, err := kernel.AnyTypesByName(lookIntoHost); err == nil {
		return true, nil
	}
	module, err := types.Module("nf_conntrack")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the types of module nf_conntrack: %w", err)
	}
	if _, err = module.AnyTypesByName(lookIntoHost); err != nil {
		return false, nil //nolint:nilerr // it is another function's module then
	}
	// A program that calls a module's function needs a handle of its types, which takes SYS_ADMIN.
	handle, err := btf.FindHandle(func(info *btf.HandleInfo) bool { return info.IsModule() && info.Name == "nf_conntrack" })
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, btf.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find module nf_conntrack: %w", err)
	}
	return true, handle.Close()
}
