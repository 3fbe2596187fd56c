// Package orphan finds sockets that speak with a backend that no service offers any more.
//
// # The world it models
//
// A process called a service, and a program at its socket led the call to a backend: from then on the socket has the backend's address, and
// nothing on the way knows of the service. When that backend goes, packets of the socket go nowhere. Of TCP the process hears of it after
// some minutes, of UDP never. So such a socket is to be ended: its process sees an error, calls the service again, and is led elsewhere.
//
// A backend is offered while any frontend has it, one that terminates and takes no new connections included. Which frontend the
// socket called does not count: a backend that another service still offers is alive.
//
// # Invariants
//
//   - Offers are a function of the rows that are there, whatever the order in which they came and went.
//   - What a socket calls by the backend's own address is no concern of this package: it hears of sockets that were led alone.
//
// # Example
//
//	var o orphan.Offers
//	o.Put("10.96.0.80:53", []orphan.Backend{{At: netip.MustParseAddrPort("10.244.1.7:5353"), Protocol: 17}})
//	lost := o.Put("10.96.0.80:53", nil)      // true: 10.244.1.7:5353 is offered no more
//	o.Orphans(sockets)                       // those that speak with it
package orphan

import "net/netip"

// Backend is a place that serves a service.
type Backend struct {
	At       netip.AddrPort
	Protocol uint8
}

// Socket is what the kernel remembers of a socket that was led to a backend.
type Socket struct {
	Cookie  uint64  // the kernel's number of the socket, never used twice
	Backend Backend // Protocol 0: not known
}

// Offers are the backends that frontends have. The zero value has none.
type Offers struct {
	of    map[string][]Backend
	times map[Backend]int // number of frontends that have it
}

// Put says which backends a frontend has now, and tells whether one is offered no more.
func (o *Offers) Put(frontend string, backends []Backend) (lost bool) {
	if o.of == nil {
		o.of, o.times = map[string][]Backend{}, map[Backend]int{}
	}
	before := o.of[frontend]
	for _, b := range backends {
		o.times[b]++
	}
	for _, b := range before {
		if o.times[b]--; o.times[b] == 0 {
			delete(o.times, b)
			lost = true
		}
	}
	if o.of[frontend] = backends; len(backends) == 0 {
		delete(o.of, frontend)
	}
	return lost
}

// Orphans are those of some sockets that speak with a backend that is not offered. One whose protocol is not known speaks that of which
// the backend is not offered: with both it is there twice, since no other of that number is.
func (o *Offers) Orphans(sockets []Socket, protocols ...uint8) (list []Socket) {
	for _, s := range sockets {
		for _, p := range protocols {
			if s.Backend.Protocol != 0 && s.Backend.Protocol != p {
				continue
			}
			b := Backend{At: s.Backend.At, Protocol: p}
			if o.times[b] == 0 {
				list = append(list, Socket{s.Cookie, b})
			}
		}
	}
	return list
}
