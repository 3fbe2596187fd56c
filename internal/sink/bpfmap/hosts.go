package bpfmap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Hosts keeps the maps hosts (single addresses) and prefixes equal to table.Hosts.
type Hosts struct {
	hosts     *ebpf.Map
	prefixes  *ebpf.Map
	revisions *Revisions
}

// NewHosts works on the maps of a loaded datapath.
func NewHosts(m Maps, r *Revisions) *Hosts {
	return &Hosts{hosts: m.Map("hosts"), prefixes: m.Map("prefixes"), revisions: r}
}

// Dump reads both maps.
func (h *Hosts) Dump(context.Context) (iter.Seq2[state.Key, table.Host], error) {
	var rows []table.Host
	var value abi.Host
	var key abi.HostKey
	each := h.hosts.Iterate()
	for each.Next(&key, &value) {
		a := key.Addr.IP()
		rows = append(rows, hostRow(key.Net, netip.PrefixFrom(a, a.BitLen()), value))
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map hosts: %w", err)
	}
	var prefix abi.PrefixKey
	each = h.prefixes.Iterate()
	for each.Next(&prefix, &value) {
		rows = append(rows, hostRow(prefix.Net, unmapPrefix(prefix.Addr, int(prefix.Bits)-32), value))
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map prefixes: %w", err)
	}
	return func(yield func(state.Key, table.Host) bool) {
		for _, r := range rows {
			if !yield(state.Join(r.Network, r.Prefix), r) {
				return
			}
		}
	}, nil
}

// Set writes rows and, where an address changed hands, has verdicts about it asked again.
func (h *Hosts) Set(_ context.Context, rows []table.Host) error {
	var errs []error
	var changed []abi.Addr
	all := false
	for _, r := range rows {
		value := hostValue(r)
		var old abi.Host
		if r.Prefix.IsSingleIP() {
			key := hostKey(r)
			known := h.hosts.Lookup(key, &old) == nil
			if err := h.hosts.Put(key, value); err != nil {
				errs = append(errs, fail(r, full("hosts", err)))
			} else if !known || old.Identity != value.Identity {
				changed = append(changed, key.Addr)
			}
			continue
		}
		key := prefixKey(r)
		known := h.prefixes.Lookup(key, &old) == nil && old.Identity == value.Identity
		if err := h.prefixes.Put(key, value); err != nil {
			errs = append(errs, fail(r, full("prefixes", err)))
		} else if !known {
			all = true
		}
	}
	return errors.Join(append(errs, h.bump(changed, all))...)
}

// Unset removes rows.
func (h *Hosts) Unset(_ context.Context, rows []table.Host) error {
	var errs []error
	var changed []abi.Addr
	all := false
	for _, r := range rows {
		var err error
		if r.Prefix.IsSingleIP() {
			err = h.hosts.Delete(hostKey(r))
			changed = append(changed, hostKey(r).Addr)
		} else {
			err = h.prefixes.Delete(prefixKey(r))
			all = true
		}
		if err != nil && !missing(err) {
			errs = append(errs, fail(r, err))
		}
	}
	return errors.Join(append(errs, h.bump(changed, all))...)
}

func (h *Hosts) bump(changed []abi.Addr, all bool) error {
	switch {
	case all:
		return h.revisions.Peers(nil)
	case len(changed) > 0:
		return h.revisions.Peers(changed)
	}
	return nil
}

func fail(r table.Host, err error) error {
	return &reconcile.RowError{Key: state.Join(r.Network, r.Prefix), Err: err}
}

// full explains the one error that an operator can do something about.
func full(name string, err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("map %s is full: raise its size in the configuration: %w", name, err)
	}
	return err
}

func hostKey(r table.Host) abi.HostKey {
	return abi.HostKey{Addr: abi.From(r.Prefix.Addr()), Net: r.Network}
}

func prefixKey(r table.Host) abi.PrefixKey {
	bits, addr := r.Prefix.Bits(), r.Prefix.Masked().Addr()
	if addr.Is4() {
		bits += 96
	}
	key := abi.PrefixKey{Bits: uint32(32 + bits), Net: r.Network}
	key.Addr = addr.As16()
	return key
}

func unmapPrefix(a abi.Addr, bits int) netip.Prefix {
	addr := netip.AddrFrom16(a)
	if addr.Is4In6() && bits >= 96 {
		return netip.PrefixFrom(addr.Unmap(), bits-96)
	}
	return netip.PrefixFrom(addr, bits)
}

func hostValue(r table.Host) abi.Host {
	return abi.Host{Identity: uint32(r.Identity), Ifindex: r.Ifindex, Flags: abi.HostFlag(r.Flags), Tunnel: abi.From(r.Tunnel)}
}

func hostRow(net uint32, prefix netip.Prefix, v abi.Host) table.Host {
	return table.Host{
		Network: net, Prefix: prefix, Identity: identity.Number(v.Identity), Ifindex: v.Ifindex,
		Flags: table.HostFlag(v.Flags), Tunnel: v.Tunnel.IP(),
	}
}
