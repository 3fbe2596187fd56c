// Package conflict asks on a wire whether an address is taken, before a NIC has it.
//
// # The world it models
//
//	who wants 10.100.0.7     -> to all: who has 10.100.0.7? (from 0.0.0.0, or ::)
//	the machine that has it  -> 02:00:00:00:00:aa has it                                     Found
//	another that wants it    -> to all: who has 10.100.0.7? (from 0.0.0.0)                    Found
//	silence                                                                                 it is free
//
// Silence after 20 ms is what most networks can afford for each pod that starts (Once). Who has machines that answer late lets it be asked as RFC 5227 has
// it (Whole), which takes four to seven seconds.
//
// # Invariants
//
//   - What was on the wire before the wait is over is heard, however late this process gets to it, as far as the socket's buffer holds it, and 4,096
//     frames of it. Only ARP and neighbour discovery take room in it. A flood of these can hide an answer; it cannot hold a NIC up.
//   - An answer is a stranger's word: it keeps an address from being used, and does nothing else.
//
// Sources: RFC 5227 1.1 (times) and 2.1; RFC 4862 5.4 for IPv6.
//
// # Example
//
//	found, err := conflict.Probe(ctx, conflict.Device{Index: 3, MAC: mac}, addresses, conflict.Once)
//	if found != nil { … found.MAC … }
package conflict

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/sink/link/wire"
)

// Mode says how thoroughly is asked.
type Mode string

// Modes, as the key network-conflict-detection has them.
const (
	Off   Mode = "off"
	Once  Mode = "probe"
	Whole Mode = "rfc5227"
)

// Device is where the wire begins, in the current network namespace.
type Device struct {
	Index int
	MAC   net.HardwareAddr
}

// Found is an address that is taken.
type Found struct {
	Address netip.Addr
	MAC     net.HardwareAddr // of the machine that says so
}

// Error says that an address is taken.
type Error struct {
	Found
	Wire string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s is in use on %s: the machine with the MAC address %s answers for it; give the pod another one (ips in its annotation), or take it from that machine", e.Address, e.Wire, e.MAC)
}

// times of RFC 5227 1.1.
const (
	once   = 20 * time.Millisecond
	probes = 3
	least  = time.Second     // between two probes; at most twice as long
	settle = 2 * time.Second // after the last
)

// pauses after each probe; the first of all is before.
func pauses(m Mode) (before time.Duration, after []time.Duration) {
	if m != Whole {
		return 0, []time.Duration{once}
	}
	for range probes - 1 {
		after = append(after, least+rand.N(least))
	}
	return rand.N(least), append(after, settle)
}

// Probe asks for addresses, all at once, and gives the first that is taken; nil: none.
func Probe(ctx context.Context, d Device, addresses []netip.Addr, mode Mode) (*Found, error) {
	if mode == Off || len(addresses) == 0 {
		return nil, nil
	}
	type result struct {
		found *Found
		err   error
	}
	results, families := make(chan result, 2), 0
	for _, v4 := range []bool{true, false} {
		of := slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return a.Is4() != v4 })
		if len(of) == 0 {
			continue
		}
		s, err := open(d, v4) // before the goroutine, which is in any namespace
		families++
		go func() {
			if err != nil {
				results <- result{nil, err}
				return
			}
			defer s.Close()
			found, err := ask(ctx, s, d, of, mode)
			results <- result{found, err}
		}()
	}
	var first *Found
	var errs []error
	for range families {
		r := <-results
		if first == nil {
			first = r.found
		}
		errs = append(errs, r.err)
	}
	return first, errors.Join(errs...)
}

// open opens a socket that hears what is said of addresses of a family.
func open(d Device, v4 bool) (*wire.Socket, error) {
	if v4 {
		return wire.Open(d.Index, wire.ARP, wire.All())
	}
	s, err := wire.Open(d.Index, wire.IPv6, wire.Neighbors())
	if err != nil {
		return nil, err
	}
	if err := s.Join(d.Index, wire.AllNodes); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Announce tells the wire of IPv4 addresses that a device has now, and again in two seconds (RFC 5227 2.3). What is lost others find out by asking.
func Announce(d Device, addresses []netip.Addr) {
	s, err := wire.Open(d.Index, wire.ARP, wire.All())
	if err != nil {
		return
	}
	tell := func() {
		for _, a := range addresses {
			if a.Is4() {
				_, _ = s.Write(wire.Announcement(d.MAC, a))
			}
		}
	}
	tell()
	time.AfterFunc(settle, func() { tell(); s.Close() })
}

func ask(ctx context.Context, s *wire.Socket, d Device, addresses []netip.Addr, mode Mode) (*Found, error) {
	before, after := pauses(mode)
	if found, err := listen(ctx, s, d, addresses, before); found != nil || err != nil {
		return found, err
	}
	for _, pause := range after {
		for _, a := range addresses {
			if _, err := s.Write(wire.Probe(d.MAC, a)); err != nil {
				return nil, fmt.Errorf("ask for %s: %w", a, err)
			}
		}
		if found, err := listen(ctx, s, d, addresses, pause); found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// listen hears what is said of addresses for a while, and then what has come meanwhile.
func listen(ctx context.Context, s *wire.Socket, d Device, addresses []netip.Addr, pause time.Duration) (*Found, error) {
	if pause == 0 {
		return nil, nil
	}
	end := time.Now().Add(pause)
	if err := s.SetReadDeadline(end); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.SetReadDeadline(time.Now()) })
	defer stop()
	for {
		frame, err := s.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("hear who has an address: %w", err)
		}
		if found := claims(frame, d, addresses); found != nil {
			return found, nil
		}
	}
	return rest(ctx, s.Waiting, d, addresses)
}

// most is how many frames are looked at after a wait. A socket's buffer of the usual 208 KiB holds fewer; with a larger one, or a flood that fills it
// as fast as it is read, there would be no end.
const most = 4096

// rest hears what has come already.
func rest(ctx context.Context, waiting func() ([]byte, error), d Device, addresses []netip.Addr) (*Found, error) {
	for range most {
		if ctx.Err() != nil {
			break
		}
		frame, err := waiting()
		if err != nil {
			return nil, fmt.Errorf("hear who has an address: %w", err)
		}
		if frame == nil {
			break
		}
		if found := claims(frame, d, addresses); found != nil {
			return found, nil
		}
	}
	return nil, ctx.Err()
}

func claims(frame []byte, d Device, addresses []netip.Addr) *Found {
	c, ok := wire.ReadClaim(frame)
	if !ok || slices.Equal(c.MAC, d.MAC) || !slices.Contains(addresses, c.Address) {
		return nil
	}
	return &Found{Address: c.Address, MAC: slices.Clone(c.MAC)}
}
