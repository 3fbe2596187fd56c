// Package datapath loads, attaches and replaces eBPF programs: Open loads one node's programs, compiled ahead (package object), with
// their configuration; maps are pinned by name below one directory, where the next agent takes them over; Attach puts a program on a
// device and replaces its predecessor without a gap.
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
