package layout

import (
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Copy moves the entries of a map into one of another shape or size, while programs write both.
type Copy struct {
	from, to   *ebpf.Map
	key, value []Move
	age        Age
	copied     map[string]copied // by key of from
	seed       maphash.Seed
	left       int
}

// copied are hashes of the values of an entry as it was copied.
type copied struct{ from, to uint64 }

// NewCopy has copied nothing yet. Have is the shape of from, want that of to.
func NewCopy(from *ebpf.Map, have Layout, to *ebpf.Map, want Layout) *Copy {
	return &Copy{
		from: from, to: to, key: Moves(have.Key, want.Key), value: Moves(have.Value, want.Value), age: AgeOf(want.Value),
		copied: map[string]copied{}, seed: maphash.MakeSeed(),
	}
}

// First copies all entries before any program uses the new map. If an earlier agent has died while it copied, the new map has entries
// that programs may have changed since: they stay, unless their age says that they are the later ones (Age.Counts).
func (c *Copy) First() error {
	return c.run(c.to.Type() == ebpf.Array) // whose entries are always there
}

// Next copies what former programs have added or changed since. If the new map has an entry of that key, too, Age.Counts says which one
// stays.
func (c *Copy) Next() error { return c.run(true) }

// Left counts the entries that did not fit when the last round ended.
func (c *Copy) Left() int { return c.left }

func (c *Copy) run(wins bool) error {
	c.left = 0
	from := struct{ key, value []byte }{make([]byte, c.from.KeySize()), make([]byte, c.from.ValueSize())}
	key, value := make([]byte, c.to.KeySize()), make([]byte, c.to.ValueSize())
	list := c.from.Iterate()
	for list.Next(&from.key, &from.value) {
		is := copied{from: maphash.Bytes(c.seed, from.value)}
		was, known := c.copied[string(from.key)]
		if known && was.from == is.from {
			continue
		}
		Apply(c.key, from.key, key)
		Apply(c.value, from.value, value)
		is.to = maphash.Bytes(c.seed, value)
		counts := func(has []byte) bool { // for an entry that was not copied yet, but is there
			if c.age.known() && (wins || c.age.ends()) {
				return c.age.Counts(value, has)
			}
			return wins
		}
		var err error
		if known {
			err = c.merge(key, value, func(has []byte) bool {
				return maphash.Bytes(c.seed, has) == was.to || c.age.known() && c.age.Counts(value, has)
			})
		} else if err = c.to.Update(key, value, ebpf.UpdateNoExist); errors.Is(err, ebpf.ErrKeyExist) {
			err = c.merge(key, value, counts)
		}
		if errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) {
			c.left++
			continue // it is full, and takes no new connection either: the next round tries again
		}
		if err != nil {
			return err
		}
		c.copied[string(from.key)] = is
	}
	// A hash that changes while it is read may end early: what was missed comes with the next round.
	if err := list.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// merge writes a value over the one that is there, if counts says so. An entry that is gone from the new map has ended.
func (c *Copy) merge(key, value []byte, counts func(has []byte) bool) error {
	has := make([]byte, len(value))
	err := c.to.Lookup(key, &has)
	if err == nil && counts(has) {
		err = c.to.Update(key, value, ebpf.UpdateExist)
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}
