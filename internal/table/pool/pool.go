// Package pool has the tables of named pools of the pod network.
//
// # The world it models
//
// A pod gets its addresses out of its node's own prefixes, unless its annotation, or its namespace's, names a pool:
//
//	Pools  blue  10.20.0.0/16 in parts of /27         a CiliumPodIPPool
//	Needs  blue  3 IPv4, 3 IPv6                       what the pods of this node need of it; told in the CiliumNode, where the operator answers
//	Node   a     blue: 10.20.0.0/27                   a part that the node has
//
// Which pool a pod is of is Of: its own annotations come before those of its namespace, that of one family before that of both.
//
// # Invariants
//
//   - The parts of pools that a node has are among its pod prefixes (table.Node.PodCIDRs): routes, masquerade and identities of addresses know no difference.
//   - A pool is needed as long as a pod asks for it, or an attachment holds an address of it.
//
// # Example
//
//	of, known := pool.Of(r, tables, "shop", "web")
package pool

import (
	"cmp"
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
)

// Pool is a CiliumPodIPPool.
type Pool struct {
	Name  string
	CIDRs []netip.Prefix
}

func (Pool) Header() []string { return []string{"Name", "CIDRs"} }

func (p Pool) Row() []string { return []string{p.Name, column.List(p.CIDRs)} }

// Pools are those of the cluster.
var Pools = table.Declare("pod-ip-pools", func(r Pool) state.Key { return state.Join(r.Name) })

// Need is how many addresses of a pool this node needs.
type Need struct {
	Pool       string
	IPv4, IPv6 int
}

func (Need) Header() []string { return []string{"Pool", "IPv4", "IPv6"} }

func (n Need) Row() []string { return []string{n.Pool, fmt.Sprint(n.IPv4), fmt.Sprint(n.IPv6)} }

// Needs are those of this node.
var Needs = table.Declare("pool-needs", func(r Need) state.Key { return state.Join(r.Pool) })

// Of names the pools that a pod gets its IPv4 and its IPv6 address of; empty: the node's own prefixes. Not known: the pod, or its namespace, is not.
func Of(r state.Reader, t *table.Tables, namespace, name string) (of [2]string, known bool) {
	p, ok := t.Pods.One(r, table.ObjectKey(namespace, name))
	if _, in := t.Namespaces.One(r, state.Join(namespace)); !ok || !in {
		return of, false
	}
	return For(r, t, p), true
}

// For names those of a pod that is known.
func For(r state.Reader, t *table.Tables, p table.Pod) (of [2]string) {
	n, _ := t.Namespaces.One(r, state.Join(p.Namespace))
	for i := range of {
		if of[i] = cmp.Or(p.Pools[i], n.Pools[i]); of[i] == Default {
			of[i] = ""
		}
	}
	return of
}

// Default is the name of what a node has without a pool.
const Default = "default"
