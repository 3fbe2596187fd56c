package service

import (
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Constants is the Source of what programs know of services: variable services_here of bpf/lib/lb.h.
func Constants(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
	nodes := state.On(t.Nodes, func(_ state.Reader, n table.Node) []state.Key {
		if !n.Local {
			return nil
		}
		return []state.Key{table.ProgramsKey}
	})
	return "services_here", []state.Input{nodes}, func(r state.Reader) any {
		c, choice := t.Config(r).Outside, t.Config(r).Choice
		v := abi.LbConfig{NodePortMin: c.First, NodePortMax: c.Last, CallKey: maglev.KeyOf(maglev.Seed(choice.Seed))}
		if c.HostPorts {
			v.HostPorts = 1
		}
		if c.Any() {
			v.Outside = 1
		}
		n, _ := t.LocalNode(r)
		for _, a := range n.Addresses {
			switch {
			case a.Is4() && v.Node4 == (abi.Addr{}):
				v.Node4 = abi.From(a)
			case a.Is6() && v.Node6 == (abi.Addr{}):
				v.Node6 = abi.From(a)
			}
		}
		return v
	}
}
