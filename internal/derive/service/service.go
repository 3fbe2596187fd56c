// Package service derives the frontends of this node from Services and EndpointSlices.
//
// # The world it models
//
// What a workload sends to a Service is translated by our datapath, per packet where it is sent, so that policy sees the
// backend and not the service address. That holds for cluster addresses and for those that the outside uses too
// (externalIPs, addresses of a load balancer, node ports): a workload's connection never depends on the translation
// of the host's netfilter. As for kube-proxy, a workload that calls an external address reaches every backend, whatever
// externalTrafficPolicy says.
//
// What comes from outside is translated where it enters the node, if the configuration says so, by rows of its own scope: there
// externalTrafficPolicy holds, and loadBalancerSourceRanges for the addresses of load balancers.
//
// Internal package lb decides who serves; this package only brings rows to it and back.
//
// # Invariants
//
//   - Cluster addresses are unique in a cluster, external ones are whatever users write. When two Services claim one
//     address and port, a cluster address beats an external one, then the lower namespace and name wins.
//   - A headless Service, or one of type ExternalName, has no addresses and so no frontends.
//   - A cluster address is nothing but the ports of its Service: it has one frontend more, without port, protocol and
//     backends, by which the datapath refuses all other. External addresses and nodes may be more than that, and have none.
//   - One key is one Service and one of its two kinds of address: a change of an EndpointSlice recomputes that Service
//     and no other.
//
// # Example
//
// Service shop/web with ClusterIP 10.96.0.10, port 80, external IP 192.0.2.7 and one ready pod listening on 8080 makes:
//
//	ADDRESS     PORT  PROTOCOL  SERVICE   SCOPE    OUTSIDE  BACKENDS
//	10.96.0.10  0     0         shop/web  cluster  false    -
//	10.96.0.10  80    6         shop/web  cluster  false    10.244.1.7:8080
//	192.0.2.7   80    6         shop/web  cluster  true     10.244.1.7:8080
//	192.0.2.7   80    6         shop/web  outside  true     10.244.1.7:8080
package service

import (
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/lb"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// New makes the derivation that fills t.Frontends on the node of this name.
func New(t *table.Tables, node string) *state.Derivation[table.Frontend] {
	d := frontends{t, node}
	return &state.Derivation[table.Frontend]{
		Name: "frontends",
		Out:  t.Frontends,
		Inputs: []state.Input{
			state.On(t.Services, func(_ state.Reader, s table.Service) []state.Key { return owners(s.Namespace, s.Name) }),
			state.On(t.EndpointSlices, func(_ state.Reader, s table.EndpointSlice) []state.Key {
				return owners(s.Namespace, s.Service)
			}),
			state.On(t.Configs, func(r state.Reader, c table.Config) (keys []state.Key) {
				if c.Concern != settings.OfServices {
					return nil
				}
				for s := range t.Services.All(r) {
					keys = append(keys, owner(true, s.Namespace, s.Name))
				}
				return keys
			}),
		},
		KeyOf:   func(f table.Frontend) state.Key { return owner(f.Outside, f.Namespace, f.Name) },
		Compute: d.compute,
	}
}

// owner is the derivation key of the frontends of one kind of one Service: the kind, then the key of the Service. That of
// cluster addresses is the smaller one, so they win.
func owner(outside bool, namespace, name string) state.Key {
	return state.Join(outside) + table.ObjectKey(namespace, name)
}

func owners(namespace, name string) []state.Key {
	return []state.Key{owner(false, namespace, name), owner(true, namespace, name)}
}

type frontends struct {
	t    *table.Tables
	node string
}

func (d frontends) compute(r state.Reader, key state.Key) []table.Frontend {
	object, outside := strings.CutPrefix(string(key), string(state.Join(true)))
	object = strings.TrimPrefix(object, string(state.Join(false)))
	service, ok := d.t.Services.One(r, state.Key(object))
	if !ok {
		return nil
	}
	var slicesOf []lb.Slice
	for row := range d.t.EndpointSlices.By(r, table.ByService, table.ObjectKey(service.Namespace, service.Name)) {
		slicesOf = append(slicesOf, slice(row))
	}
	var out []table.Frontend
	if !outside {
		for _, a := range service.ClusterIPs {
			out = append(out, table.Frontend{Address: a, Namespace: service.Namespace, Name: service.Name})
		}
	}
	of := kinds(service, outside)
	if outside {
		of = append(of, fromOutside(service, of, d.t.Config(r).Outside)...)
	}
	for _, k := range of {
		for _, f := range lb.Frontends(k.Service, slicesOf, d.node) {
			row := table.Frontend{
				Address: f.Address, Port: f.Port, Protocol: f.Protocol, Namespace: service.Namespace, Name: service.Name,
				AffinitySeconds: service.AffinitySeconds, Outside: outside, Scope: k.scope, Sources: k.sources,
			}
			for _, b := range f.Backends {
				row.Backends = append(row.Backends, table.Backend(b))
			}
			out = append(out, row)
		}
	}
	return out
}

// kind is one of the kinds of addresses that a Service is offered at, to one kind of callers.
type kind struct {
	lb.Service
	scope   table.Scope
	sources []table.Source
}

// fromOutside are the kinds that this node offers to the outside: those that pods call by their external addresses and node ports,
// less what the configuration leaves to others.
func fromOutside(service table.Service, outside []kind, c settings.Outside) (out []kind) {
	external, nodePorts := outside[0], outside[1]
	given := lb.Service{Ports: external.Ports, Addresses: service.LoadBalancerIPs}
	external.Addresses = slices.DeleteFunc(slices.Clone(external.Addresses), func(a netip.Addr) bool { return slices.Contains(given.Addresses, a) })
	if c.ExternalIPs {
		out = append(out, external, kind{Service: given, sources: service.Sources})
	}
	if c.NodePorts {
		out = append(out, nodePorts)
	}
	for i := range out {
		out[i].Local, out[i].scope = service.ExternalLocal, table.ScopeOutside
	}
	return out
}

// kinds lists what a Service is offered at: its cluster addresses, or its external ones and its node ports.
func kinds(service table.Service, outside bool) []kind {
	var ports, nodePorts []lb.Port
	for _, p := range service.Ports {
		ports = append(ports, lb.Port{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
		if p.NodePort != 0 {
			nodePorts = append(nodePorts, lb.Port{Name: p.Name, Protocol: p.Protocol, Port: p.NodePort})
		}
	}
	if !outside {
		return []kind{{Service: lb.Service{Addresses: service.ClusterIPs, Local: service.InternalLocal, Ports: ports}}}
	}
	var everyNode []netip.Addr
	for _, a := range service.ClusterIPs {
		if a.Is4() {
			everyNode = append(everyNode, netip.IPv4Unspecified())
		} else {
			everyNode = append(everyNode, netip.IPv6Unspecified())
		}
	}
	return []kind{{Service: lb.Service{Addresses: service.ExternalIPs, Ports: ports}}, {Service: lb.Service{Addresses: everyNode, Ports: nodePorts}}}
}

func slice(row table.EndpointSlice) lb.Slice {
	var s lb.Slice
	for _, p := range row.Ports {
		s.Ports = append(s.Ports, lb.Port{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
	}
	for _, e := range row.Endpoints {
		if len(e.Addresses) > 0 {
			s.Endpoints = append(s.Endpoints, lb.Endpoint{
				Address: e.Addresses[0], Node: e.Node, Ready: e.Ready, Serving: e.Serving, Terminating: e.Terminating,
			})
		}
	}
	return s
}
