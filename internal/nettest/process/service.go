package process

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/table"
)

// readServices shows frontends with their backends in the order of slots, and what no frontend leads to.
func (d *dumper) readServices() error {
	used := map[uint32]bool{}
	err := each("backends", func(id uint32, b abi.Backend) error {
		d.backends[id] = fmt.Sprintf("%v:%d/%d", b.Addr.IP(), b.Port.Number(), b.Protocol)
		return nil
	})
	if err != nil {
		return err
	}
	slots := map[abi.SlotKey]uint32{}
	if err := each("slots", func(k abi.SlotKey, id uint32) error { slots[k] = id; return nil }); err != nil {
		return err
	}
	frontends, tables := map[uint32]string{}, map[uint64]uint32{}
	err = each("services", func(k abi.ServiceKey, s abi.Service) error {
		var to []string
		for slot := range s.Count {
			key := abi.SlotKey{Service: s.Id, Slot: slot}
			used[slots[key]] = true
			to = append(to, named(d.backends, slots[key]))
			if s.Flags&abi.ServiceAffinity != 0 {
				delete(slots, abi.SlotKey{Service: s.Id, Slot: abi.SlotTakes | slots[key]})
			}
			delete(slots, key)
		}
		frontends[s.Id] = fmt.Sprintf("%v:%d/%d scope %v", k.Addr.IP(), k.Port.Number(), k.Protocol, table.Scope(k.Scope))
		text, err := d.maglev(s.Table, s.TableSize)
		tables[s.Table] = s.TableSize
		d.line("map services: %s flags %v affinity %d maglev %s: %s", frontends[s.Id], s.Flags&^abi.ServiceLeft, s.AffinitySeconds, text, strings.Join(to, " "))
		return err
	})
	if err != nil {
		return err
	}
	for k, id := range slots {
		if k.Slot&abi.SlotLeft != 0 && frontends[k.Service] != "" {
			continue // what a service had before: an agent that begins with nothing knows nothing of it
		}
		d.line("map slots: slot %d of no service to %s", k.Slot, named(d.backends, id))
	}
	for id, b := range d.backends {
		if !used[id] {
			d.line("map backends: %s of no service", b)
		}
	}
	err = each("service_sources", func(k abi.SourceKey, may uint32) error {
		d.line("map service_sources: %s: %v/%d %d", named(frontends, k.Service), k.Addr.IP(), k.Bits-abi.SourceBitsFixed, may)
		return nil
	})
	if err != nil {
		return err
	}
	return each("maglev", func(k abi.MaglevKey, _ abi.MaglevPart) error {
		if size := tables[k.Table]; k.Part*abi.MaglevElements >= size {
			d.line("map maglev: part %d of a table of no service", k.Part)
		}
		return nil
	})
}

// maglev is a digest of a table: the backends that its elements name, in order.
func (d *dumper) maglev(number uint64, size uint32) (string, error) {
	if size == 0 {
		return "-", nil
	}
	parts := map[uint32]abi.MaglevPart{}
	if err := each("maglev", func(k abi.MaglevKey, p abi.MaglevPart) error {
		if k.Table == number {
			parts[k.Part] = p
		}
		return nil
	}); err != nil {
		return "", err
	}
	sum := sha256.New()
	for element := range size {
		fmt.Fprintln(sum, named(d.backends, parts[element/abi.MaglevElements].Backend[element%abi.MaglevElements]))
	}
	return fmt.Sprintf("%d %x", size, sum.Sum(nil)[:8]), nil
}
