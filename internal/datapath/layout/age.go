package layout

import (
	"encoding/binary"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Age is where the values of a map tell how old they are: fields `opened` and `expires` (ns, CLOCK_MONOTONIC), and of connections
// `flags` and those that count packets.
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

// ends tells whether values say until when they are good, too.
func (a Age) ends() bool { return a.opened != nil && a.expires != nil }

// Counts tells whether a value counts, and not another one of the same key. Of two of one connection it is the one that was
// opened first: the other one's program has taken an answer for a call. Of two that were one, it is the one that has
// seen more since, but if the end of one is told already, that one: it is told once. One that had ended when the other was opened is of an earlier connection.
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
