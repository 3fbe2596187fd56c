package bpfmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Connection is one of this node itself, or one that its netfilter carries for others: source opened it.
type Connection struct {
	Protocol            uint8
	Source, Destination netip.AddrPort
}

func (c Connection) String() string {
	return fmt.Sprintf("%d %s > %s", c.Protocol, c.Source, c.Destination)
}

// HostConnections lists the connections that this node has, as its sockets and its netfilter tell. A kernel that cannot
// tell of some is no error as long as it tells of others.
func HostConnections() ([]Connection, error) {
	var (
		list []Connection
		errs []error
	)
	add := func(protocol uint8, from, to netip.AddrPort) {
		if from.Addr().IsValid() && to.Addr().IsValid() && from.Port() != 0 && to.Port() != 0 && !from.Addr().IsLoopback() {
			list = append(list, Connection{protocol, from, to})
		}
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for protocol, ask := range map[uint8]func(uint8) ([]*netlink.Socket, error){unix.IPPROTO_TCP: netlink.SocketDiagTCP, unix.IPPROTO_UDP: netlink.SocketDiagUDP} {
			sockets, err := ask(family)
			errs = append(errs, err)
			for _, s := range sockets {
				add(protocol, end(s.ID.Source, s.ID.SourcePort), end(s.ID.Destination, s.ID.DestinationPort))
			}
		}
		flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, netlink.InetFamily(family))
		errs = append(errs, err)
		for _, f := range flows {
			// As its packets look where they enter from the network, and where its answers leave to it.
			for _, t := range []netlink.IPTuple{f.Forward, f.Reverse} {
				add(t.Protocol, end(t.SrcIP, t.SrcPort), end(t.DstIP, t.DstPort))
			}
		}
	}
	if err := errors.Join(errs...); err != nil && len(list) == 0 {
		return nil, fmt.Errorf("list the connections of this node: %w", err)
	}
	return list, nil
}

func end(ip []byte, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}

// Exempt has this node's policy not asked about connections that are open before it has one, until they close.
func Exempt(m Maps, list []Connection) error {
	connections := m.Map("connections")
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // fails for unknown clocks alone
	var made int64
	for _, c := range list {
		key, fromB := ctKey(c)
		v := abi.Ct{Flags: abi.CtStack | abi.CtReplied, Expires: uint64(now.Nano() + int64(6*time.Hour))}
		if c.Protocol != unix.IPPROTO_TCP {
			v.Expires = uint64(now.Nano() + int64(2*time.Minute))
		}
		if fromB {
			v.Flags |= abi.CtFromB
		}
		known := connections.Lookup(key, &v) == nil
		v.Flags |= abi.CtExempt
		how := ebpf.UpdateNoExist
		if known {
			how = ebpf.UpdateExist
		}
		err := connections.Update(key, v, how)
		switch {
		case isFull(err):
			return fmt.Errorf("keep what is open on this node: %w", full("connections", err))
		case err == nil && !known:
			made++
		}
	}
	return addShare(m, made)
}

// addShare counts them to those that belong to no workload.
func addShare(m Maps, made int64) error {
	var nobody uint32
	var share abi.Share
	shares := m.Map("shares")
	if err := shares.Lookup(nobody, &share); err != nil && !missing(err) {
		return fmt.Errorf("read map shares: %w", err)
	}
	share.Held[abi.SharedConnections] += made
	if err := shares.Put(nobody, share); err != nil {
		return fmt.Errorf("write map shares: %w", err)
	}
	return nil
}

// ctKey is what ct_key_of of bpf/lib/ct.h makes of a packet of c: the end that compares lower comes first.
func ctKey(c Connection) (k abi.CtKey, fromB bool) {
	a, b := abi.From(c.Source.Addr()), abi.From(c.Destination.Addr())
	ap, bp := abi.Port(c.Source.Port()), abi.Port(c.Destination.Port())
	if fromB = !lower(a, b, ap, bp); fromB {
		a, b, ap, bp = b, a, bp, ap
	}
	return abi.CtKey{A: a, B: b, APort: ap, BPort: bp, Protocol: c.Protocol}, fromB
}

// lower is addr_less of bpf/lib/ct.h.
func lower(a, b abi.Addr, ap, bp abi.BePort) bool {
	for _, at := range []int{8, 0} {
		x, y := binary.NativeEndian.Uint64(a[at:]), binary.NativeEndian.Uint64(b[at:])
		if x != y {
			return x < y
		}
	}
	return binary.NativeEndian.Uint16(ap[:]) <= binary.NativeEndian.Uint16(bp[:])
}
