package link

import (
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// view is what a derivation needs to know of whole tables. Each derivation has its own: it is used by one goroutine.
type view struct {
	t        *table.Tables
	configs  *state.Memo[settings.Config]
	prefixes *state.Memo[map[netip.Prefix]table.Node]
	nets     *state.Memo[[]network]
}

// network is one that a device of the node is on.
type network struct {
	prefix netip.Prefix
	device string
}

func newView(t *table.Tables) *view {
	v := &view{t: t}
	v.configs = state.NewMemo(func(r state.Reader) settings.Config { return t.Config(r) }, t.Configs)
	v.prefixes = state.NewMemo(v.readOwners, t.Nodes)
	v.nets = state.NewMemo(v.readNetworks, t.Devices)
	return v
}

// config is that of this node.
func (v *view) config(r state.Reader) settings.Config { return v.configs.Of(r) }

// owner is the node that a pod prefix belongs to: this one if it claims it, else the one with the lowest name.
func (v *view) owner(r state.Reader, p netip.Prefix) (table.Node, bool) {
	n, owned := v.prefixes.Of(r)[p]
	return n, owned
}

func (v *view) readOwners(r state.Reader) map[netip.Prefix]table.Node {
	owners := map[netip.Prefix]table.Node{}
	for n := range v.t.Nodes.All(r) {
		for _, p := range n.PodCIDRs {
			if _, taken := owners[p.Masked()]; !taken || n.Local {
				owners[p.Masked()] = n
			}
		}
	}
	return owners
}

// networks are those that devices which are up are on, those of workloads left out.
func (v *view) networks(r state.Reader) []network { return v.nets.Of(r) }

func (v *view) readNetworks(r state.Reader) (list []network) {
	for d := range v.t.Devices.All(r) {
		for _, p := range d.Addresses {
			if d.Up && !p.IsSingleIP() && !attach.IsHostName(d.Name) {
				list = append(list, network{p, d.Name})
			}
		}
	}
	return list
}
