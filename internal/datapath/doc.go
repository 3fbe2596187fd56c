// Package datapath holds the compiled eBPF programs and their life in the kernel: Load makes one node's program set
// with its configuration, maps are pinned by name below one directory and taken over by the next agent, Attach puts a
// program on a device and replaces its predecessor without a gap.
//
// Three ways to attach stand behind one interface: tcx links (kernel 6.6) for the node's devices, cls_bpf filters for
// workloads' and wherever there is no tcx, and for from_pod the netkit pair (6.8) of a workload that has one. Which the
// kernel has is found by trying.
//
// Invariants: a map of the same name and shape is reused, never emptied; what is attached outlives the process, so that
// packets flow while no agent runs; configuration is constant to a loaded program and changes only by loading anew; nothing
// but programs of this project is ever replaced or detached. Example:
//
//	dp, err := datapath.Open("/sys/fs/bpf/weft", datapath.Config{...})
//	err = dp.Attach("from_pod", device)
package datapath

//go:generate go tool bpf2go -no-global-types -go-package datapath -cc clang-19 -strip llvm-strip-19 -target bpfel fromPod ../../bpf/from_pod.c -- -O2 -mcpu=v3 -nostdinc -I../../bpf/include -I../../bpf -Wall -Werror -Wno-unused-function
//go:generate go tool bpf2go -no-global-types -go-package datapath -cc clang-19 -strip llvm-strip-19 -target bpfel toPod ../../bpf/to_pod.c -- -O2 -mcpu=v3 -nostdinc -I../../bpf/include -I../../bpf -Wall -Werror -Wno-unused-function
//go:generate go tool bpf2go -no-global-types -go-package datapath -cc clang-19 -strip llvm-strip-19 -target bpfel fromNet ../../bpf/from_net.c -- -O2 -mcpu=v3 -nostdinc -I../../bpf/include -I../../bpf -Wall -Werror -Wno-unused-function
//go:generate go tool bpf2go -no-global-types -go-package datapath -cc clang-19 -strip llvm-strip-19 -target bpfel toNet ../../bpf/to_net.c -- -O2 -mcpu=v3 -nostdinc -I../../bpf/include -I../../bpf -Wall -Werror -Wno-unused-function
//go:generate go tool bpf2go -no-global-types -go-package datapath -cc clang-19 -strip llvm-strip-19 -target bpfel fromOverlay ../../bpf/from_overlay.c -- -O2 -mcpu=v3 -nostdinc -I../../bpf/include -I../../bpf -Wall -Werror -Wno-unused-function
//go:generate go tool bpf2go -no-global-types -go-package datapath -cc clang-19 -strip llvm-strip-19 -target bpfel toOverlay ../../bpf/to_overlay.c -- -O2 -mcpu=v3 -nostdinc -I../../bpf/include -I../../bpf -Wall -Werror -Wno-unused-function
//go:generate go tool bpf2go -no-global-types -go-package datapath -cc clang-19 -strip llvm-strip-19 -target bpfel sweep ../../bpf/sweep.c -- -O2 -mcpu=v3 -nostdinc -I../../bpf/include -I../../bpf -Wall -Werror -Wno-unused-function
