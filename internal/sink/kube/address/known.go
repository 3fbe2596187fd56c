package address

import (
	"maps"
	"slices"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/sink/kube/block"
)

// known is what was read of the blocks.
type known struct {
	complete bool // all that were there have been read once
	blocks   map[cluster.Key]held
	spaces   map[string][]cluster.Key // sorted
	holders  map[nic]map[cluster.Key]bool
	owners   map[string]map[cluster.Key]bool
}

// held is a block and the object that it was read from.
type held struct {
	block  cluster.Block
	object *v1alpha1.AddressBlock
	full   bool // every address is held or kept, so there is no use in looking
}

func newKnown() *known {
	return &known{
		blocks: map[cluster.Key]held{}, spaces: map[string][]cluster.Key{},
		holders: map[nic]map[cluster.Key]bool{}, owners: map[string]map[cluster.Key]bool{},
	}
}

// put takes up a block as it was read.
func (k *known) put(o *v1alpha1.AddressBlock) error {
	b, err := block.Read(o)
	if err != nil {
		return err
	}
	k.remove(b.Key)
	k.blocks[b.Key] = held{b, o, b.Full()}
	keys := k.spaces[b.Space]
	i, _ := slices.BinarySearchFunc(keys, b.Key, inOrder)
	k.spaces[b.Space] = slices.Insert(keys, i, b.Key)
	for _, u := range b.Used {
		for _, h := range u.Holders {
			mark(k.holders, nic{h.Container, h.Interface}, b.Key)
		}
		if u.Owner != "" {
			mark(k.owners, u.Owner, b.Key)
		}
	}
	return nil
}

// remove forgets a block.
func (k *known) remove(key cluster.Key) {
	had, ok := k.blocks[key]
	if !ok {
		return
	}
	delete(k.blocks, key)
	keys := k.spaces[key.Space]
	if i, there := slices.BinarySearchFunc(keys, key, inOrder); there {
		k.spaces[key.Space] = slices.Delete(keys, i, i+1)
	}
	for _, u := range had.block.Used {
		for _, h := range u.Holders {
			unmark(k.holders, nic{h.Container, h.Interface}, key)
		}
		unmark(k.owners, u.Owner, key)
	}
}

func inOrder(a, b cluster.Key) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) }

func mark[K comparable](index map[K]map[cluster.Key]bool, of K, key cluster.Key) {
	if index[of] == nil {
		index[of] = map[cluster.Key]bool{}
	}
	index[of][key] = true
}

func unmark[K comparable](index map[K]map[cluster.Key]bool, of K, key cluster.Key) {
	if delete(index[of], key); len(index[of]) == 0 {
		delete(index, of)
	}
}

// sortedKeys are those of an index's entry, in order.
func sortedKeys(of map[cluster.Key]bool) []cluster.Key {
	return slices.SortedFunc(maps.Keys(of), inOrder)
}
