// Package lb computes what a Kubernetes Service becomes in the datapath: frontends, each an address and port that is
// translated to one of its backends.
//
// # The world it models
//
// A Service has cluster addresses and ports. EndpointSlices say who serves it: each slice has its own list of port
// numbers (a named target port may be another number in another pod) and endpoints that all listen on them. A slice
// port belongs to the Service port of the same name and protocol; the number in the slice is the one to translate to,
// so the target port of the Service is never looked at.
//
// Who gets connections is decided as kube-proxy does, so that a cluster behaves the same whichever of the two
// translates a packet:
//
//   - ready endpoints serve;
//   - when none is ready, endpoints that terminate but still serve do, so that a rolling update that empties a Service
//     loses no connection;
//   - otherwise a terminating endpoint that still serves keeps the connections it has and gets no new ones;
//   - only the first address of an endpoint counts, and only if it is of the frontend's family;
//   - where endpoints have hints, those that are meant for this node, else those for its zone, get the new connections
//     that are made here (near.go); the others keep those that they have.
//
// With internalTrafficPolicy Local all of that but the hints is asked of the endpoints of this node alone; there may then be no
// backend although the Service has some elsewhere, which is what the user asked for.
//
// # Invariants
//
// The result depends on the arguments only, not on their order: frontends come in the order of address, port and
// protocol, backends in the order of address and port, each once. A frontend without backends stays in the result: its
// packets are to be refused, not sent to the default route.
//
// # Example
//
//	svc := lb.Service{Addresses: addrs("10.96.0.10"), Ports: []lb.Port{{Name: "dns", Protocol: 17, Port: 53}}}
//	slice := lb.Slice{
//		Ports:     []lb.Port{{Name: "dns", Protocol: 17, Port: 5353}},
//		Endpoints: []lb.Endpoint{{Address: addr("10.244.1.7"), Ready: true, Serving: true, Node: "n1"}},
//	}
//	lb.Frontends(svc, []lb.Slice{slice}, lb.Place{Node: "n1"}) // 10.96.0.10:53/17 -> 10.244.1.7:5353
package lb

import (
	"cmp"
	"net/netip"
	"slices"
)

// Service is what of a Service decides how it is translated.
type Service struct {
	Addresses []netip.Addr // to translate, of any family
	Ports     []Port
	Local     bool // only endpoints of this node (internalTrafficPolicy: Local)
	Hints     bool // hints of endpoints count, unless Local
}

// Port is a named port of a Service or of a Slice.
type Port struct {
	Name     string // "" is a name too: that of the only port
	Protocol uint8  // IP protocol number
	Port     uint16 // 0 in a Slice: not resolved, serves nothing
}

// Slice is a group of endpoints that listen on the same ports.
type Slice struct {
	Ports     []Port
	Endpoints []Endpoint
}

// Endpoint is one place that may serve.
type Endpoint struct {
	Address     netip.Addr
	Node        string // "" if it is no pod
	Ready       bool
	Serving     bool
	Terminating bool
	Hints
}

// Frontend is an address and port that is translated.
type Frontend struct {
	Address  netip.Addr
	Port     uint16
	Protocol uint8
	Backends []Backend
}

// Backend is one place that a Frontend translates to.
type Backend struct {
	Address     netip.Addr
	Port        uint16
	Terminating bool // keeps its connections, takes no new ones
	Far         bool // the same: others are nearer
}

// Takes tells whether it takes new connections.
func (b Backend) Takes() bool { return !b.Terminating && !b.Far }

func (b Backend) String() string {
	text := netip.AddrPortFrom(b.Address, b.Port).String()
	if b.Terminating {
		text += "(terminating)"
	}
	if b.Far {
		text += "(far)"
	}
	return text
}

// Frontends gives every address and port of a Service with the backends that the slices name, as they are seen from here.
func Frontends(s Service, of []Slice, here Place) []Frontend {
	var out []Frontend
	for _, address := range s.Addresses {
		for _, p := range s.Ports {
			f := Frontend{Address: address, Port: p.Port, Protocol: p.Protocol}
			ready, leaving := serving(p, address.Is4(), of, func(e *Endpoint) bool { return !s.Local || e.Node == here.Node })
			near := everywhere
			if s.Hints && !s.Local {
				near = nearest(ready, here)
			}
			f.Backends = backends(ready, leaving, near)
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Frontend) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return slices.CompactFunc(out, func(a, b Frontend) bool {
		return a.Address == b.Address && a.Port == b.Port && a.Protocol == b.Protocol
	})
}

// candidate is an endpoint, and the port that it serves at.
type candidate struct {
	*Endpoint
	port uint16
}

// serving lists who may serve one port in one family: endpoints that are ready, and those that terminate but still serve.
func serving(p Port, ipv4 bool, of []Slice, may func(*Endpoint) bool) (ready, leaving []candidate) {
	for _, s := range of {
		for _, sp := range s.Ports {
			if sp.Name != p.Name || sp.Protocol != p.Protocol || sp.Port == 0 {
				continue
			}
			for i := range s.Endpoints {
				e := &s.Endpoints[i]
				switch {
				case !e.Address.IsValid() || e.Address.Is4() != ipv4 || !may(e):
				case e.Ready:
					ready = append(ready, candidate{e, sp.Port})
				case e.Serving && e.Terminating:
					leaving = append(leaving, candidate{e, sp.Port})
				}
			}
		}
	}
	return ready, leaving
}

// backends are those of one frontend. Endpoints that terminate get new connections only where none is ready, wherever that one is.
func backends(ready, leaving []candidate, near func(*Endpoint) bool) []Backend {
	if len(ready)+len(leaving) == 0 {
		return nil
	}
	list := make([]Backend, 0, len(ready)+len(leaving)) // no more: most of an agent's memory is such lists
	for _, c := range ready {
		list = append(list, Backend{Address: c.Address, Port: c.port, Far: !near(c.Endpoint)})
	}
	for _, c := range leaving {
		list = append(list, Backend{Address: c.Address, Port: c.port, Terminating: len(ready) > 0})
	}
	return Unique(list)
}

// Unique sorts and keeps one of each address and port. While an endpoint moves from one slice to another it is in both,
// maybe in different conditions: the one that takes connections stays.
func Unique(b []Backend) []Backend {
	last := func(b Backend) int {
		switch {
		case b.Terminating:
			return 2
		case b.Far:
			return 1
		}
		return 0
	}
	slices.SortFunc(b, func(a, b Backend) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port), last(a)-last(b))
	})
	return slices.CompactFunc(b, func(a, b Backend) bool { return a.Address == b.Address && a.Port == b.Port })
}
