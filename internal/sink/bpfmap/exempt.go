package bpfmap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/bpf/ktime"
)

// Connection is one of this node itself, or one that its netfilter carries for others: source opened it.
type Connection struct {
	Protocol            uint8
	Source, Destination netip.AddrPort
}

func (c Connection) String() string {
	return fmt.Sprintf("%d %s > %s", c.Protocol, c.Source, c.Destination)
}

// Exempt has this node's policy not asked about connections that are open before it has one, until they close.
func Exempt(m Maps, list []Connection) error {
	connections := m.Map("connections")
	now := time.Duration(ktime.Now())
	var made int64
	for _, c := range list {
		key, fromB := ctKey(c)
		v := abi.Ct{Flags: abi.CtStack | abi.CtReplied | abi.CtOpen, Expires: uint64(now + abi.CtTcpOpenSeconds*time.Second)}
		if c.Protocol != unix.IPPROTO_TCP {
			v.Expires = uint64(now + abi.CtDatagramSeconds*time.Second)
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
	return addQuota(m, made)
}

// addQuota counts them to those that belong to no workload, and to what all hold.
func addQuota(m Maps, made int64) error {
	quotas := m.Map("quota")
	for _, owner := range []uint32{0, abi.OwnerAll} {
		var quota abi.Quota
		if err := quotas.Lookup(owner, &quota); err != nil && !missing(err) {
			return fmt.Errorf("read map quota: %w", err)
		}
		quota.Held[abi.QuotaConnections] += made
		if err := quotas.Put(owner, quota); err != nil {
			return fmt.Errorf("write map quota: %w", err)
		}
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
