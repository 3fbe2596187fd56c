// Package orphan finds sockets that speak with a backend that the service which they called does not offer any more.
//
// # The world it models
//
// A process called a service, and a program at its socket led the call to a backend: from then on the socket has the backend's address, and
// nothing on the way knows of the service. When that backend goes, packets of the socket go nowhere. Of TCP the process hears of it after
// some minutes, of UDP never. So such a socket is to be ended: its process sees an error, calls the service again, and is led elsewhere.
//
// A service offers a backend while its frontend has it, one that terminates and takes no new connections included. That another service still
// offers the backend does not count: who takes it out of a service wants it to get no more of its calls.
//
// # Invariants
//
//   - An IPv6 address that stands for an IPv4 one is that.
//   - What a socket calls by the backend's own address is no concern of this package: it hears of sockets that were led alone.
//
// # Example
//
//	had := []orphan.Backend{{At: netip.MustParseAddrPort("10.244.1.7:5353"), Protocol: 17}}
//	orphan.Lost(had, nil)                    // true: a frontend has let go of one
//	orphan.Of(sockets, offers, 17)           // those that speak with it, and called that frontend
package orphan

import (
	"net/netip"
	"slices"
)

// Backend is a place that serves a service.
type Backend struct {
	At       netip.AddrPort
	Protocol uint8
}

// Socket is one that speaks with a backend.
type Socket struct {
	Cookie  uint64  // the kernel's number of the socket, never used twice
	Backend Backend // Protocol 0: not known
}

// Led is what the kernel remembers of a socket that was led to a backend.
type Led struct {
	Socket
	Service netip.AddrPort // what its process has called
}

// Lost tells whether a frontend had a backend that it has not.
func Lost(had, has []Backend) bool {
	return slices.ContainsFunc(had, func(b Backend) bool { return !slices.Contains(has, b) })
}

// Of are those of some sockets that speak with a backend that the service which they called does not offer. One whose protocol is not known
// speaks that of which the backend is not offered: with both it is there twice, since no other of that number is.
func Of(sockets []Led, offers func(service netip.AddrPort, b Backend) bool, protocols ...uint8) (list []Socket) {
	for _, s := range sockets {
		for _, p := range protocols {
			if s.Backend.Protocol != 0 && s.Backend.Protocol != p {
				continue
			}
			if b := (Backend{plain(s.Backend.At), p}); !offers(plain(s.Service), b) {
				list = append(list, Socket{s.Cookie, Backend{s.Backend.At, p}})
			}
		}
	}
	return list
}

func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
