package bpfmap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap/backend"
	"weftnet.io/weftnet/internal/sink/bpfmap/batch"
	"weftnet.io/weftnet/internal/sink/bpfmap/chosen"
	"weftnet.io/weftnet/internal/sink/bpfmap/element"
	"weftnet.io/weftnet/internal/sink/bpfmap/left"
	"weftnet.io/weftnet/internal/sink/bpfmap/source"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Services keeps the maps services, slots, backends and maglev equal to table.Frontends. One row is composite and written in
// order: backends, slots and table, head; removed the other way round. Map slots has of a frontend with affinity, beside its list, a
// row for each backend that takes new connections, by which a client's own one is known to; of one of UDP the rows of package left. A frontend and a backend keep
// their numbers, which connections refer to, for as long as they exist, across agents too; nor is a number given again that one refers to.
type Services struct {
	maps     *batch.Writer
	backends *backend.Backends
	sources  source.Sources
	tables   *element.Tables
	left     *left.Rows

	heads       map[abi.ServiceKey]*head
	unowned     []abi.SlotKey // slots of no frontend, when an earlier agent ended
	lastService uint32
}

type head struct {
	id    uint32
	count uint32
	row   table.Frontend
	takes []uint32 // backends that have a row for affinity
	table uint64   // in which calls find their backend; 0: none
}

// NewServices reads which numbers are given out.
func NewServices(m batch.Maps) (*Services, error) {
	w := batch.New(m, "backends", "slots", "services")
	last, err := chosen.Read(w)
	if err != nil {
		return nil, err
	}
	s := &Services{maps: w, sources: source.New(w), left: left.New(w), heads: map[abi.ServiceKey]*head{}, lastService: last.Service}
	f := former{slots: map[abi.SlotKey]uint32{}, takes: map[uint32][]uint32{}}
	if s.tables, err = element.New(w); err != nil {
		return nil, err
	}
	if s.backends, f.backends, err = backend.New(w, last.Backend, s.left.Gone); err != nil {
		return nil, err
	}
	err = batch.Each(w.Map("slots"), func(slot abi.SlotKey, id uint32) {
		f.slots[slot] = id
		switch _, there := f.backends[id]; {
		case slot.Slot&abi.SlotLeft != 0 && there:
			s.left.Adopt(slot)
		case slot.Slot&abi.SlotTakes != 0:
			f.takes[slot.Service] = append(f.takes[slot.Service], id)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read map slots: %w", err)
	}
	if f.sources, err = s.sources.Read(); err != nil {
		return nil, err
	}
	err = batch.Each(w.Map("services"), func(key abi.ServiceKey, v abi.Service) {
		s.lastService = max(s.lastService, v.Id)
		s.heads[key] = s.read(key, v, f)
	})
	if err != nil {
		return nil, fmt.Errorf("read map services: %w", err)
	}
	owned := s.owned()
	for slot := range f.slots {
		if !owned(slot) {
			s.unowned = append(s.unowned, slot)
			s.lastService = max(s.lastService, slot.Service)
		}
	}
	return s, s.tables.Clean()
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
		return s.left.Has(k) || k.Slot < h.count || k.Slot&abi.SlotTakes != 0 && slices.Contains(h.takes, k.Slot&^abi.SlotTakes)
	}
}

// leftovers is the row under which Dump shows slots and backends of no frontend, so that they are removed as soon as all
// frontends are known: an agent was killed before it wrote the head, or what it knew of backends that end is in no map.
var leftovers = table.Frontend{Name: "slots and backends that an earlier agent left"}

func (s *Services) hasLeftovers() bool {
	return len(s.unowned) > 0 || s.backends.Unused()
}

func (s *Services) sweep() error {
	owned := s.owned()
	for _, k := range s.unowned {
		if owned(k) {
			continue // it has become one
		}
		if err := s.maps.Delete("slots", k); err != nil && !missing(err) {
			return fmt.Errorf("remove slot %d of no frontend: %w", k.Slot, err)
		}
	}
	s.unowned = nil
	return s.backends.Sweep()
}

// former is what an earlier agent wrote beside heads; takes and sources by the number of the head.
type former struct {
	backends map[uint32]table.Backend
	slots    map[abi.SlotKey]uint32
	takes    map[uint32][]uint32
	sources  map[uint32][]table.Source
}

// read makes the row again that an earlier agent wrote, less what maps do not hold.
func (s *Services) read(key abi.ServiceKey, v abi.Service, f former) *head {
	sources, takes := f.sources[v.Id], f.takes[v.Id]
	h := &head{id: v.Id, count: v.Count, takes: takes, table: v.Table, row: table.Frontend{
		Address: frontendAddress(key.Addr), Port: key.Port.Number(), Protocol: key.Protocol,
		AffinitySeconds: v.AffinitySeconds, Scope: table.Scope(key.Scope), Sources: sources,
		ByNode: v.Flags&abi.ServiceByNode != 0, Direct: v.Flags&abi.ServiceDirect != 0, Silent: v.Flags&abi.ServiceSilent != 0, Passes: v.Flags&abi.ServicePasses != 0,
	}}
	if (v.Flags&abi.ServiceSources != 0) != (len(sources) > 0) || !s.tables.Adopt(v.Table, v.TableSize) {
		h.row.AffinitySeconds = unfinished
	}
	var active []uint32
	for i := range v.Count {
		id, there := f.slots[abi.SlotKey{Service: v.Id, Slot: i}]
		if !there {
			continue
		}
		active = append(active, id)
		h.row.Backends = append(h.row.Backends, f.backends[id])
	}
	s.backends.Adopt(key.Protocol, h.row.Backends)
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
	h := s.heads[serviceKey(have)]
	return want.AffinitySeconds == have.AffinitySeconds && want.ByNode == have.ByNode && want.Direct == have.Direct && want.Silent == have.Silent && want.Passes == have.Passes && slices.Equal(want.Backends, have.Backends) && source.Equal(want.Sources, have.Sources) &&
		h != nil && s.tableOf(want) == h.table
}

// tableOf is the number of the table that a row is to have, whose backends are known.
func (s *Services) tableOf(r table.Frontend) uint64 {
	var ids []uint32
	for _, m := range element.Members(r) {
		if id, known := s.backends.Number(r.Protocol, m.Address, m.Port); known {
			ids = append(ids, id)
		}
	}
	return element.Number(r.Maglev, element.Members(r), ids)
}

// atOnce is how many frontends are written together at most.
const atOnce = 512

// Set writes frontends: those that are new together, as far as they fit, and nothing of those that the maps have as they are.
func (s *Services) Set(ctx context.Context, rows []table.Frontend) error {
	var fresh, rest []table.Frontend
	for _, r := range rows {
		switch h := s.heads[serviceKey(r)]; {
		case h == nil:
			fresh = append(fresh, r)
		case s.Equal(r, h.row):
			h.row = r
		default:
			rest = append(rest, r)
		}
	}
	var errs []error
	end := s.tables.Expect(slices.Values(fresh))
	for some := range slices.Chunk(fresh, atOnce) {
		together := func() error { return s.each(some, s.set) }
		if len(some) > 1 && s.maps.Together(together) == nil {
			continue
		}
		errs = append(errs, s.Unset(ctx, some)) // what of it is there
		rest = append(rest, some...)
	}
	end()
	return errors.Join(append(errs, s.each(rest, s.set), s.tables.Clean())...)
}

// each does something with rows, whatever becomes of others.
func (s *Services) each(rows []table.Frontend, do func(table.Frontend) error) error {
	var errs []error
	for _, r := range rows {
		if err := do(r); err != nil {
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
	takes := func(active []uint32) []uint32 {
		if r.AffinitySeconds == 0 {
			return nil
		}
		return active
	}
	active, err := s.backends.Take(r.Protocol, r.Backends)
	if err != nil {
		return Full("backends", err)
	}
	if err = Full("service_sources", s.sources.Admit(h.id, r.Sources)); err == nil {
		err = s.list(h, active, takes(active))
	}
	leaving := s.leaving(h.row, r)
	if err == nil {
		err = Full("slots", s.left.Put(h.id, leaving))
	}
	undo := func(err error) error {
		return errors.Join(err, s.left.Remove(h.id, leaving), s.sources.Dismiss(h.id, r.Sources, h.row.Sources), s.backends.Release(r.Protocol, r.Backends))
	}
	if err != nil {
		return undo(err)
	}
	v := abi.Service{Id: h.id, Count: uint32(len(active)), AffinitySeconds: r.AffinitySeconds, Flags: flagsOf(r)}
	if s.left.Any(h.id) {
		v.Flags |= abi.ServiceLeft
	}
	// Without its table a frontend goes on by chance: what is wrong is told, and tried again.
	var tableErr error
	if v.Table, tableErr = s.tables.Take(r.Maglev, element.Members(r), active); v.Table != 0 {
		v.TableSize = r.Maglev.Size
	}
	if err := s.maps.Put("services", key, v); err != nil {
		s.tables.Release(v.Table)
		err = errors.Join(fmt.Errorf("write frontend: %w", Full("services", err)), s.trim(head{id: h.id, count: v.Count, takes: takes(active)}, h.count, h.takes))
		return undo(err)
	}
	before := *h
	h.row, h.count, h.takes, h.table = r, v.Count, takes(active), v.Table
	s.heads[key] = h
	s.tables.Release(before.table)
	return errors.Join(Full("maglev", tableErr), s.returned(h), s.trim(before, v.Count, h.takes), s.backends.Release(r.Protocol, before.row.Backends), s.sources.Dismiss(h.id, before.row.Sources, r.Sources))
}

// returned removes what is said of backends that a frontend has again.
func (s *Services) returned(h *head) error {
	if !s.left.Any(h.id) {
		return nil
	}
	return s.left.Remove(h.id, s.backends.Shared(h.row.Protocol, h.row.Backends))
}

// leaving are the backends whose datagrams are to go elsewhere: a frontend has them no more, others have.
func (s *Services) leaving(before, now table.Frontend) []uint32 {
	if now.Protocol != unix.IPPROTO_UDP {
		return nil
	}
	return s.backends.Shared(now.Protocol, slices.DeleteFunc(slices.Clone(before.Backends), func(had table.Backend) bool {
		return slices.ContainsFunc(now.Backends, func(has table.Backend) bool { return has.Address == had.Address && has.Port == had.Port })
	}))
}

func flagsOf(r table.Frontend) (f abi.ServiceFlag) {
	if r.AffinitySeconds > 0 {
		f |= abi.ServiceAffinity
	}
	if len(r.Sources) > 0 {
		f |= abi.ServiceSources
	}
	if r.ByNode {
		f |= abi.ServiceByNode
	}
	if r.Direct {
		f |= abi.ServiceDirect
	}
	if r.Silent {
		f |= abi.ServiceSilent
	}
	if r.Passes {
		f |= abi.ServicePasses
	}
	return f
}

// list writes the slots of a frontend: first those that are new, which may not fit. Then none of them stays.
func (s *Services) list(h *head, active, takes []uint32) error {
	type row struct{ slot, id uint32 }
	list := make([]row, 0, len(active)+len(takes))
	add := func(slot, id uint32) { list = append(list, row{slot, id}) }
	for i := h.count; i < uint32(len(active)); i++ {
		add(i, active[i])
	}
	for _, id := range takes {
		if !slices.Contains(h.takes, id) {
			add(abi.SlotTakes|id, id)
		}
	}
	fresh := len(list)
	for i := range min(h.count, uint32(len(active))) {
		add(i, active[i])
	}
	for i, r := range list {
		err := s.maps.Put("slots", abi.SlotKey{Service: h.id, Slot: r.slot}, r.id)
		if err == nil {
			continue
		}
		errs := []error{fmt.Errorf("write slot %#x: %w", r.slot, Full("slots", err))}
		for _, r := range list[:min(i, fresh)] {
			errs = append(errs, s.maps.Delete("slots", abi.SlotKey{Service: h.id, Slot: r.slot}))
		}
		return errors.Join(errs...)
	}
	return nil
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
		if err := s.maps.Delete("slots", abi.SlotKey{Service: had.id, Slot: i}); err != nil && !missing(err) {
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
		err := s.maps.Delete("services", key)
		if err != nil && !missing(err) {
			errs = append(errs, &reconcile.RowError{Key: frontendKey(r), Err: err})
			continue
		}
		delete(s.heads, key)
		s.tables.Release(h.table)
		if err := errors.Join(s.trim(*h, 0, nil), s.left.Closed(h.id), s.backends.Release(r.Protocol, h.row.Backends), s.sources.Dismiss(h.id, h.row.Sources, nil)); err != nil {
			errs = append(errs, &reconcile.RowError{Key: frontendKey(r), Err: err})
		}
	}
	return errors.Join(append(errs, s.tables.Clean())...)
}

func serviceKey(r table.Frontend) abi.ServiceKey {
	return abi.ServiceKey{Addr: abi.From(r.Address), Port: abi.Port(r.Port), Protocol: r.Protocol, Scope: uint8(r.Scope), Net: abi.NetPods}
}

// frontendAddress turns the all-zero key of a node port back into the unspecified address.
func frontendAddress(a abi.Addr) netip.Addr {
	return netip.AddrFrom16(a).Unmap()
}

func frontendKey(r table.Frontend) state.Key { return table.FrontendKey(r) }
