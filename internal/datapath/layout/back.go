package layout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"

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

// PutAll writes entries, given as slices.
func (b *Back) PutAll(keys, values any) error {
	if b.same {
		return PutAll(b.to, keys, values)
	}
	k, v := reflect.ValueOf(keys), reflect.ValueOf(values)
	for i := range k.Len() {
		if err := b.Put(k.Index(i).Interface(), v.Index(i).Interface()); err != nil {
			return err
		}
	}
	return nil
}

// PutAll writes entries into a map by one system call, given as slices. If it fails, some of them may be there.
func PutAll(m *ebpf.Map, keys, values any) error {
	_, err := m.BatchUpdate(keys, values, nil)
	return err
}

// Delete removes one, if it is there.
func (b *Back) Delete(key any) error {
	if !b.same {
		k, err := converted(b.key, key, b.to.KeySize())
		if err != nil {
			return err
		}
		key = k
	}
	if err := b.to.Delete(key); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
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
