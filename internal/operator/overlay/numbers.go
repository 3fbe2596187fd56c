// Package overlay gives OverlayNetworks their numbers, while this operator leads, and keeps a network that is deleted until no pod is in it.
//
// # The world it models
//
//	OverlayNetwork blue, green, no numbers      ->  status.number 1, 2
//	OverlayNetwork blue is deleted, pods in it  ->  it stays, by its finalizer, and no more pods get into it
//	… the last of these is gone                 ->  it goes; number 1 rests for ten minutes
//
// # Invariants
//
//   - No two networks have one number: of two that claim one the younger gets another.
//   - A number that a network has stays its as long as it lives, and is no other's while a pod has a NIC by it, as far as nodes have told.
//
// # Example
//
//	err := overlay.Add(m, log)
package overlay

import (
	"cmp"
	"slices"
	"time"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/table/overlay"
)

// Rest is how long a number is given to no network after another had it.
const Rest = 10 * time.Minute

// numbers are what each network should have, by name. Those in use otherwise are left out. 0: none is left.
func numbers(list []v1alpha1.OverlayNetwork, used func(number int32) bool) map[string]int32 {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b v1alpha1.OverlayNetwork) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	out, taken := map[string]int32{}, map[int32]bool{}
	for _, o := range list {
		if n := o.Status.Number; n > 0 && n <= overlay.Last && !taken[n] {
			out[o.Name], taken[n] = n, true
		}
	}
	next := int32(1)
	for _, o := range list {
		if out[o.Name] != 0 {
			continue
		}
		for next <= overlay.Last && (taken[next] || used(next)) {
			next++
		}
		if next > overlay.Last {
			break
		}
		out[o.Name], taken[next] = next, true
	}
	return out
}
