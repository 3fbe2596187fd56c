package link

import (
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// view is what a derivation needs to know of whole tables, computed again only when they have changed. It is a function
// of the snapshot it is asked about. Each derivation has its own: it is used by one goroutine.
type view struct {
	t        *table.Tables
	configs  memo[settings.Config]
	prefixes memo[map[netip.Prefix]table.Node]
	nets     memo[[]network]
}

// network is one that a device of the node is on.
type network struct {
	prefix netip.Prefix
	device string
}

// memo keeps the answers for the last two versions of a table: a pass looks at two snapshots, before and now.
type memo[V any] struct {
	of   [2]<-chan struct{} // names a version of the table: another version has another channel
	last [2]V
}

// remember gives what compute makes of a table, computed before if the table is as it was then.
func remember[V any, R state.Row](m *memo[V], t *state.Table[R], r state.Reader, compute func() V) V {
	s, ok := r.(*state.Snapshot)
	if !ok {
		return compute()
	}
	version := t.WatchAll(s)
	for i, v := range m.of {
		if v == version {
			return m.last[i]
		}
	}
	m.of = [2]<-chan struct{}{version, m.of[0]}
	m.last = [2]V{compute(), m.last[0]}
	return m.last[0]
}

func newView(t *table.Tables) *view { return &view{t: t} }

// config is what the settings say.
func (v *view) config(r state.Reader) settings.Config {
	compute := func() settings.Config {
		c, _ := settings.Parse(func(name string) (string, bool) {
			s, ok := v.t.Settings.One(r, state.Join(name))
			return s.Value, ok
		})
		return c
	}
	return remember(&v.configs, v.t.Settings, r, compute)
}

// owner is the node that a pod prefix belongs to: this one if it claims it, else the one with the lowest name.
func (v *view) owner(r state.Reader, p netip.Prefix) (table.Node, bool) {
	compute := func() map[netip.Prefix]table.Node {
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
	n, owned := remember(&v.prefixes, v.t.Nodes, r, compute)[p]
	return n, owned
}

// networks are those that devices which are up are on, those of workloads left out.
func (v *view) networks(r state.Reader) []network {
	return remember(&v.nets, v.t.Devices, r, func() (list []network) {
		for d := range v.t.Devices.All(r) {
			for _, p := range d.Addresses {
				if d.Up && !p.IsSingleIP() && !attach.IsHostName(d.Name) {
					list = append(list, network{p, d.Name})
				}
			}
		}
		return list
	})
}
