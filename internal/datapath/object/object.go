// Package object holds the compiled eBPF programs: an object for each file of bpf/, by its name. That folder is the only list
// of programs there is.
//
// An object may have several programs; the section of each says for which kind of hook it is: tc, xdp, cgroup/connect4. Those
// on devices are alone in theirs, have its name, and say by it what they see: from_pod, to_net.
//
// Invariants: objects are what tools/bpfgen makes of the sources now (tools/fresh compares); each program on a device has its
// number in enum hook of bpf/lib/abi/event.h, by which events and counters name it. Example:
//
//	for _, name := range object.Names() {
//		spec, err := object.Spec(name)
//	}
package object

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

//go:generate go run weftnet.io/weftnet/tools/bpfgen -sources ../../../bpf -out .

//go:embed *.o
var objects embed.FS

// XDP is the name of the program that sees frames before the kernel makes packets of them.
const XDP = "xdp"

// Names are those of all objects.
func Names() (names []string) {
	files, err := fs.Glob(objects, "*.o")
	if err != nil {
		panic(err) // the pattern is at fault
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f, ".o"))
	}
	return names
}

// OnDevices are the names of those whose program stands on devices.
func OnDevices() []string {
	return slices.DeleteFunc(Names(), func(name string) bool {
		return name != XDP && !strings.HasPrefix(name, "from_") && !Outwards(name)
	})
}

// Outwards tells of a program whether it sees what the host sends to the device, rather than what comes from there.
func Outwards(program string) bool { return strings.HasPrefix(program, "to_") }

// OfWorkloads tells of a program whether it stands on devices of workloads.
func OfWorkloads(program string) bool { return strings.HasSuffix(program, "_pod") }

// First tells of a program whether it comes before all others at its side of a device: it decides what is for them.
func First(program string) bool { return strings.HasSuffix(program, "_uplink") }

// Spec reads an object: its programs, maps and variables.
func Spec(name string) (*ebpf.CollectionSpec, error) {
	text, err := objects.ReadFile(name + ".o")
	if err != nil {
		return nil, fmt.Errorf("read program %s: %w", name, err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read program %s: %w", name, err)
	}
	return spec, nil
}
