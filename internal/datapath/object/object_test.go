package object

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Files of bpf/ are the list of programs. Numbers of hooks stand in events and counters, so they are never derived from it.
func TestEachProgramOnADeviceHasANumberInEventsAndCounters(t *testing.T) {
	spec, err := Spec(OnDevices()[0])
	if err != nil {
		t.Fatal(err)
	}
	var numbered []string
	for h := abi.HookNone + 1; uint32(h) < spec.Maps["counters"].MaxEntries>>8; h++ {
		numbered = append(numbered, h.String())
	}
	if slices.Sort(numbered); !slices.Equal(numbered, OnDevices()) {
		t.Errorf("enum hook of abi/event.h, up to where COUNTERS has room, names %v, and there are %v", numbered, OnDevices())
	}
	for _, name := range OnDevices() {
		spec, err := Spec(name)
		if err != nil {
			t.Fatal(err)
		}
		kind := ebpf.SchedCLS
		if name == XDP {
			kind = ebpf.XDP
		}
		if p := spec.Programs[name]; p == nil || p.Type != kind {
			t.Errorf("bpf/%s.c has no program of its name for devices, of type %s", name, kind)
		}
	}
}
