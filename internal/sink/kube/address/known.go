package address

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
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
	b, err := FromObject(o)
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

// FromObject reads a block.
func FromObject(o *v1alpha1.AddressBlock) (cluster.Block, error) {
	p, err := netip.ParsePrefix(o.Spec.Prefix)
	if err != nil {
		return cluster.Block{}, fmt.Errorf("AddressBlock %s: spec.prefix: %w", o.Name, err)
	}
	key := cluster.KeyOf(o.Spec.Space, p.Addr())
	if key.Prefix != p || key.Name() != o.Name {
		return cluster.Block{}, fmt.Errorf("AddressBlock %s: spec.prefix: %s of space %q belongs into AddressBlock %s, and is %s", o.Name, p, o.Spec.Space, key.Name(), key.Prefix)
	}
	b := cluster.Block{Key: key, Node: o.Spec.Node, Used: make(map[netip.Addr]cluster.Use, len(o.Spec.Used))}
	for text, u := range o.Spec.Used {
		a, err := netip.ParseAddr(text)
		if err != nil || !p.Contains(a) {
			return cluster.Block{}, fmt.Errorf("AddressBlock %s: spec.used: %q is no address of %s", o.Name, text, p)
		}
		use := cluster.Use{Owner: u.Owner, Since: u.Since.Time}
		if u.Back != nil {
			use.Back = u.Back.Time
		}
		for _, h := range u.Holders {
			use.Holders = append(use.Holders, cluster.Holder(h))
		}
		b.Used[a] = use
	}
	return b, nil
}

// ToObject writes a block over the object that it was read from; nil: there is none yet.
func ToObject(b cluster.Block, over *v1alpha1.AddressBlock) *v1alpha1.AddressBlock {
	o := &v1alpha1.AddressBlock{}
	if over != nil {
		o = over.DeepCopy()
	}
	o.Name = b.Name()
	o.Spec = v1alpha1.AddressBlockSpec{Space: b.Space, Prefix: b.Prefix.String(), Node: b.Node}
	for a, u := range b.Used {
		use := v1alpha1.AddressUse{Owner: u.Owner, Since: metav1.NewTime(u.Since)}
		if !u.Back.IsZero() {
			use.Back = new(metav1.NewTime(u.Back))
		}
		for _, h := range u.Holders {
			use.Holders = append(use.Holders, v1alpha1.AddressHolder(h))
		}
		if o.Spec.Used == nil {
			o.Spec.Used = map[string]v1alpha1.AddressUse{}
		}
		o.Spec.Used[a.String()] = use
	}
	return o
}

// sortedKeys are those of an index's entry, in order.
func sortedKeys(of map[cluster.Key]bool) []cluster.Key {
	return slices.SortedFunc(maps.Keys(of), inOrder)
}
