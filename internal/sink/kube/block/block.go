// Package block turns blocks of addresses into objects and back.
//
// # The world it models
//
// A block (package ipam/cluster) is kept in an AddressBlock, whose name follows from what it is. Agents write it, and the operator does.
//
// # Invariants
//
//   - What is read and written back is the same object.
//   - An object that is named otherwise than its block is none: two objects can never be one block.
//
// # Example
//
//	b, err := block.Read(object)
//	b.Sweep(world)
//	object = block.Write(b, object)
package block

import (
	"fmt"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
)

// Read takes a block out of its object.
func Read(o *v1alpha1.AddressBlock) (cluster.Block, error) {
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

// Write puts a block over the object that it was read from; nil: there is none yet.
func Write(b cluster.Block, over *v1alpha1.AddressBlock) *v1alpha1.AddressBlock {
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
