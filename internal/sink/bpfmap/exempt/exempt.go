// Package exempt keeps what is open on a node when its first policy comes: rows of connections about which that policy is not
// asked, until they close. A packet of such a connection may write its row at the same moment, so the kernel marks it.
package exempt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/bpf/ktime"
	"weftnet.io/weftnet/internal/sink/bpfmap"
)

// Connection is one of this node itself, or one that its netfilter carries for others: source opened it.
type Connection struct {
	Protocol            uint8
	Source, Destination netip.AddrPort
}

func (c Connection) String() string {
	return fmt.Sprintf("%d %s > %s", c.Protocol, c.Source, c.Destination)
}

// Connections is a loaded datapath: rows of its connections are marked and counted by the kernel, since packets change them
// meanwhile.
type Connections interface {
	bpfmap.Maps
	Mark(what abi.SweepWhat, keys ...abi.CtKey) (int, error)
}

// Open has this node's policy not asked about connections that are open before it has one, until they close.
func Open(m Connections, list []Connection) error {
	var made []abi.CtKey
	var failed error
	for _, c := range list {
		key, fromB := ctKey(c)
		one, err := exempt(m, c.Protocol, key, fromB)
		if err != nil {
			failed = fmt.Errorf("keep what is open on this node: %w", err)
			break
		}
		if one {
			made = append(made, key)
		}
	}
	_, err := m.Mark(abi.SweepMade, made...)
	return errors.Join(failed, err)
}

// exempt marks the row of a connection, or makes one. A packet may be faster, or the row go: then the other is tried again.
func exempt(m Connections, protocol uint8, key abi.CtKey, fromB bool) (made bool, err error) {
	connections := m.Map("connections")
	now := time.Duration(ktime.Now())
	v := abi.Ct{Flags: abi.CtStack | abi.CtReplied | abi.CtOpen | abi.CtExempt, Expires: uint64(now + abi.CtTcpOpenSeconds*time.Second)}
	if protocol != unix.IPPROTO_TCP {
		v.Expires = uint64(now + abi.CtDatagramSeconds*time.Second)
	}
	if fromB {
		v.Flags |= abi.CtFromB
	}
	const tries = 3
	for range tries {
		err := connections.Update(key, v, ebpf.UpdateNoExist)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, ebpf.ErrKeyExist) {
			return false, bpfmap.Full("connections", err)
		}
		if n, err := m.Mark(abi.SweepExempt, key); n > 0 || err != nil {
			return false, err
		}
	}
	return false, nil // it comes and goes: it was not open
}

// ctKey is what ct_key_of of bpf/lib/ct.h makes of a packet of c: the end that compares lower comes first.
func ctKey(c Connection) (k abi.CtKey, fromB bool) {
	a, b := abi.From(c.Source.Addr()), abi.From(c.Destination.Addr())
	ap, bp := abi.Port(c.Source.Port()), abi.Port(c.Destination.Port())
	if fromB = !lower(a, b, ap, bp); fromB {
		a, b, ap, bp = b, a, bp, ap
	}
	return abi.CtKey{A: a, B: b, APort: ap, BPort: bp, Protocol: c.Protocol, Net: abi.NetPods}, fromB
}

// lower is addr_less of bpf/lib/addr.h.
func lower(a, b abi.Addr, ap, bp abi.BePort) bool {
	for _, at := range []int{8, 0} {
		x, y := binary.NativeEndian.Uint64(a[at:]), binary.NativeEndian.Uint64(b[at:])
		if x != y {
			return x < y
		}
	}
	return binary.NativeEndian.Uint16(ap[:]) <= binary.NativeEndian.Uint16(bp[:])
}
