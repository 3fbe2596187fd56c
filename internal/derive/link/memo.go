package link

import (
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// memos are what a derivation needs to know of whole tables, computed once for each of their versions. Each derivation has its
// own: it is used by one goroutine.
type memos struct {
	t        *table.Tables
	configs  *state.Memo[settings.Config]
	prefixes *state.Memo[map[netip.Prefix]table.Node]
	nets     *state.Memo[[]network]
}

// network is an IP network on which a device of the node is.
type network struct {
	prefix netip.Prefix
	device string
}

func newMemos(t *table.Tables) *memos {
	m := &memos{t: t}
	m.configs = state.NewMemo(func(r state.Reader) settings.Config { return t.Config(r) }, t.Configs)
	m.prefixes = state.NewMemo(m.readOwners, t.Nodes)
	m.nets = state.NewMemo(m.readNetworks, t.Devices)
	return m
}

// config is that of this node.
func (m *memos) config(r state.Reader) settings.Config { return m.configs.Of(r) }

// owner is the node that a pod prefix belongs to: this one if it claims it, else the one with the lowest name.
func (m *memos) owner(r state.Reader, p netip.Prefix) (table.Node, bool) {
	n, owned := m.prefixes.Of(r)[p]
	return n, owned
}

func (m *memos) readOwners(r state.Reader) map[netip.Prefix]table.Node {
	owners := map[netip.Prefix]table.Node{}
	for n := range m.t.Nodes.All(r) {
		for _, p := range n.PodCIDRs {
			if _, taken := owners[p.Masked()]; !taken || n.Local {
				owners[p.Masked()] = n
			}
		}
	}
	return owners
}

// networks are the networks of devices that are up, without those of workloads.
func (m *memos) networks(r state.Reader) []network { return m.nets.Of(r) }

func (m *memos) readNetworks(r state.Reader) (list []network) {
	for d := range m.t.Devices.All(r) {
		for _, p := range d.Addresses {
			if d.Up && !p.IsSingleIP() && !attach.IsHostName(d.Name) {
				list = append(list, network{p, d.Name})
			}
		}
	}
	return list
}
