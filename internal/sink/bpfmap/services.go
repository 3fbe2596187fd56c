package bpfmap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap/source"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Services keeps the maps services, slots and backends equal to table.Frontends. One row is composite and written in
// order: backends, slots, head; removed the other way round. Map slots has of a frontend with affinity, beside its list, a
// row for each backend that takes new connections, by which a client's own one is known to. A frontend and a backend keep
// their numbers, which connections refer to, for as long as they exist, across agents too.
type Services struct {
	services, slots, backends *ebpf.Map
	sources                   source.Sources

	heads       map[abi.ServiceKey]*head
	ids         map[backend]*numbered // backends
	unowned     []abi.SlotKey         // slots of no frontend, when an earlier agent ended
	lastService uint32
	lastBackend uint32
}

type backend struct {
	addr     netip.Addr
	port     uint16
	protocol uint8
}

type numbered struct {
	id   uint32
	uses int
}

type head struct {
	id    uint32
	count uint32
	row   table.Frontend
	uses  []backend
	takes []uint32 // backends that have a row for affinity
}

// NewServices reads which numbers are given out.
func NewServices(m Maps) (*Services, error) {
	s := &Services{
		services: m.Map("services"), slots: m.Map("slots"), backends: m.Map("backends"), sources: source.New(m.Map("service_sources")),
		heads: map[abi.ServiceKey]*head{}, ids: map[backend]*numbered{},
	}
	known := map[uint32]backend{}
	var id uint32
	var b abi.Backend
	each := s.backends.Iterate()
	for each.Next(&id, &b) {
		p := backend{b.Addr.IP(), b.Port.Number(), uint8(b.Protocol)}
		known[id] = p
		s.ids[p] = &numbered{id: id}
		s.lastBackend = max(s.lastBackend, id)
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map backends: %w", err)
	}
	var slot abi.SlotKey
	var all []abi.SlotKey
	takes := map[uint32][]uint32{}
	each = s.slots.Iterate()
	for each.Next(&slot, &id) {
		all = append(all, slot)
		if slot.Slot&abi.SlotTakes != 0 {
			takes[slot.Service] = append(takes[slot.Service], id)
		}
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map slots: %w", err)
	}
	sources, err := s.sources.Read()
	if err != nil {
		return nil, err
	}
	var key abi.ServiceKey
	var v abi.Service
	each = s.services.Iterate()
	for each.Next(&key, &v) {
		s.lastService = max(s.lastService, v.Id)
		s.heads[key] = s.read(key, v, known, takes[v.Id], sources[v.Id])
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map services: %w", err)
	}
	owned := s.owned()
	for _, slot := range all {
		if !owned(slot) {
			s.unowned = append(s.unowned, slot)
			s.lastService = max(s.lastService, slot.Service)
		}
	}
	return s, nil
}

// owned tells which slots belong to a frontend.
func (s *Services) owned() func(abi.SlotKey) bool {
	heads := map[uint32]*head{}
	for _, h := range s.heads {
		heads[h.id] = h
	}
	return func(k abi.SlotKey) bool {
		h := heads[k.Service]
		if h == nil {
			return false
		}
		return k.Slot < h.count || k.Slot&abi.SlotTakes != 0 && slices.Contains(h.takes, k.Slot&^abi.SlotTakes)
	}
}

// leftovers is the row under which Dump shows slots and backends of no frontend, so that they are removed as soon as all
// frontends are known: an agent was killed before it wrote the head, or what it knew of backends that end is in no map.
var leftovers = table.Frontend{Name: "slots and backends that an earlier agent left"}

func (s *Services) hasLeftovers() bool {
	for _, n := range s.ids {
		if n.uses == 0 {
			return true
		}
	}
	return len(s.unowned) > 0
}

func (s *Services) sweep() error {
	var errs []error
	owned := s.owned()
	for _, k := range s.unowned {
		if owned(k) {
			continue // it has become one
		}
		if err := s.slots.Delete(k); err != nil && !missing(err) {
			return fmt.Errorf("remove slot %d of no frontend: %w", k.Slot, err)
		}
	}
	s.unowned = nil
	for p, n := range s.ids {
		if n.uses > 0 {
			continue
		}
		if err := s.backends.Delete(n.id); err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("remove backend %d of no frontend: %w", n.id, err))
			continue
		}
		delete(s.ids, p)
	}
	return errors.Join(errs...)
}

// read makes the row again that an earlier agent wrote, less what maps do not hold.
func (s *Services) read(key abi.ServiceKey, v abi.Service, known map[uint32]backend, takes []uint32, sources []table.Source) *head {
	h := &head{id: v.Id, count: v.Count, takes: takes, row: table.Frontend{
		Address: frontendAddress(key.Addr), Port: key.Port.Number(), Protocol: key.Protocol,
		AffinitySeconds: v.AffinitySeconds, Scope: table.Scope(key.Scope), Sources: sources,
		ByNode: v.Flags&abi.ServiceByNode != 0, Direct: v.Flags&abi.ServiceDirect != 0, Silent: v.Flags&abi.ServiceSilent != 0,
	}}
	if (v.Flags&abi.ServiceSources != 0) != (len(sources) > 0) {
		h.row.AffinitySeconds = unfinished
	}
	var active []uint32
	for i := range v.Count {
		var id uint32
		if s.slots.Lookup(abi.SlotKey{Service: v.Id, Slot: i}, &id) != nil {
			continue
		}
		active = append(active, id)
		p := known[id]
		h.row.Backends = append(h.row.Backends, table.Backend{Address: p.addr, Port: p.port})
		h.uses = append(h.uses, p)
		if n := s.ids[p]; n != nil {
			n.uses++
		}
	}
	slices.Sort(active)
	slices.Sort(takes)
	if v.AffinitySeconds == 0 {
		h.takes = nil // without affinity none is used
	} else if !slices.Equal(active, takes) {
		h.row.AffinitySeconds = unfinished
	}
	return h
}

// unfinished is an affinity that no frontend has, so that it is written anew: an agent was killed over it, or knew nothing of
// the rows for backends that take new connections.
const unfinished = math.MaxUint32

// Dump gives the frontends in force.
func (s *Services) Dump(context.Context) (iter.Seq2[state.Key, table.Frontend], error) {
	return func(yield func(state.Key, table.Frontend) bool) {
		for _, h := range s.heads {
			if !yield(frontendKey(h.row), h.row) {
				return
			}
		}
		if s.hasLeftovers() {
			yield(frontendKey(leftovers), leftovers)
		}
	}, nil
}

// Equal leaves out what the maps do not hold: whose it is.
func (s *Services) Equal(want, have table.Frontend) bool {
	return want.AffinitySeconds == have.AffinitySeconds && want.ByNode == have.ByNode && want.Direct == have.Direct && want.Silent == have.Silent && slices.Equal(want.Backends, have.Backends) && source.Equal(want.Sources, have.Sources)
}

// Set writes frontends.
func (s *Services) Set(_ context.Context, rows []table.Frontend) error {
	var errs []error
	for _, r := range rows {
		if err := s.set(r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: frontendKey(r), Err: err})
		}
	}
	return errors.Join(errs...)
}

func (s *Services) set(r table.Frontend) error {
	key := serviceKey(r)
	h := s.heads[key]
	if h == nil {
		s.lastService++
		h = &head{id: s.lastService}
	}
	uses, active, err := s.take(r)
	if err != nil {
		s.release(uses)
		return err
	}
	for i, id := range active {
		if err := s.slots.Put(abi.SlotKey{Service: h.id, Slot: uint32(i)}, id); err != nil {
			s.release(uses)
			return fmt.Errorf("write slot %d: %w", i, Full("slots", err))
		}
	}
	takes := active
	if r.AffinitySeconds == 0 {
		takes = nil
	}
	h.takes = slices.Concat(h.takes, takes)
	for _, id := range takes {
		if err := s.slots.Put(abi.SlotKey{Service: h.id, Slot: abi.SlotTakes | id}, id); err != nil {
			s.release(uses)
			return fmt.Errorf("write that backend %d takes connections: %w", id, Full("slots", err))
		}
	}
	if err := s.sources.Admit(h.id, r.Sources); err != nil {
		s.release(uses)
		return Full("service_sources", err)
	}
	v := abi.Service{Id: h.id, Count: uint32(len(active)), AffinitySeconds: r.AffinitySeconds}
	if r.AffinitySeconds > 0 {
		v.Flags |= abi.ServiceAffinity
	}
	if len(r.Sources) > 0 {
		v.Flags |= abi.ServiceSources
	}
	if r.ByNode {
		v.Flags |= abi.ServiceByNode
	}
	if r.Direct {
		v.Flags |= abi.ServiceDirect
	}
	if r.Silent {
		v.Flags |= abi.ServiceSilent
	}
	if err := s.services.Put(key, v); err != nil {
		s.release(uses)
		return fmt.Errorf("write frontend: %w", Full("services", err))
	}
	before := *h
	h.row, h.uses, h.count, h.takes = r, uses, v.Count, takes
	s.heads[key] = h
	return errors.Join(s.trim(before, v.Count, takes), s.release(before.uses), s.sources.Dismiss(h.id, before.row.Sources, r.Sources))
}

// take writes the backends of a row and gives the numbers of those that take new connections.
func (s *Services) take(r table.Frontend) (uses []backend, active []uint32, err error) {
	for _, b := range r.Backends {
		p := backend{b.Address, b.Port, r.Protocol}
		n := s.ids[p]
		if n == nil {
			s.lastBackend++
			n = &numbered{id: s.lastBackend}
			v := abi.Backend{Addr: abi.From(b.Address), Port: abi.Port(b.Port), Protocol: uint16(r.Protocol), Id: n.id}
			if err := s.backends.Put(n.id, v); err != nil {
				return uses, nil, fmt.Errorf("write backend %s: %w", b, Full("backends", err))
			}
			s.ids[p] = n
		}
		n.uses++
		uses = append(uses, p)
		if !b.Terminating {
			active = append(active, n.id)
		}
	}
	return uses, active, nil
}

// release lets go of backends; one that no frontend uses any more goes.
func (s *Services) release(uses []backend) error {
	var errs []error
	for _, p := range uses {
		n := s.ids[p]
		if n == nil {
			continue
		}
		if n.uses--; n.uses > 0 {
			continue
		}
		delete(s.ids, p)
		if err := s.backends.Delete(n.id); err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("remove backend %d: %w", n.id, err))
		}
	}
	return errors.Join(errs...)
}

// trim removes slots that a frontend had, beyond the count and of backends that take no new connections any more.
func (s *Services) trim(had head, count uint32, takes []uint32) error {
	var gone []uint32
	for i := count; i < had.count; i++ {
		gone = append(gone, i)
	}
	for _, id := range had.takes {
		if !slices.Contains(takes, id) {
			gone = append(gone, abi.SlotTakes|id)
		}
	}
	var errs []error
	for _, i := range gone {
		if err := s.slots.Delete(abi.SlotKey{Service: had.id, Slot: i}); err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("remove slot %#x: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// Unset removes frontends.
func (s *Services) Unset(_ context.Context, rows []table.Frontend) error {
	var errs []error
	for _, r := range rows {
		if frontendKey(r) == frontendKey(leftovers) {
			if err := s.sweep(); err != nil {
				errs = append(errs, &reconcile.RowError{Key: frontendKey(r), Err: err})
			}
			continue
		}
		key := serviceKey(r)
		h := s.heads[key]
		if h == nil {
			continue
		}
		err := s.services.Delete(key)
		if err != nil && !missing(err) {
			errs = append(errs, &reconcile.RowError{Key: frontendKey(r), Err: err})
			continue
		}
		delete(s.heads, key)
		if err := errors.Join(s.trim(*h, 0, nil), s.release(h.uses), s.sources.Dismiss(h.id, h.row.Sources, nil)); err != nil {
			errs = append(errs, &reconcile.RowError{Key: frontendKey(r), Err: err})
		}
	}
	return errors.Join(errs...)
}

func serviceKey(r table.Frontend) abi.ServiceKey {
	return abi.ServiceKey{Addr: abi.From(r.Address), Port: abi.Port(r.Port), Protocol: r.Protocol, Scope: uint8(r.Scope), Net: abi.NetPods}
}

// frontendAddress turns the all-zero key of a node port back into the unspecified address.
func frontendAddress(a abi.Addr) netip.Addr {
	return netip.AddrFrom16(a).Unmap()
}

func frontendKey(r table.Frontend) state.Key { return table.FrontendKey(r) }
