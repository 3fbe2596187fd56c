package policy

import (
	"fmt"
	"testing"

	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

const (
	localSets  = 100
	identities = 500
)

func appOf(i int) string { return fmt.Sprint("app-", i%identities) }

// numbered is the i-th policy: it selects one label set, lets two others in at a port, and lets it send to a third. Ten
// select all.
func numbered(i, version int) table.PolicyObject {
	subject := selector(appOf(i))
	if i < 1000 && i%100 == 99 {
		subject = identity.NewSelector()
	}
	return object(fmt.Sprint("policy-", i), engine.Rule{
		Subject: subject, DefaultDenyIngress: true, DefaultDenyEgress: true,
		Ingress: []engine.Term{{Path: "ingress[0]", Peers: []identity.Selector{selector(appOf(7*i + 1)), selector(appOf(13*i + 3))}, Ports: []engine.Port{engine.OnePort(6, uint16(1000+i%30000+version))}}},
		Egress:  []engine.Term{{Path: "egress[0]", Peers: []identity.Selector{selector(appOf(3*i + 2))}, Ports: []engine.Port{engine.AnyPort}}},
	})
}

// crowd is a node with 100 sets in a cluster of 500 label sets and some policies.
func crowd(policies int) *bed {
	b := newBed()
	b.write(func(tx *state.Tx) {
		for i := range identities {
			n := identity.Number(1000 + i)
			if i < localSets {
				b.Workloads.Put(tx, workload(fmt.Sprint("c", i), appOf(i), n))
			}
			b.Identities.Put(tx, table.Identity{Number: n, Labels: app(appOf(i))})
		}
		for i := range policies {
			b.Policies.Put(tx, numbered(i, 0))
		}
	})
	return b
}

func (b *bed) settle() {
	for changed := true; changed; {
		changed = false
		for _, d := range b.runs {
			changed = d.Step(b.db) || changed
		}
	}
}

func BenchmarkPolicies(b *testing.B) {
	for _, n := range []int{1000, 21_000} {
		b.Run(fmt.Sprint(n, "/all"), func(b *testing.B) {
			for b.Loop() {
				crowd(n).settle()
			}
		})
		for name, change := range map[string]func(bed *bed, tx *state.Tx, i int){
			"one":                  func(bed *bed, tx *state.Tx, i int) { bed.Policies.Put(tx, numbered(i%99, 1+i)) },
			"one that selects all": func(bed *bed, tx *state.Tx, i int) { bed.Policies.Put(tx, numbered(99, 1+i)) },
			"one of another node":  func(bed *bed, tx *state.Tx, i int) { bed.Policies.Put(tx, numbered(localSets+i%99, 1+i)) },
			"an identity": func(bed *bed, tx *state.Tx, i int) {
				bed.Identities.Put(tx, table.Identity{Number: identity.Number(5000 + i%2), Labels: app(appOf(i))})
			},
		} {
			b.Run(fmt.Sprint(n, "/", name), func(b *testing.B) {
				bed := crowd(n)
				bed.settle()
				for i := 0; b.Loop(); i++ {
					bed.write(func(tx *state.Tx) { change(bed, tx, i) })
					bed.settle()
				}
			})
		}
	}
}
