package layout

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Copy moves the entries of a map into one of another shape or size, which programs write meanwhile.
type Copy struct {
	from, to   *ebpf.Map
	key, value []Move
	copied     map[string]bool // keys of from
}

// NewCopy has copied nothing yet. Have is the shape of from, want that of to.
func NewCopy(from *ebpf.Map, have Layout, to *ebpf.Map, want Layout) *Copy {
	return &Copy{from: from, to: to, key: Moves(have.Key, want.Key), value: Moves(have.Value, want.Value), copied: map[string]bool{}}
}

// First copies what is there before the programs of the other map run. What this one has stays: an agent that died over this
// may have copied entries already, and programs gone on with them.
func (c *Copy) First() error {
	if c.to.Type() == ebpf.Array {
		return c.Run(ebpf.UpdateAny) // its entries are always there
	}
	return c.Run(ebpf.UpdateNoExist)
}

// Run copies what was not copied yet. What a former program has learnt since wins: it saw the connection first.
func (c *Copy) Run(how ebpf.MapUpdateFlags) error {
	from := struct{ key, value []byte }{make([]byte, c.from.KeySize()), make([]byte, c.from.ValueSize())}
	key, value := make([]byte, c.to.KeySize()), make([]byte, c.to.ValueSize())
	list := c.from.Iterate()
	for list.Next(&from.key, &from.value) {
		if c.copied[string(from.key)] {
			continue
		}
		Apply(c.key, from.key, key)
		Apply(c.value, from.value, value)
		if err := c.to.Update(key, value, how); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return err
		}
		c.copied[string(from.key)] = true
	}
	// A hash that changes while it is read may end early: what was missed comes with the next round.
	if err := list.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}
