package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
)

// Back writes entries of a map into a former one of another shape or size, whose programs still run.
type Back struct {
	to         *ebpf.Map
	same       bool // the shapes are one
	key, value []Move
}

// NewBack writes into a map. Want is the shape of what is written, have that of the map.
func NewBack(to *ebpf.Map, want, have Layout) *Back {
	return &Back{to: to, same: want.Equal(have), key: Moves(want.Key, have.Key), value: Moves(want.Value, have.Value)}
}

// Put writes an entry.
func (b *Back) Put(key, value any) error {
	if b.same {
		return b.to.Put(key, value)
	}
	k, err := converted(b.key, key, b.to.KeySize())
	if err != nil {
		return err
	}
	v, err := converted(b.value, value, b.to.ValueSize())
	if err != nil {
		return err
	}
	return b.to.Put(k, v)
}

// Delete removes one.
func (b *Back) Delete(key any) error {
	if b.same {
		return b.to.Delete(key)
	}
	k, err := converted(b.key, key, b.to.KeySize())
	if err != nil {
		return err
	}
	return b.to.Delete(k)
}

func converted(moves []Move, entry any, size uint32) ([]byte, error) {
	from, err := binary.Append(nil, binary.NativeEndian, entry)
	if err != nil {
		return nil, fmt.Errorf("write %T as bytes: %w", entry, err)
	}
	to := make([]byte, size)
	Apply(moves, from, to)
	return to, nil
}
