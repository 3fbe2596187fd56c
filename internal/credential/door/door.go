// Package door bounds what those take who have not shown yet who they are: connections, what is in them at a time, and how long a handshake may last.
//
// # The world it models
//
//	listener -> door: so many connections at a time, and of one address so many -> handshake, token, request
//
// A server knows a client only once it has shown a certificate or a token, and any pod reaches a port of a node. Each connection costs a server
// some 50 kB before that, so what bounds their number bounds its memory.
//
// # Invariants
//
//   - A connection that finds no room is closed at once. It does not wait: who holds all places would hold up those that wait, too.
//   - One address has a part of the places at most: another client is let in however many connections an attacker opens. Addresses of IPv6
//     with the same first 64 bits are one.
//   - A place is free again as its connection is closed, however often that is done.
//
// # Example
//
//	l = door.New(l, door.Clients)
//	server := grpc.NewServer(door.Bounds()...)
package door

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Places are how many connections are let in at a time: all together, and of one address.
type Places struct{ All, Each int }

// Places of ports. Who comes by a forwarded port has the address 127.0.0.1, or that of the node.
var (
	Clients = Places{All: 1024, Each: 256} // of flows
	Scrapes = Places{All: 64, Each: 8}     // of metrics, and of probes
)

// New lets connections of a listener in.
func New(l net.Listener, p Places) net.Listener {
	return &door{Listener: l, places: p, each: map[netip.Prefix]int{}}
}

type door struct {
	net.Listener
	places Places

	mu   sync.Mutex
	all  int
	each map[netip.Prefix]int // none is 0
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := Whose(c.RemoteAddr())
		if d.enter(from) {
			return &guest{Conn: c, leave: sync.OnceFunc(func() { d.leave(from) })}, nil
		}
		_ = c.Close()
	}
}

func (d *door) enter(from netip.Prefix) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all >= d.places.All || d.each[from] >= d.places.Each {
		return false
	}
	d.all++
	d.each[from]++
	return true
}

func (d *door) leave(from netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all--
	if d.each[from]--; d.each[from] == 0 {
		delete(d.each, from)
	}
}

// Whose is the client that an address stands for. What is no address of IP is one.
func Whose(a net.Addr) netip.Prefix {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := t.AddrPort().Addr().Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}

// guest is a connection that was let in.
type guest struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}

// Bounds of a server of gRPC.
const (
	streams   = 1024      // of a connection: a relay asks an agent for each of its clients
	request   = 256 << 10 // bytes; filters may have 64 KiB
	handshake = 10 * time.Second
)

// Bounds are those of a server of gRPC which is asked for flows: gRPC's own are none, 4 MiB for a request that is read before anyone looks at
// its token, and two minutes.
func Bounds() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxConcurrentStreams(streams), grpc.MaxRecvMsgSize(request), grpc.ConnectionTimeout(handshake), grpc.MaxHeaderListSize(64 << 10),
	}
}
