package service

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/lb"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

// redirectKey is the derivation key of an address and port that policies lead to pods.
func redirectKey(frontend state.Key) state.Key { return state.Join(redirects) + frontend }

// redirectKeys are the derivation keys in which a policy has a part.
func redirectKeys(p redirect.Policy) (keys []state.Key) {
	if p.Service != "" {
		return []state.Key{owner(cluster, p.Namespace, p.Service)}
	}
	for _, f := range p.Frontends() {
		keys = append(keys, redirectKey(f))
	}
	return keys
}

// redirectInputs are what makes policies lead calls elsewhere.
func (d frontends) redirectInputs() []state.Input {
	every := func(r state.Reader, matters bool) (keys []state.Key) {
		if matters {
			for p := range redirect.Table.All(r) {
				keys = append(keys, redirectKeys(p)...)
			}
		}
		return keys
	}
	of := func(r state.Reader, namespace string, may func(redirect.Policy) bool) (keys []state.Key) {
		for p := range redirect.Table.Prefix(r, state.Join(namespace)) {
			if may(p) {
				keys = append(keys, redirectKeys(p)...)
			}
		}
		return keys
	}
	return []state.Input{
		state.On(redirect.Table, func(_ state.Reader, p redirect.Policy) []state.Key { return redirectKeys(p) }),
		state.On(d.t.Pods, func(r state.Reader, pod table.Pod) []state.Key {
			return of(r, pod.Namespace, func(p redirect.Policy) bool { return chooses(p, pod) })
		}),
		state.On(d.t.Workloads, func(r state.Reader, w table.Workload) []state.Key {
			return of(r, w.Namespace, func(redirect.Policy) bool { return true })
		}),
		state.On(d.t.Nodes, func(r state.Reader, n table.Node) []state.Key { return every(r, n.Local) }),
		state.On(d.t.Configs, func(r state.Reader, c table.Config) []state.Key { return every(r, c.Concern == settings.OfServices) }),
	}
}

// chooses tells whether a policy leads calls to a pod, if that is of its node.
func chooses(p redirect.Policy, pod table.Pod) bool {
	labels := make(map[string]string, len(pod.Labels))
	for key, value := range pod.Labels {
		labels[identity.SourceK8s+":"+key] = value
	}
	return p.Selector.Matches(identity.NewLabels(labels))
}

// server is a pod of this node that a policy leads calls to.
type server struct {
	addresses []netip.Addr
	ready     bool
	own       bool // it has a network of its own
}

// servers are the pods of this node that a policy chooses, as far as they have addresses.
func (d frontends) servers(r state.Reader, p redirect.Policy) (list []server) {
	for pod := range d.t.Pods.Prefix(r, state.Join(p.Namespace)) {
		if pod.Finished || pod.Node != d.node || !chooses(p, pod) {
			continue
		}
		s := server{ready: pod.Ready, own: !pod.HostNetwork}
		if pod.HostNetwork {
			n, _ := d.t.LocalNode(r)
			s.addresses = n.Addresses
		}
		for w := range d.t.Workloads.By(r, table.ByPod, table.ObjectKey(pod.Namespace, pod.Name)) {
			if w.Network == 0 && w.UID == pod.UID {
				s.addresses = w.Addresses
			}
		}
		list = append(list, s)
	}
	return list
}

// backends are those at a port of some pods, in one family. Pods that are not ready keep open connections, of TCP alone: datagrams are to
// find another backend at once.
func backends(of []server, v4 bool, port redirect.Port) (list []lb.Backend) {
	for _, s := range of {
		at := slices.IndexFunc(s.addresses, func(a netip.Addr) bool { return a.Is4() == v4 })
		if at >= 0 && (s.ready || port.Protocol == unix.IPPROTO_TCP) {
			list = append(list, lb.Backend{Address: s.addresses[at], Port: port.Port, Far: !s.ready})
		}
	}
	return lb.Unique(list)
}

// passing are the sources of a frontend that its own pods are to pass: they call as if it were not there. None: there are no such pods.
func passing(of []server) (list []table.Source) {
	for _, s := range of {
		for _, a := range s.addresses {
			if s.own {
				list = append(list, table.Source{Prefix: netip.PrefixFrom(a, a.BitLen())})
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b table.Source) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	return append(list, table.Source{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Allowed: true},
		table.Source{Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Allowed: true})
}

func takes(b lb.Backend) bool { return b.Takes() }

// redirect is the frontend of an address and port that policies name, if any does.
func (d frontends) redirect(r state.Reader, frontend state.Key) []table.Frontend {
	p, ok := redirect.First(slices.Collect(redirect.Table.By(r, redirect.ByFrontend, frontend)))
	if c := d.config.Of(r); !ok || !c.Redirects || !c.MayRedirect(p.Address) {
		return nil
	}
	for _, port := range p.Ports {
		to, leads := p.To(port)
		if !leads || redirect.FrontendKey(p.Address, port.Port, port.Protocol) != frontend {
			continue
		}
		pods := d.servers(r, p)
		f := table.Frontend{
			Address: p.Address, Port: port.Port, Protocol: port.Protocol, Namespace: p.Namespace, Name: p.Name + redirect.Suffix,
			Kind: table.LocalRedirect, Passes: true, Redirect: p.Name, Backends: backends(pods, p.Address.Is4(), to),
		}
		if p.Skips {
			f.Sources = passing(pods)
		}
		return []table.Frontend{f}
	}
	return nil
}

// redirectService leads the frontends of a Service at its cluster addresses to pods of this node, where a policy says so and a pod is ready.
// Backends that it has without the policy keep their connections.
func (d frontends) redirectService(r state.Reader, s table.Service, rows []table.Frontend) (out []table.Frontend) {
	policies := slices.Collect(redirect.Table.By(r, redirect.ByService, table.ObjectKey(s.Namespace, s.Name)))
	if len(policies) == 0 || !d.config.Of(r).Redirects {
		return rows
	}
	for _, row := range rows {
		if row.Scope != table.ScopeCluster { // it leads the node's own callers alone
			out = append(out, row)
			continue
		}
		called := redirect.Port{Port: row.Port, Protocol: row.Protocol}
		for _, port := range s.Ports {
			if port.Port == row.Port && port.Protocol == row.Protocol {
				called.Name = port.Name
			}
		}
		fit := slices.DeleteFunc(slices.Clone(policies), func(p redirect.Policy) bool { _, ok := p.To(called); return !ok })
		p, ok := redirect.First(fit)
		if !ok {
			out = append(out, row)
			continue
		}
		to, _ := p.To(called)
		out = append(out, lead(row, p, to, d.servers(r, p))...)
	}
	return out
}

// lead makes a frontend of a Service one that leads to pods, if any is ready.
func lead(row table.Frontend, p redirect.Policy, to redirect.Port, pods []server) []table.Frontend {
	here := backends(pods, row.Address.Is4(), to)
	led := row
	if !slices.ContainsFunc(here, takes) {
		led.Backends = lb.Unique(slices.Concat(row.Backends, here))
		return []table.Frontend{led}
	}
	led.Redirect = p.Name
	if led.Sources = passing(pods); p.Skips && len(led.Sources) > 0 {
		led.Backends, led.Passes, row.Scope = here, true, table.ScopeBehind
		return []table.Frontend{led, row}
	}
	led.Sources, led.Backends = nil, here
	for _, b := range row.Backends {
		b.Far = true
		led.Backends = append(led.Backends, b)
	}
	led.Backends = lb.Unique(led.Backends)
	return []table.Frontend{led}
}
