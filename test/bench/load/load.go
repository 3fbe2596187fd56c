// Package load is what a client and a server do with each other while they are measured.
//
// # The world it models
//
// A client and a server in two network namespaces, each on a thread and a CPU of its own:
//
//	Stream        one TCP connection, as many bytes as go           Gbit/s
//	Transactions  one TCP connection, a byte there and one back     per second
//	Connections   connect, a byte there, one back, close            per second
//	Datagrams     UDP, one byte each, as many as arrive             per second
//	Queries       UDP from a new socket: a byte there, one back     per second
//
// # Invariants
//
//   - The same code runs for every way between the two, so ways can be compared.
//   - IPv4: the ways compared have no IPv6 each.
//
// # Example
//
//	rate, err := load.Transactions(load.Way{Client: a, Server: b}, time.Second)
package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/nettest/netns"
)

const (
	chunk   = 256 << 10 // bytes per write of a stream
	control = "cubic"   // congestion control: Linux' own default. One that paces (BBR) measures its model of the way, not the way
	between = 16        // transactions between looks at the clock
	last    = 0xff      // what a client says last of all
)

// Port is where servers listen that are called by a service.
const Port = 8080

// Way leads from a client to a server.
type Way struct {
	Client, Server *netns.Station
	Service        netip.AddrPort // called instead of the server itself, and leads to its Port; zero: the server itself
	Among          int            // each call is of one of so many services at addresses from Service on, in an order without pattern; 0: of Service

	// Of Connections, the client ends each, and its port rests; else the server's does. Where many services lead to one server that ends
	// first, a port that rests there meets calls by another service: their SYN is lost, and what is measured is how often.
	ClientEnds bool
}

// targets gives where each call goes.
func (w Way) targets(to netip.AddrPort) func() *unix.RawSockaddrInet4 {
	one := target(to)
	if w.Among == 0 || !w.Service.IsValid() {
		return func() *unix.RawSockaddrInet4 { return one }
	}
	first, random := binary.BigEndian.Uint32(one.Addr[:]), rand.New(rand.NewPCG(1, uint64(w.Among)))
	return func() *unix.RawSockaddrInet4 {
		binary.BigEndian.PutUint32(one.Addr[:], first+random.Uint32N(uint32(w.Among)))
		return one
	}
}

func (w Way) port() int {
	if w.Service.IsValid() {
		return Port
	}
	return 0
}

// listen opens the server's socket and tells where the client finds it.
func (w Way) listen() (l *net.TCPListener, to netip.AddrPort, err error) {
	err = w.Server.Do(func() error {
		l, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: w.Server.Addresses[0].AsSlice(), Port: w.port()})
		return err
	})
	if err != nil {
		return nil, to, err
	}
	if w.Service.IsValid() {
		return l, w.Service, nil
	}
	return l, l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// ends of a connection, as blocking sockets: what is measured is the kernel, not Go's scheduler.
type connection struct{ client, server *os.File }

func connect(w Way) (c connection, err error) {
	l, to, err := w.listen()
	if err != nil {
		return c, err
	}
	defer l.Close()
	var from *net.TCPConn
	err = w.Client.Do(func() error {
		from, err = net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		return c, err
	}
	defer from.Close()
	there, err := l.AcceptTCP()
	if err != nil {
		return c, err
	}
	defer there.Close()
	var err1, err2 error
	c.client, err1 = from.File()
	c.server, err2 = there.File()
	if err := errors.Join(err1, err2); err != nil {
		return c, err
	}
	if err := unix.SetsockoptString(int(c.client.Fd()), unix.IPPROTO_TCP, unix.TCP_CONGESTION, control); err != nil {
		return c, fmt.Errorf("set congestion control %s: %w", control, err)
	}
	return c, errors.Join(unix.SetNonblock(int(c.client.Fd()), false), unix.SetNonblock(int(c.server.Fd()), false))
}

// run runs both ends, each on a thread and a CPU of its own, until the client has ended its side.
func (c connection) run(client func(fd uintptr) error, server func(fd uintptr) error) error {
	done := make(chan error, 1)
	go func() {
		pin(1)
		done <- server(c.server.Fd())
		c.server.Close()
	}()
	result := make(chan error, 1)
	go func() {
		pin(0)
		err := client(c.client.Fd())
		_ = unix.Shutdown(int(c.client.Fd()), unix.SHUT_WR) // the server sees the end
		result <- err
	}()
	err := errors.Join(<-result, <-done)
	return errors.Join(err, c.client.Close())
}

// Stream sends as much as goes for a while and gives what arrived, in Gbit/s.
func Stream(w Way, d time.Duration) (float64, error) {
	c, err := connect(w)
	if err != nil {
		return 0, err
	}
	var received int64
	var took time.Duration
	err = c.run(func(fd uintptr) error {
		b := make([]byte, chunk)
		for end := time.Now().Add(d); time.Now().Before(end); {
			if _, err := call(syscall.SYS_WRITE, fd, &b[0], len(b)); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
		return nil
	}, func(fd uintptr) error {
		b := make([]byte, chunk)
		began := time.Now()
		for {
			n, err := call(syscall.SYS_READ, fd, &b[0], len(b))
			if err != nil {
				return fmt.Errorf("receive: %w", err)
			}
			if n == 0 {
				took = time.Since(began)
				return nil
			}
			received += int64(n)
		}
	})
	return float64(received) * 8 / took.Seconds() / 1e9, err
}

// Transactions sends a byte there and back on one connection for a while and gives how often per second.
func Transactions(w Way, d time.Duration) (float64, error) {
	c, err := connect(w)
	if err != nil {
		return 0, err
	}
	n := 0
	var took time.Duration
	err = c.run(func(fd uintptr) error {
		b := make([]byte, 1)
		began := time.Now()
		for took < d {
			for range between {
				if _, err := call(syscall.SYS_WRITE, fd, &b[0], 1); err != nil {
					return fmt.Errorf("ask: %w", err)
				}
				if got, err := call(syscall.SYS_READ, fd, &b[0], 1); err != nil || got == 0 {
					return fmt.Errorf("hear the answer: %d bytes, %w", got, err)
				}
			}
			n += between
			took = time.Since(began)
		}
		return nil
	}, func(fd uintptr) error {
		b := make([]byte, 1)
		for {
			got, err := call(syscall.SYS_READ, fd, &b[0], 1)
			if err != nil {
				return fmt.Errorf("hear: %w", err)
			}
			if got == 0 {
				return nil
			}
			if _, err := call(syscall.SYS_WRITE, fd, &b[0], 1); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	})
	return float64(n) / took.Seconds(), err
}

// Connections makes connections, one after the other, with a byte there and one back on each, and gives how many per
// second.
func Connections(w Way, d time.Duration) (float64, error) {
	l, to, err := w.listen()
	if err != nil {
		return 0, err
	}
	if w.ClientEnds {
		return calls(w, d, l, to, acceptAndWait, reachAndEnd)
	}
	return calls(w, d, l, to, accept, reach)
}

// filer is a socket that gives a descriptor of its own away, beside which Go's poller is not to watch it.
type filer interface {
	File() (*os.File, error)
	Close() error
}

// calls asks for a byte, one call after the other, where a server answers each that comes to its socket, and gives how many per second.
func calls(w Way, d time.Duration, server filer, to netip.AddrPort, answer func(uintptr, []byte) (byte, error), ask func(*unix.RawSockaddrInet4, []byte) error) (float64, error) {
	file, err := server.File()
	server.Close()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if err := unix.SetNonblock(int(file.Fd()), false); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() {
		pin(1)
		b := make([]byte, 1)
		for {
			if said, err := answer(file.Fd(), b); err != nil || said == last {
				done <- err
				return
			}
		}
	}()
	n := 0
	var took time.Duration
	err = w.Client.Do(func() (err error) {
		pin(0)
		b, next := make([]byte, 2), w.targets(to)
		if n, took, err = repeat(d, func() error { b[0] = 0; return ask(next(), b) }); err != nil {
			return err
		}
		b[0] = last
		return ask(next(), b)
	})
	if err != nil {
		return 0, err // the server's thread waits on until this process ends, which it does
	}
	return float64(n) / took.Seconds(), <-done
}

// repeat does something for a while and tells how often, and how long that took.
func repeat(d time.Duration, do func() error) (n int, took time.Duration, err error) {
	began := time.Now()
	for took < d {
		for range between {
			if err := do(); err != nil {
				return n, took, err
			}
		}
		n += between
		took = time.Since(began)
	}
	return n, took, nil
}

// Queries asks from one new UDP socket after the other, a byte there and one back, as clients of DNS do, and gives how often per second.
func Queries(w Way, d time.Duration) (float64, error) {
	var server *net.UDPConn
	err := w.Server.Do(func() (err error) {
		server, err = net.ListenUDP("udp4", &net.UDPAddr{IP: w.Server.Addresses[0].AsSlice(), Port: w.port()})
		return err
	})
	if err != nil {
		return 0, err
	}
	to := server.LocalAddr().(*net.UDPAddr).AddrPort()
	if w.Service.IsValid() {
		to = w.Service
	}
	return calls(w, d, server, to, reply, query)
}

// Datagrams sends datagrams of one byte as fast as they go, from one socket to another, and gives how many arrive per
// second.
func Datagrams(w Way, d time.Duration) (float64, error) {
	from, to, err := sockets(w)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	defer to.Close()
	var n int
	var took time.Duration
	var over atomic.Bool
	heard := make(chan error, 1)
	go func() {
		pin(1)
		defer over.Store(true)
		b := make([]byte, 1)
		var began time.Time
		for {
			if _, err := call(syscall.SYS_READ, to.Fd(), &b[0], 1); err != nil {
				heard <- fmt.Errorf("receive: %w", err)
				return
			}
			switch {
			case b[0] == last:
				took = time.Since(began)
				heard <- nil
				return
			case n == 0:
				began = time.Now()
			}
			n++
		}
	}()
	said := make(chan error, 1)
	go func() {
		pin(0)
		b := make([]byte, 1)
		for end := time.Now().Add(d); time.Now().Before(end) && !over.Load(); {
			for range between {
				if _, err := call(syscall.SYS_WRITE, from.Fd(), &b[0], 1); err != nil {
					said <- fmt.Errorf("send: %w", err)
					return
				}
			}
		}
		for b[0] = last; !over.Load(); { // until it is heard: the receiver's buffer may be full
			if _, err := call(syscall.SYS_WRITE, from.Fd(), &b[0], 1); err != nil {
				said <- fmt.Errorf("send: %w", err)
				return
			}
		}
		said <- nil
	}()
	if err := errors.Join(<-said, <-heard); err != nil {
		return 0, err
	}
	return float64(n) / took.Seconds(), nil
}

// sockets are a UDP socket of the client and one of the server, both blocking.
func sockets(w Way) (from, to *os.File, err error) {
	var server, client *net.UDPConn
	err = w.Server.Do(func() error {
		server, err = net.ListenUDP("udp4", &net.UDPAddr{IP: w.Server.Addresses[0].AsSlice(), Port: w.port()})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	defer server.Close()
	address := server.LocalAddr().(*net.UDPAddr).AddrPort()
	if w.Service.IsValid() {
		address = w.Service
	}
	err = w.Client.Do(func() error {
		client, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(address))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	from, err1 := client.File()
	to, err2 := server.File()
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	return from, to, errors.Join(unix.SetNonblock(int(from.Fd()), false), unix.SetNonblock(int(to.Fd()), false))
}
