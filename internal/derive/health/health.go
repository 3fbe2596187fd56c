// Package health derives at which addresses this node answers health checks by HTTP, and what it says there: what kube-proxy
// serves, where there is none.
//
// # The world it models
//
// A load balancer that keeps the client's address sends to a node only if a backend is there (externalTrafficPolicy: Local). It asks
// each node at the Service's healthCheckNodePort, which Kubernetes gives out. And it asks whether the node takes anything at all:
// healthz, at an address that the configuration says; a node that is about to be deleted says no, so that it is drained
// before it goes (KEP-3836).
//
// # Invariants
//
//   - Nothing is served unless the configuration replaces kube-proxy: it would have these ports.
//   - As in Kubernetes 1.36 each family is asked by itself: at 0.0.0.0 about endpoints with IPv4, at :: about those with IPv6.
//   - Endpoints that are ready count, by address; those that terminate do not, so that a load balancer turns away from a node before
//     its last one is gone.
//
// # Example
//
// Service shop/web with healthCheckNodePort 31234 and two ready pods on this node makes
//
//	NETWORK  ADDRESS        ABOUT     ENDPOINTS
//	tcp4     0.0.0.0:31234  shop/web  2
package health

import (
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/healthcheck"
)

// Owners of rows: the node, or a Service by its key.
const (
	ofNode    = "node"
	ofService = "service"
)

// New makes the derivation that fills healthcheck.Table on the node of this name.
func New(t *table.Tables, node string) *state.Derivation[healthcheck.Check] {
	c := checks{t, node}
	return &state.Derivation[healthcheck.Check]{
		Name: "health-checks",
		Out:  healthcheck.Table,
		Inputs: []state.Input{
			state.On(t.Services, func(_ state.Reader, s table.Service) []state.Key { return one(s.Namespace, s.Name) }),
			state.On(t.EndpointSlices, func(_ state.Reader, s table.EndpointSlice) []state.Key { return one(s.Namespace, s.Service) }),
			state.On(t.Nodes, func(_ state.Reader, n table.Node) []state.Key {
				if n.Local {
					return []state.Key{state.Join(ofNode)}
				}
				return nil
			}),
			state.On(t.Configs, c.all),
		},
		KeyOf: func(h healthcheck.Check) state.Key {
			if h.Name == "" {
				return state.Join(ofNode)
			}
			return one(h.Namespace, h.Name)[0]
		},
		Compute: c.compute,
	}
}

func one(namespace, name string) []state.Key {
	return []state.Key{state.Join(ofService) + table.ObjectKey(namespace, name)}
}

type checks struct {
	t    *table.Tables
	node string
}

// all are the keys that the configuration has a say in.
func (c checks) all(r state.Reader, row table.Config) (keys []state.Key) {
	if row.Concern != settings.OfServices {
		return nil
	}
	keys = append(keys, state.Join(ofNode))
	for s := range c.t.Services.All(r) {
		if s.HealthCheckNodePort != 0 {
			keys = append(keys, one(s.Namespace, s.Name)...)
		}
	}
	return keys
}

func (c checks) compute(r state.Reader, key state.Key) []healthcheck.Check {
	config := c.t.Config(r).Services
	if !config.Replaces() {
		return nil
	}
	object, isService := strings.CutPrefix(string(key), string(state.Join(ofService)))
	if !isService {
		return c.ofNode(r, config.Health.Node)
	}
	s, ok := c.t.Services.One(r, state.Key(object))
	if !ok || !config.Health.Services || !s.ExternalLocal || s.HealthCheckNodePort == 0 {
		return nil
	}
	var rows []healthcheck.Check
	for _, family := range families(s) {
		row := healthcheck.Check{Network: "tcp4", Namespace: s.Namespace, Name: s.Name, Endpoints: c.endpoints(r, s, family.Is4())}
		if family.Is6() {
			row.Network = "tcp6"
		}
		row.Address = netip.AddrPortFrom(family, s.HealthCheckNodePort).String()
		rows = append(rows, row)
	}
	return rows
}

// ofNode is where the node itself is asked about; empty: nowhere.
func (c checks) ofNode(r state.Reader, address string) []healthcheck.Check {
	if address == "" {
		return nil
	}
	n, _ := c.t.LocalNode(r)
	return []healthcheck.Check{{Network: "tcp", Address: address, Leaving: n.Leaving}}
}

// families are the unspecified addresses of those that a Service has.
func families(s table.Service) (list []netip.Addr) {
	for _, a := range s.ClusterIPs {
		if a.Is4() {
			list = append(list, netip.IPv4Unspecified())
		} else {
			list = append(list, netip.IPv6Unspecified())
		}
	}
	return list
}

// endpoints counts those of a Service that are ready on this node, each address once.
func (c checks) endpoints(r state.Reader, s table.Service, ipv4 bool) int {
	ready := map[netip.Addr]bool{}
	for slice := range c.t.EndpointSlices.By(r, table.ByService, table.ObjectKey(s.Namespace, s.Name)) {
		for _, e := range slice.Endpoints {
			if e.Ready && e.Node == c.node && len(e.Addresses) > 0 && e.Addresses[0].Is4() == ipv4 {
				ready[e.Addresses[0]] = true
			}
		}
	}
	return len(ready)
}
