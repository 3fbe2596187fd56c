// Package service derives the frontends of this node from Services, EndpointSlices, and hostPorts of pods.
//
// # The world it models
//
// What a workload sends to a Service is translated by the program at its NIC, packet by packet, so that policy sees the
// backend and not the service address. That holds for cluster addresses and for those that the outside uses, too
// (externalIPs, addresses of a load balancer, node ports): a workload's connection never depends on the translation
// of the host's netfilter. As for kube-proxy, a workload that calls an external address reaches every backend, whatever
// externalTrafficPolicy says; but a node port of another node leads to what that node says, where nodes translate what comes from outside.
//
// What comes from outside is translated where it enters the node, if the configuration says so, by rows of its own scope: there
// externalTrafficPolicy holds, and loadBalancerSourceRanges for the addresses of load balancers; of cluster addresses, which the outside calls
// on demand alone, internalTrafficPolicy does for all callers. A frontend without backends
// answers, as kube-proxy does, unless other nodes have some: then it is Silent.
//
// Where endpoints have hints, and the configuration lets them count, new calls go to those that are near: of this node, or of its zone, which
// is a label of the node and may change at any time.
//
// What calls from outside finds its backend in a table that is the same on every node (internal/maglev), if the configuration or an annotation of the
// Service says so; all others by chance, since no other node sees their packets.
//
// A CiliumLocalRedirectPolicy leads calls of a Service's cluster addresses, or of an address of its own, to pods of this node while any is ready
// (redirect.go).
//
// The engine, internal/lb, chooses the backends; this package gives it rows and makes rows of its answers.
//
// # Invariants
//
//   - Cluster addresses are unique in a cluster, external ones are whatever users write. When two Services claim one
//     address and port, a cluster address beats an external one, then the lower namespace and name wins.
//   - A headless Service, or one of type ExternalName, has no addresses and so no frontends.
//   - A cluster address is nothing but the ports of its Service: it has one more frontend, without port, protocol and
//     backends, by which programs refuse every other port and protocol. External addresses and nodes may be more than that, and have none.
//   - One key is one Service and one of its two kinds of address: a change of an EndpointSlice recomputes that Service
//     and no other.
//
// # Example
//
// Service shop/web with ClusterIP 10.96.0.10, port 80, external IP 192.0.2.7 and one ready pod listening on 8080 makes:
//
//	ADDRESS     PORT  PROTOCOL  SERVICE   KIND        SCOPE    BACKENDS
//	10.96.0.10  0     0         shop/web  ClusterIP   cluster  -
//	10.96.0.10  80    6         shop/web  ClusterIP   cluster  10.244.1.7:8080
//	192.0.2.7   80    6         shop/web  ExternalIP  cluster  10.244.1.7:8080
//	192.0.2.7   80    6         shop/web  ExternalIP  outside  10.244.1.7:8080
package service

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/lb"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

// New makes the derivation that fills t.Frontends on the node of this name.
func New(t *table.Tables, node string) *state.Derivation[table.Frontend] {
	d := frontends{t, node, state.NewMemo(t.Config, t.Configs)}
	out := &state.Derivation[table.Frontend]{
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
					keys = append(keys, owners(s.Namespace, s.Name)...)
				}
				for p := range t.Pods.All(r) {
					keys = append(keys, owner(hostPorts, p.Namespace, p.Name))
				}
				return keys
			}),
			state.On(t.Nodes, func(r state.Reader, n table.Node) (keys []state.Key) {
				if !n.Local {
					return nil
				}
				for s := range t.EndpointSlices.By(r, table.ByZone, state.Join(n.Labels[zoneLabel])) { // hints that name others alone count nowhere here
					keys = append(keys, owners(s.Namespace, s.Service)...)
				}
				return keys
			}),
			state.On(t.Pods, func(_ state.Reader, p table.Pod) []state.Key {
				if len(p.HostPorts) == 0 {
					return nil
				}
				return []state.Key{owner(hostPorts, p.Namespace, p.Name)}
			}),
			state.On(t.Workloads, func(_ state.Reader, w table.Workload) []state.Key {
				return []state.Key{owner(hostPorts, w.Namespace, w.Pod)}
			}),
		},
		KeyOf:   ownerOf,
		Compute: d.compute,
	}
	out.Inputs = append(out.Inputs, d.redirectInputs()...)
	return out
}

// Groups of frontends that are computed together: of one Service, one pod, or one address and port. Of two claims to one address and port that of the
// first in the alphabet wins.
const (
	cluster   = "cluster"
	external  = "external"
	hostPorts = "host"
	redirects = "redirect"
)

func groupOf(kind table.FrontendKind) string {
	switch kind {
	case table.ClusterIP:
		return cluster
	case table.HostPort:
		return hostPorts
	}
	return external
}

// ownerOf is the derivation key of a frontend.
func ownerOf(f table.Frontend) state.Key {
	if f.Kind == table.LocalRedirect {
		return redirectKey(redirect.FrontendKey(f.Address, f.Port, f.Protocol))
	}
	return owner(groupOf(f.Kind), f.Namespace, f.Name)
}

// owner is the derivation key of a group: its name, then the key of the Service or pod.
func owner(group, namespace, name string) state.Key {
	return state.Join(group) + table.ObjectKey(namespace, name)
}

func owners(namespace, name string) []state.Key {
	return []state.Key{owner(cluster, namespace, name), owner(external, namespace, name)}
}

type frontends struct {
	t      *table.Tables
	node   string
	config *state.Memo[settings.Config]
}

func (d frontends) compute(r state.Reader, key state.Key) []table.Frontend {
	if pod, of := strings.CutPrefix(string(key), string(state.Join(hostPorts))); of {
		return d.hostPorts(r, state.Key(pod))
	}
	if of, is := strings.CutPrefix(string(key), string(state.Join(redirects))); is {
		return d.redirect(r, state.Key(of))
	}
	object, outside := strings.CutPrefix(string(key), string(state.Join(external)))
	object = strings.TrimPrefix(object, string(state.Join(cluster)))
	service, ok := d.t.Services.One(r, state.Key(object))
	if !ok {
		return nil
	}
	config := d.config.Of(r)
	var out []table.Frontend
	if !outside {
		for _, a := range service.ClusterIPs {
			out = append(out, table.Frontend{Address: a, Namespace: service.Namespace, Name: service.Name, Kind: table.ClusterIP})
		}
	}
	of := kinds(service, outside)
	if outside {
		of[len(of)-1].byNode = service.ExternalLocal && config.Outside.NodePorts // the node ports, see kinds
	}
	of = append(of, fromOutside(service, of, config.Outside)...)
	if of = slices.DeleteFunc(of, kind.nowhere); outside && len(of) == 0 {
		return nil // as of most Services
	}
	var slicesOf []lb.Slice
	for row := range d.t.EndpointSlices.By(r, table.ByService, table.ObjectKey(service.Namespace, service.Name)) {
		slicesOf = append(slicesOf, slice(row))
	}
	here, choice := d.place(r), config.Choice
	for _, k := range of {
		k.Hints = choice.Hints
		for _, f := range lb.Frontends(k.Service, slicesOf, here) {
			row := table.Frontend{
				Address: f.Address, Port: f.Port, Protocol: f.Protocol, Namespace: service.Namespace, Name: service.Name,
				AffinitySeconds: service.AffinitySeconds, Kind: k.is, Scope: k.scope, Sources: k.sources, ByNode: k.byNode,
				Backends: f.Backends,
				Direct:   k.scope == table.ScopeOutside && config.Outside.Direct(service.Forwarding, f.Protocol == unix.IPPROTO_TCP),
			}
			if k.scope == table.ScopeOutside && byTable(choice, service) {
				row.Maglev = shape(choice, f.Backends)
			}
			row.Silent = k.scope == table.ScopeOutside && k.Local && len(f.Backends) == 0 && anywhere(k.Service, f, slicesOf)
			out = append(out, row)
		}
	}
	if !outside {
		out = d.redirectService(r, service, out)
	}
	return out
}

// anywhere tells whether any node has a backend for a frontend that has none here. Of several ports with one number the first is the frontend.
func anywhere(s lb.Service, f lb.Frontend, of []lb.Slice) bool {
	i := slices.IndexFunc(s.Ports, func(p lb.Port) bool { return p.Port == f.Port && p.Protocol == f.Protocol })
	s.Local, s.Addresses, s.Ports = false, []netip.Addr{f.Address}, s.Ports[i:i+1]
	return len(lb.Frontends(s, of, lb.Place{})[0].Backends) > 0
}

// byTable tells whether calls of a Service from outside find their backend in a table.
func byTable(c settings.Choice, s table.Service) bool {
	if c.Annotated && (s.Algorithm == algorithmMaglev || s.Algorithm == algorithmRandom) {
		return s.Algorithm == algorithmMaglev
	}
	return c.Maglev
}

// Values of the annotation by which a Service says it.
const (
	algorithmMaglev = "maglev"
	algorithmRandom = "random"
)

// shape is that of the table of these backends; none, where there is nothing to choose.
func shape(c settings.Choice, backends []table.Backend) maglev.Shape {
	n := 0
	for _, b := range backends {
		if b.Takes() {
			n++
		}
	}
	if n < 2 {
		return maglev.Shape{}
	}
	return maglev.Shape{Size: maglev.Size(n, c.TableSize), Seed: maglev.Seed(c.Seed)}
}

// zoneLabel is that of a node, by which hints name it.
const zoneLabel = "topology.kubernetes.io/zone"

// place is where this node's callers are.
func (d frontends) place(r state.Reader) lb.Place {
	n, _ := d.t.LocalNode(r)
	return lb.Place{Node: d.node, Zone: n.Labels[zoneLabel]}
}

// kind is one of the kinds of addresses that a Service is offered at, to one kind of callers.
type kind struct {
	lb.Service
	is      table.FrontendKind
	scope   table.Scope
	sources []table.Source
	byNode  bool
}

// nowhere tells whether that is no address, or no port.
func (k kind) nowhere() bool { return len(k.Addresses) == 0 || len(k.Ports) == 0 }

// fromOutside are the kinds that this node offers to the outside: those that pods call, less what the configuration leaves to others.
func fromOutside(service table.Service, all []kind, c settings.Outside) (out []kind) {
	for _, k := range all {
		offered := c.ExternalIPs
		switch k.is {
		case table.ClusterIP:
			offered = c.ClusterIPs && c.Any()
		case table.NodePort:
			offered = c.NodePorts
		}
		if !offered {
			continue
		}
		k.byNode, k.scope = false, table.ScopeOutside
		if k.is != table.ClusterIP {
			k.Local = service.ExternalLocal
		}
		if k.is == table.LoadBalancer {
			k.sources = service.Sources
		}
		out = append(out, k)
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
		return []kind{{lb.Service{Addresses: service.ClusterIPs, Local: service.InternalLocal, Ports: ports}, table.ClusterIP, 0, nil, false}}
	}
	var everyNode []netip.Addr
	for _, a := range service.ClusterIPs {
		if a.Is4() {
			everyNode = append(everyNode, netip.IPv4Unspecified())
		} else {
			everyNode = append(everyNode, netip.IPv6Unspecified())
		}
	}
	own := slices.DeleteFunc(slices.Clone(service.ExternalIPs), func(a netip.Addr) bool { return slices.Contains(service.LoadBalancerIPs, a) })
	return []kind{
		{Service: lb.Service{Addresses: own, Ports: ports}, is: table.ExternalIP},
		{Service: lb.Service{Addresses: service.LoadBalancerIPs, Ports: ports}, is: table.LoadBalancer},
		{Service: lb.Service{Addresses: everyNode, Ports: nodePorts}, is: table.NodePort},
	}
}

func slice(row table.EndpointSlice) lb.Slice {
	s := lb.Slice{Endpoints: make([]lb.Endpoint, 0, len(row.Endpoints))}
	for _, p := range row.Ports {
		s.Ports = append(s.Ports, lb.Port{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
	}
	for _, e := range row.Endpoints {
		if len(e.Addresses) > 0 {
			end := lb.Endpoint{Address: e.Addresses[0], Node: e.Node, Ready: e.Ready, Serving: e.Serving, Terminating: e.Terminating}
			if e.Hints != nil {
				end.Hints = *e.Hints
			}
			s.Endpoints = append(s.Endpoints, end)
		}
	}
	return s
}
