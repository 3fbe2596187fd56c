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
//   - An IPv6 address that stands for an IPv4 one is that.
//   - What a socket calls by the backend's own address is no concern of this package: it hears of sockets that were led alone.
//
// # Example
//
//	var o orphan.Offers
//	backends := []orphan.Backend{{At: netip.MustParseAddrPort("10.244.1.7:5353"), Protocol: 17}}
//	o.Put(nil, backends)                     // of a frontend
//	lost := o.Put(backends, nil)             // true: 10.244.1.7:5353 is offered no more
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
type Offers struct{ times map[offer]uint32 } // number of frontends that have it

// offer is a backend in the least room: there are a hundred thousand.
type offer struct {
	addr     [16]byte
	port     uint16
	protocol uint8
}

func offerOf(b Backend) offer { return offer{b.At.Addr().As16(), b.At.Port(), b.Protocol} }

// Put says which backends a frontend had, as it was put last, and which it has now, and tells whether one is offered no more.
func (o *Offers) Put(had, has []Backend) (lost bool) {
	if o.times == nil {
		o.times = map[offer]uint32{}
	}
	for _, b := range has {
		o.times[offerOf(b)]++
	}
	for _, b := range had {
		at := offerOf(b)
		if o.times[at]--; o.times[at] == 0 {
			delete(o.times, at)
			lost = true
		}
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
			if o.times[offerOf(b)] == 0 {
				list = append(list, Socket{s.Cookie, b})
			}
		}
	}
	return list
}
