package network

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Impairment is a network that NICs of this node were made by, and of which a plugin says that it could make none now (STATUS of CNI). NICs that are
// there may work all the same, and the node's pod network is another matter.
type Impairment struct {
	Definition string // namespace/name
	Types      string // of its plugins
	Says       string // the plugin, and why
}

func (Impairment) Header() []string { return []string{"Definition", "Types", "Says"} }

func (i Impairment) Row() []string { return []string{i.Definition, i.Types, i.Says} }

// Impairments are those of this node, as the plugins said last.
var Impairments = table.Declare("network-impairments", func(r Impairment) state.Key { return state.Join(r.Definition) })
