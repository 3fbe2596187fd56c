// Package member keeps the programs of NICs that share an uplink equal to table inside-programs: in their workloads' namespaces.
//
// # The world it models
//
//	stations in the kernel   3 02:…:0a:01  sign 0x5eed…   ->   from_nic, to_nic on net1 of /var/run/netns/c1, which know the sign
//
// # Invariants
//
//   - A NIC whose station is not in the kernel gets no programs: they would not know what to write on its frames.
//   - Programs go with their NIC's row, and not before its device has: without them a NIC sends nothing that its uplink takes.
//
// # Example
//
//	sink := &member.Programs{NICs: datapath.Inside, Sign: stations.Row, Root: root}
//	loop := &reconcile.Loop[station.Inside]{Table: station.Insides, Sink: sink}
package member

import (
	"context"
	"fmt"
	"iter"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath/inside"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/station"
)

// Programs is the sink.
type Programs struct {
	NICs interface {
		Attach(at inside.Place, config abi.NicConfig) error
		Detach(number uint32) error
		List() (own map[inside.Place]abi.NicConfig, earlier []uint32, err error)
	}
	// Sign reads the row of a MAC address behind an uplink; of an empty one the uplink's own.
	Sign func(uplink int, mac string) (abi.Station, error)
	Root string // prefix of paths of network namespaces; empty: none
}

// Dump lists the NICs that have programs. Those of an earlier agent are to be replaced.
func (p *Programs) Dump(context.Context) (iter.Seq2[state.Key, station.Inside], error) {
	own, earlier, err := p.NICs.List()
	if err != nil {
		return nil, err
	}
	return func(yield func(state.Key, station.Inside) bool) {
		for at, config := range own {
			row := station.Inside{NIC: at.Number, Netns: at.Netns[len(p.Root):], Interface: at.Interface, MAC: at.MAC, Uplink: int(config.Uplink)}
			if !yield(station.Insides.Key(row), row) {
				return
			}
		}
		for _, number := range earlier {
			row := station.Inside{NIC: number, Old: true}
			if !yield(station.Insides.Key(row), row) {
				return
			}
		}
	}, nil
}

// Set attaches programs.
func (p *Programs) Set(_ context.Context, rows []station.Inside) error {
	return reconcile.Each(station.Insides, rows, p.set)
}

func (p *Programs) set(r station.Inside) error {
	own, err := p.Sign(r.Uplink, r.MAC)
	if err != nil {
		return fmt.Errorf("its MAC address %s is not among the stations of its uplink yet: %w", r.MAC, err)
	}
	wire, err := p.Sign(r.Uplink, "")
	if err != nil {
		return fmt.Errorf("its uplink is not among the stations yet: %w", err)
	}
	return p.NICs.Attach(inside.Place{Number: r.NIC, Netns: p.Root + r.Netns, Interface: r.Interface, MAC: r.MAC},
		abi.NicConfig{Nic: r.NIC, Uplink: uint32(r.Uplink), Sign: own.Sign, GroupSign: own.GroupSign, WireSign: wire.GroupSign})
}

// Unset takes programs away.
func (p *Programs) Unset(_ context.Context, rows []station.Inside) error {
	return reconcile.Each(station.Insides, rows, func(r station.Inside) error { return p.NICs.Detach(r.NIC) })
}
