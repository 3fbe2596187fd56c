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

// IPCache keeps the maps of single addresses and of prefixes equal to table ipcache.
type IPCache struct {
	addresses *ebpf.Map
	prefixes  *ebpf.Map
	revisions *Revisions
}

// NewIPCache works on the maps of a loaded datapath.
func NewIPCache(m Maps, r *Revisions) *IPCache {
	return &IPCache{addresses: m.Map("ipcache"), prefixes: m.Map("prefixes"), revisions: r}
}

// Dump reads both maps.
func (c *IPCache) Dump(context.Context) (iter.Seq2[state.Key, table.IPCacheRow], error) {
	var rows []table.IPCacheRow
	var value abi.Ipcache
	var key abi.IpcacheKey
	each := c.addresses.Iterate()
	for each.Next(&key, &value) {
		a := key.Addr.IP()
		rows = append(rows, ipcacheRow(key.Net, netip.PrefixFrom(a, a.BitLen()), value))
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map ipcache: %w", err)
	}
	var prefix abi.PrefixKey
	each = c.prefixes.Iterate()
	for each.Next(&prefix, &value) {
		rows = append(rows, ipcacheRow(prefix.Net, unmapPrefix(prefix.Addr, int(prefix.Bits)-32), value))
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map prefixes: %w", err)
	}
	return func(yield func(state.Key, table.IPCacheRow) bool) {
		for _, r := range rows {
			if !yield(state.Join(r.Network, r.Prefix), r) {
				return
			}
		}
	}, nil
}

// Set writes rows. Verdicts about an address and paths to it are asked again where its row has changed.
func (c *IPCache) Set(_ context.Context, rows []table.IPCacheRow) error {
	var errs []error
	var changed []abi.IpcacheKey
	all := false
	for _, r := range rows {
		value := ipcacheValue(r)
		var old abi.Ipcache
		if r.Prefix.IsSingleIP() {
			key := addressKey(r)
			known := c.addresses.Lookup(key, &old) == nil && old == value
			if err := c.addresses.Put(key, value); err != nil {
				errs = append(errs, fail(r, Full("ipcache", err)))
			} else if !known {
				changed = append(changed, key)
			}
			continue
		}
		key := prefixKey(r)
		known := c.prefixes.Lookup(key, &old) == nil && old == value
		if err := c.prefixes.Put(key, value); err != nil {
			errs = append(errs, fail(r, Full("prefixes", err)))
		} else if !known {
			all = true
		}
	}
	return errors.Join(append(errs, c.bump(changed, all))...)
}

// Unset removes rows.
func (c *IPCache) Unset(_ context.Context, rows []table.IPCacheRow) error {
	var errs []error
	var changed []abi.IpcacheKey
	all := false
	for _, r := range rows {
		var err error
		if r.Prefix.IsSingleIP() {
			err = c.addresses.Delete(addressKey(r))
			changed = append(changed, addressKey(r))
		} else {
			err = c.prefixes.Delete(prefixKey(r))
			all = true
		}
		if err != nil && !missing(err) {
			errs = append(errs, fail(r, err))
		}
	}
	return errors.Join(append(errs, c.bump(changed, all))...)
}

func (c *IPCache) bump(changed []abi.IpcacheKey, all bool) error {
	switch {
	case all:
		return c.revisions.Peers(nil)
	case len(changed) > 0:
		return c.revisions.Peers(changed)
	}
	return nil
}

func fail(r table.IPCacheRow, err error) error {
	return &reconcile.RowError{Key: state.Join(r.Network, r.Prefix), Err: err}
}

// Full explains the one error that an operator can do something about.
func Full(name string, err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("map %s is full: raise its size in the configuration: %w", name, err)
	}
	return err
}

func addressKey(r table.IPCacheRow) abi.IpcacheKey {
	return abi.IpcacheKey{Addr: abi.From(r.Prefix.Addr()), Net: r.Network}
}

func prefixKey(r table.IPCacheRow) abi.PrefixKey {
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

func ipcacheValue(r table.IPCacheRow) abi.Ipcache {
	return abi.Ipcache{Identity: uint32(r.Identity), Ifindex: r.Ifindex, Flags: abi.IpcacheFlag(r.Flags), Mac: r.MAC, Tunnel: abi.From(r.Tunnel)}
}

func ipcacheRow(net uint32, prefix netip.Prefix, v abi.Ipcache) table.IPCacheRow {
	return table.IPCacheRow{
		Network: net, Prefix: prefix, Identity: identity.Number(v.Identity), Ifindex: v.Ifindex,
		Flags: table.IPCacheFlag(v.Flags), Tunnel: v.Tunnel.IP(), MAC: v.Mac,
	}
}
