package table

import (
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// CIDRGroup is a CiliumCIDRGroup object: prefixes that policies name together.
type CIDRGroup struct {
	Name     string
	Labels   map[string]string
	Prefixes []netip.Prefix
	Problems []string // prefixes that make no sense, and are left out
}

func (CIDRGroup) Header() []string { return []string{"Name", "Labels", "Prefixes", "Problems"} }

func (g CIDRGroup) Row() []string {
	return []string{g.Name, column.Labels(g.Labels), column.List(g.Prefixes), strings.Join(g.Problems, "; ")}
}

var _ = declare(&tables.CIDRGroups, "cidr-groups", func(r CIDRGroup) state.Key { return state.Join(r.Name) })
