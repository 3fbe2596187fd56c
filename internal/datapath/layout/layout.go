// Package layout compares the shapes of a map's entries, as two versions of the programs have them.
//
// A field is known by its name, so entries of an earlier version are moved into a map of another shape field by field:
//
//	old, now := layout.Of(before), layout.Of(spec)
//	if !old.Equal(now) {
//		layout.Apply(layout.Moves(old.Value, now.Value), from, to)
//	}
package layout

import (
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Field is one member of a key or value that holds bytes: where it stands, and by which name. A member of a member has
// both names, with a point between.
type Field struct {
	Name   string `json:"n"`
	Offset uint32 `json:"o"` // bytes
	Size   uint32 `json:"s"` // bytes
}

// Layout is the shape of a map's entries.
type Layout struct {
	Key   []Field `json:"k"`
	Value []Field `json:"v"`
}

// Equal tells whether two shapes are one.
func (l Layout) Equal(other Layout) bool {
	return slices.Equal(l.Key, other.Key) && slices.Equal(l.Value, other.Value)
}

// Of reads the shape of a map's entries out of the types it was compiled with.
func Of(m *ebpf.MapSpec) Layout {
	return Layout{Key: fields(nil, "", 0, m.Key), Value: fields(nil, "", 0, m.Value)}
}

func fields(list []Field, name string, offset uint32, t btf.Type) []Field {
	if t == nil {
		return list
	}
	s, ok := btf.UnderlyingType(t).(*btf.Struct)
	if !ok {
		size, err := btf.Sizeof(t)
		if err != nil {
			return list // a type without a size holds nothing
		}
		return append(list, Field{name, offset, uint32(size)})
	}
	for _, m := range s.Members {
		inner := m.Name
		if name != "" {
			inner = name + "." + m.Name
		}
		list = fields(list, inner, offset+m.Offset.Bytes(), m.Type)
	}
	return list
}

// Move is a run of bytes that two layouts have in common.
type Move struct{ from, to, size uint32 }

// Moves are what to copy of one layout for another: the fields that have the same name, as many bytes as both have.
// Numbers are little-endian, so one that grew keeps its value.
func Moves(from, to []Field) []Move {
	var list []Move
	for _, f := range from {
		at := slices.IndexFunc(to, func(t Field) bool { return t.Name == f.Name })
		if at >= 0 {
			list = append(list, Move{f.Offset, to[at].Offset, min(f.Size, to[at].Size)})
		}
	}
	return list
}

// Apply copies them from one entry to another, whose other fields become zero.
func Apply(list []Move, from, to []byte) {
	clear(to)
	for _, m := range list {
		copy(to[m.to:m.to+m.size], from[m.from:m.from+m.size])
	}
}
