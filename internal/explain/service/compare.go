package service

import (
	"fmt"
	"net/netip"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// sides puts what the table and the kernel have of a frontend beside each other, and says what of it does not agree.
func sides(want table.Frontend, have Held) (list []agentv1.Side, faults []string) {
	if have.ID == 0 {
		faults = append(faults, "map services has no row for it")
	} else if want.AffinitySeconds != have.AffinitySeconds {
		faults = append(faults, fmt.Sprintf("map services has an affinity of %d seconds, the table %d", have.AffinitySeconds, want.AffinitySeconds))
	}
	if have.ID != 0 && have.Limited != (len(want.Sources) > 0) {
		faults = append(faults, fmt.Sprintf("map services says %s, the table has %d sources that may or may not call it", map[bool]string{true: "that not all may call it", false: "that all may call it"}[have.Limited], len(want.Sources)))
	}
	if have.ID != 0 {
		faults = append(faults, tableFaults(want, have)...)
	}
	known, listed, led := map[netip.AddrPort]table.Backend{}, map[netip.AddrPort]bool{}, map[netip.AddrPort]bool{}
	for _, b := range want.Backends {
		known[addressOf(b)] = b
	}
	for _, h := range have.Backends {
		b, wanted := known[h.Address]
		if text := slotFault(want, h, b, wanted, led[h.Address]); text != "" {
			faults = append(faults, text)
		}
		side := agentv1.Side{Backend: h.ID}
		if h.Address.IsValid() {
			side.Kernel = h.Address.String()
		}
		if h.Slot >= 0 {
			slot := uint32(h.Slot)
			side.Slot, led[h.Address] = &slot, true
		}
		if wanted && !listed[h.Address] {
			side.Table, side.State, listed[h.Address] = h.Address.String(), stateOf(b), true
		}
		list = append(list, side)
	}
	for _, b := range want.Backends {
		at := addressOf(b)
		switch {
		case have.ID == 0:
		case !b.Takes() && !listed[at]:
			faults = append(faults, fmt.Sprintf("map backends does not have %s, which is %s: its connections are cut", at, stateOf(b)))
		case b.Takes() && !led[at]:
			faults = append(faults, fmt.Sprintf("no slot leads to %s", at))
		}
		if !listed[at] {
			list = append(list, agentv1.Side{Table: at.String(), State: stateOf(b)})
		}
	}
	return list, faults
}

// tableFaults say what is wrong with the Maglev table of a frontend.
func tableFaults(want table.Frontend, have Held) []string {
	if len(have.Elements) != int(want.Maglev.Size) {
		return []string{fmt.Sprintf("map services says that calls find their backend %s, the table %s", choiceText(len(have.Elements)), choiceText(int(want.Maglev.Size)))}
	}
	ids := map[netip.AddrPort]uint32{}
	for _, h := range have.Backends {
		if h.Slot >= 0 {
			ids[h.Address] = h.ID
		}
	}
	list := members(want)
	if len(have.Elements) == 0 || len(list) == 0 {
		return nil
	}
	missing, wrong := 0, 0
	for element, member := range want.Maglev.Table(list) {
		switch have.Elements[element] {
		case ids[netip.AddrPortFrom(list[member].Address, list[member].Port)]:
		case 0:
			missing++
		default:
			wrong++
		}
	}
	if missing+wrong == 0 {
		return nil
	}
	return []string{fmt.Sprintf("of the %d elements of its table map maglev has %d not, and %d lead to another backend than on other nodes", len(have.Elements), missing, wrong)}
}

// members are the backends of a frontend that take new connections.
func members(row table.Frontend) (list []maglev.Member) {
	for _, b := range row.Backends {
		if b.Takes() {
			list = append(list, maglev.Member{Address: b.Address, Port: b.Port, Protocol: row.Protocol})
		}
	}
	return list
}

// choiceText says how calls find their backend.
func choiceText(elements int) string {
	if elements == 0 {
		return "by chance"
	}
	return fmt.Sprintf("in a Maglev table of %d elements", elements)
}

// slotFault says what is wrong with a slot, or with a backend that has none; empty: nothing. b is the backend as the table has it,
// if it is wanted; led tells whether a slot before leads to it.
func slotFault(want table.Frontend, h HeldBackend, b table.Backend, wanted, led bool) string {
	switch {
	case h.Slot < 0 && h.Takes && !b.Takes():
		return fmt.Sprintf("clients that it keeps are led to %s, which is %s: map slots says that it takes connections", h.Address, stateOf(b))
	case h.Slot < 0:
		return ""
	case h.ID == 0:
		return fmt.Sprintf("map services counts slot %d, which map slots does not have", h.Slot)
	case !h.Address.IsValid():
		return fmt.Sprintf("slot %d leads to backend %d, which map backends does not have", h.Slot, h.ID)
	case h.Protocol != want.Protocol:
		return fmt.Sprintf("slot %d leads to backend %d, which is for %s", h.Slot, h.ID, callee.ProtocolName(h.Protocol))
	case !wanted:
		return fmt.Sprintf("slot %d leads to %s, which the table does not have", h.Slot, h.Address)
	case !b.Takes():
		return fmt.Sprintf("slot %d leads to %s, which is %s", h.Slot, h.Address, stateOf(b))
	case led:
		return fmt.Sprintf("slot %d leads to %s, as another one does", h.Slot, h.Address)
	case want.AffinitySeconds > 0 && !h.Takes:
		return fmt.Sprintf("no client keeps %s: map slots does not say that it takes connections", h.Address)
	}
	return ""
}

func addressOf(b table.Backend) netip.AddrPort { return netip.AddrPortFrom(b.Address, b.Port) }

// compare says what of a frontend the kernel has, and what of that is a fault. r is the state before the maps were read.
func (n Node) compare(r state.Reader, row table.Frontend) (have Held, list []agentv1.Side, faults []string, note string, err error) {
	if have, err = n.Maps.Frontend(row); err != nil {
		return have, nil, nil, "", err
	}
	list, faults = sides(row, have)
	placed, obstacle := n.placed(r, row)
	key := n.Tables.Frontends.Key(row)
	switch {
	case obstacle != "":
		return have, list, []string{"the agent cannot write it: " + obstacle}, "", nil
	case len(faults) == 0:
		return have, list, nil, "", nil
	case !placed, n.Tables.Frontends.Revision(n.Now(), key) != n.Tables.Frontends.Revision(r, key):
		return have, list, nil, nameOf(row) + ": the agent is writing it to the kernel at this moment; ask again", nil
	}
	return have, list, faults, "", nil
}
