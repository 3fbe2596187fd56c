// Package lookup reads what the kernel's maps say of services, by the same keys as the programs that translate. It writes nothing.
//
// # The world it models
//
// The agent knows what it has written to the maps of services, and never looks at them again. What programs find there is for
// people who ask: internal/explain/service puts it beside the tables.
//
// # Invariants
//
//   - A key is made here as in bpf/lib/lb.h, of the row of a table.
//   - It may read while the agent writes: what it finds of one frontend may be of two versions of its row. Who asks compares
//     revisions of the row.
//
// # Example
//
//	held, err := lookup.New(datapath).Frontend(row)
//	held.Backends[0].Address // 10.244.1.7:8080
package lookup

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/bpf/ktime"
	"weftnet.io/weftnet/internal/explain/service"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/table"
)

// Maps reads pinned maps by name.
type Maps struct{ named named }

type named interface{ Map(name string) *ebpf.Map }

// New reads these maps; datapath.Datapath has them.
func New(maps named) Maps { return Maps{maps} }

// find looks a key up; false: map name has no such row.
func (m Maps) find(name string, key, value any) (bool, error) {
	err := m.named.Map(name).Lookup(key, value)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read map %s: %w", name, err)
	}
	return true, nil
}

func keyOf(f table.Frontend) abi.ServiceKey {
	return abi.ServiceKey{Addr: abi.From(f.Address), Port: abi.Port(f.Port), Protocol: f.Protocol, Scope: uint8(f.Scope), Net: abi.NetPods}
}

// Frontend is what the kernel has of a row of table frontends.
func (m Maps) Frontend(row table.Frontend) (held service.Held, err error) {
	var v abi.Service
	if found, err := m.find("services", keyOf(row), &v); err != nil || !found {
		return held, err
	}
	held.ID, held.AffinitySeconds, held.Limited = v.Id, v.AffinitySeconds, v.Flags&abi.ServiceSources != 0
	for slot := range v.Count {
		b, err := m.slot(v.Id, slot)
		if err != nil {
			return held, err
		}
		held.Backends = append(held.Backends, b)
	}
	if held.Elements, err = m.elements(v); err != nil {
		return held, err
	}
	idle, err := m.idle(row, held)
	held.Backends = append(held.Backends, idle...)
	return held, err
}

// elements are those of a frontend's table.
func (m Maps) elements(v abi.Service) (ids []uint32, err error) {
	for key := (abi.MaglevKey{Table: v.Table}); uint32(len(ids)) < v.TableSize; key.Part++ {
		var part abi.MaglevPart
		if _, err := m.find("maglev", key, &part); err != nil {
			return nil, err
		}
		ids = append(ids, part.Backend[:min(uint32(len(part.Backend)), v.TableSize-uint32(len(ids)))]...)
	}
	return ids, nil
}

// Place is who lives at an address and how to get there, as programs find it: by map ipcache, else by map prefixes.
func (m Maps) Place(a netip.Addr) (row table.IPCacheRow, found bool, err error) {
	const whole = 32 + 128 // bits of the network's number and of an address
	var v abi.Ipcache
	found, err = m.find("ipcache", abi.IpcacheKey{Addr: abi.From(a), Net: abi.NetPods}, &v)
	if err == nil && !found {
		found, err = m.find("prefixes", abi.PrefixKey{Bits: whole, Net: abi.NetPods, Addr: abi.From(a)}, &v)
	}
	return table.IPCacheRow{
		Identity: identity.Number(v.Identity), Ifindex: v.Ifindex, Flags: table.IPCacheFlag(v.Flags), Tunnel: v.Tunnel.IP(), MAC: v.Mac,
	}, found, err
}

// Kept is the backend that a client has at a service with affinity, and when it called last; 0: none.
func (m Maps) Kept(client netip.Addr, of uint32) (backend uint32, idle time.Duration, err error) {
	var v abi.Affinity
	if found, err := m.find("affinities", abi.AffinityKey{Client: abi.From(client), Service: of, Net: abi.NetPods}, &v); err != nil || !found {
		return 0, 0, err
	}
	return v.Backend, time.Duration(ktime.Now() - int64(v.Used)), nil
}

// Admits tells whether a client may call a service that is limited to some.
func (m Maps) Admits(client netip.Addr, of uint32) (bool, error) {
	var may uint32
	found, err := m.find("service_sources", abi.SourceKey{Bits: abi.SourceBitsFixed + 128, Service: of, Addr: abi.From(client)}, &may)
	return found && may != 0, err
}

// slot is one element of a frontend's list.
func (m Maps) slot(of, number uint32) (service.HeldBackend, error) {
	b := service.HeldBackend{Slot: int(number)}
	found, err := m.find("slots", abi.SlotKey{Service: of, Slot: number}, &b.ID)
	if err != nil || !found {
		return b, err
	}
	if b.Takes, err = m.takes(of, b.ID); err != nil {
		return b, err
	}
	var v abi.Backend
	if found, err = m.find("backends", b.ID, &v); found {
		b.Address, b.Protocol = addressOf(v), uint8(v.Protocol)
	}
	return b, err
}

// takes tells whether a client that a frontend with affinity keeps is led to a backend.
func (m Maps) takes(of, backend uint32) (bool, error) {
	var id uint32
	return m.find("slots", abi.SlotKey{Service: of, Slot: abi.SlotTakes | backend}, &id)
}

func addressOf(b abi.Backend) netip.AddrPort { return netip.AddrPortFrom(b.Addr.IP(), b.Port.Number()) }

// idle are the backends of a row that have a number and no slot: those that terminate. Map backends has no key but the number, so
// all of it is read, and only if a backend is missing.
func (m Maps) idle(row table.Frontend, held service.Held) (list []service.HeldBackend, err error) {
	missing := map[netip.AddrPort]bool{}
	for _, b := range row.Backends {
		at := netip.AddrPortFrom(b.Address, b.Port)
		if !slices.ContainsFunc(held.Backends, func(h service.HeldBackend) bool { return h.Address == at }) {
			missing[at] = true
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	var id uint32
	var v abi.Backend
	each := m.named.Map("backends").Iterate()
	for each.Next(&id, &v) {
		if at := addressOf(v); missing[at] && uint8(v.Protocol) == row.Protocol {
			delete(missing, at) // a walk may meet a row twice while others go
			list = append(list, service.HeldBackend{Slot: -1, ID: id, Address: at, Protocol: row.Protocol})
		}
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map backends: %w", err)
	}
	for i := range list {
		if list[i].Takes, err = m.takes(held.ID, list[i].ID); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b service.HeldBackend) int { return a.Address.Compare(b.Address) })
	return list, nil
}

// At are the frontends that the kernel has at these addresses, without backends.
func (m Maps) At(addresses []netip.Addr) (rows []table.Frontend, err error) {
	var key abi.ServiceKey
	var v abi.Service
	each := m.named.Map("services").Iterate()
	for each.Next(&key, &v) {
		row := table.Frontend{Address: netip.AddrFrom16(key.Addr).Unmap(), Port: key.Port.Number(), Protocol: key.Protocol, Scope: table.Scope(key.Scope)}
		if slices.Contains(addresses, row.Address) {
			rows = append(rows, row)
		}
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map services: %w", err)
	}
	slices.SortFunc(rows, func(a, b table.Frontend) int {
		return cmp.Or(netip.AddrPortFrom(a.Address, a.Port).Compare(netip.AddrPortFrom(b.Address, b.Port)), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Scope, b.Scope))
	})
	return slices.CompactFunc(rows, func(a, b table.Frontend) bool {
		return table.FrontendKey(a) == table.FrontendKey(b)
	}), nil
}
