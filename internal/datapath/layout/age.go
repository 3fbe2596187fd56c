package layout

import (
	"encoding/binary"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Age finds the fields of a map's values that tell how old a value is: `opened` and `expires` (ns, CLOCK_MONOTONIC), and of connections
// `flags` and the counters of packets.
type Age struct {
	opened, expires *Field
	flags           *Field // of connections
	packets         []Field
}

// AgeOf finds these fields.
func AgeOf(value []Field) (a Age) {
	for _, f := range value {
		switch {
		case f.Name == "opened" && f.Size == 8:
			a.opened = &f
		case f.Name == "expires" && f.Size == 8:
			a.expires = &f
		case f.Name == "flags" && f.Size == 4:
			a.flags = &f
		case (f.Name == "way_a.carried.packets" || f.Name == "way_b.carried.packets") && f.Size == 8:
			a.packets = append(a.packets, f)
		}
	}
	if len(a.packets) == 0 { // no connection
		a.flags = nil
	}
	return a
}

func (a Age) known() bool { return a.opened != nil }

// ends tells whether values also say when they expire.
func (a Age) ends() bool { return a.opened != nil && a.expires != nil }

// Counts tells which of two values of one key, one in each map, counts: value, or else other.
//
//   - Opened at the same time they are copies of one: the one whose end is told already counts, since it must not be told again; else
//     the one that has counted more packets.
//   - Else the one that was opened first: the program that opened the later one took an answer for a call. But if the first one had
//     expired by then, it is of an earlier connection, and the later one counts.
func (a Age) Counts(value, other []byte) bool {
	at, otherAt := a.at(a.opened, value), a.at(a.opened, other)
	switch {
	case at == otherAt && a.told(value) != a.told(other):
		return a.told(value)
	case at == otherAt:
		return a.carried(value) > a.carried(other)
	case at < otherAt:
		return a.expires == nil || a.at(a.expires, value) >= otherAt
	default:
		return a.expires != nil && a.at(a.expires, other) < at
	}
}

func (a Age) at(f *Field, value []byte) uint64 { return binary.NativeEndian.Uint64(value[f.Offset:]) }

func (a Age) told(value []byte) bool {
	return a.flags != nil && abi.CtFlag(binary.NativeEndian.Uint32(value[a.flags.Offset:]))&abi.CtEnded != 0
}

func (a Age) carried(value []byte) (n uint64) {
	for i := range a.packets {
		n += a.at(&a.packets[i], value)
	}
	return n
}
