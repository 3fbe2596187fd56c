package table

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Namespace is a Kubernetes namespace.
type Namespace struct {
	Name   string
	Labels map[string]string
	Audit  bool      // nothing is denied to its pods: what would be passes, and flows say so
	Pools  [2]string // of its pods, as of a Pod
	NICs   string    // of its pods, in place of policy-networks (settings/network); empty: as that says
}

func (Namespace) Header() []string { return []string{"Name", "Labels"} }

func (n Namespace) Row() []string { return []string{n.Name, column.Labels(n.Labels)} }

var _ = declare(&tables.Namespaces, "namespaces", func(r Namespace) state.Key { return state.Join(r.Name) })
