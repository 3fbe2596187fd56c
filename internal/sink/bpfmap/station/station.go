// Package station keeps the map stations equal to table stations, and gives each NIC the numbers by which its frames are known.
//
// # The world it models
//
// A row names a NIC by its MAC address, and has two random numbers, signs: the NIC's own program writes them on its frames, the programs
// of the uplink compare. Only the agent and these programs know them.
//
// # Invariants
//
//   - A row that is there keeps its signs, also for the next agent: the NIC's program has them as constants.
//   - No sign is 0: that is what a frame has without one.
//   - All ports of bridges have the same sign: the port of a NIC compares what the port of another one has written.
//
// # Example
//
//	s := station.New(datapath.Map("stations"))
//	loop := &reconcile.Loop[station.Station]{Table: station.Stations, Sink: s}
package station

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/station"
)

// Stations keeps the map.
type Stations struct {
	m     *ebpf.Map
	ports uint32 // sign of all ports; 0: none is there
}

// New works on the map stations of a loaded datapath.
func New(m *ebpf.Map) *Stations { return &Stations{m: m} }

// Dump reads the map.
func (s *Stations) Dump(context.Context) (iter.Seq2[state.Key, station.Station], error) {
	var rows []station.Station
	var key abi.StationKey
	var value abi.Station
	each := s.m.Iterate()
	for each.Next(&key, &value) {
		has := func(flag abi.StationFlag) bool { return value.Flags&flag != 0 }
		row := station.Station{
			Uplink: int(key.Uplink), NIC: value.Nic, Port: has(abi.StationPort), Trunk: has(abi.StationTrunk),
			Apart: has(abi.StationApart), Audit: has(abi.StationAudited),
		}
		if row.Port {
			s.ports = value.Sign
		}
		if key.Mac != [6]uint8{} {
			row.MAC = net.HardwareAddr(key.Mac[:]).String()
		}
		rows = append(rows, row)
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map stations: %w", err)
	}
	return func(yield func(state.Key, station.Station) bool) {
		for _, r := range rows {
			if !yield(station.Stations.Key(r), r) {
				return
			}
		}
	}, nil
}

// Equal leaves out what the map does not hold: the name of the uplink.
func (s *Stations) Equal(want, have station.Station) bool {
	have.Device = want.Device
	return want == have
}

// Set writes rows, those of uplinks last: from then on the others count.
func (s *Stations) Set(_ context.Context, rows []station.Station) error {
	var errs []error
	for _, last := range []bool{false, true} {
		for _, r := range rows {
			if (r.MAC == "") != last {
				continue
			}
			if err := s.set(r); err != nil {
				errs = append(errs, &reconcile.RowError{Key: station.Stations.Key(r), Err: err})
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Stations) set(r station.Station) error {
	key, err := keyOf(r.Uplink, r.MAC)
	if err != nil {
		return err
	}
	var value abi.Station
	if err := s.m.Lookup(key, &value); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read map stations: %w", err)
	}
	if r.Port && s.ports != 0 {
		value.Sign = s.ports
	}
	for _, sign := range []*uint32{&value.Sign, &value.GroupSign} {
		for *sign == 0 {
			var random [4]byte
			_, _ = rand.Read(random[:]) // it never fails
			*sign = binary.NativeEndian.Uint32(random[:])
		}
	}
	value.Nic, value.Flags = r.NIC, 0
	for _, f := range []struct {
		is   bool
		flag abi.StationFlag
	}{
		{r.NIC == 0, abi.StationNode},
		{r.Port, abi.StationPort},
		{r.Trunk, abi.StationTrunk},
		{r.Apart, abi.StationApart},
		{r.Audit, abi.StationAudited},
	} {
		if f.is {
			value.Flags |= f.flag
		}
	}
	if err := s.m.Put(key, value); err != nil {
		return fmt.Errorf("write map stations: %w", err)
	}
	if r.Port {
		s.ports = value.Sign
	}
	return nil
}

// keyOf is that of the map; of an empty MAC address the uplink's own.
func keyOf(uplink int, mac string) (abi.StationKey, error) {
	key := abi.StationKey{Uplink: uint32(uplink)}
	if mac == "" {
		return key, nil
	}
	m, err := net.ParseMAC(mac)
	if err != nil || copy(key.Mac[:], m) != 6 {
		return key, fmt.Errorf("MAC address %q has not 6 bytes", mac)
	}
	return key, nil
}

// Unset removes rows, those of uplinks first.
func (s *Stations) Unset(_ context.Context, rows []station.Station) error {
	var errs []error
	for _, first := range []bool{true, false} {
		for _, r := range rows {
			if (r.MAC == "") != first {
				continue
			}
			key, err := keyOf(r.Uplink, r.MAC)
			if err == nil {
				if err = s.m.Delete(key); errors.Is(err, ebpf.ErrKeyNotExist) {
					err = nil
				}
			}
			if err != nil {
				errs = append(errs, &reconcile.RowError{Key: station.Stations.Key(r), Err: err})
			}
		}
	}
	return errors.Join(errs...)
}

// Row reads the row of a MAC address behind an uplink; of an empty one the uplink's own.
func (s *Stations) Row(uplink int, mac string) (row abi.Station, err error) {
	key, err := keyOf(uplink, mac)
	if err == nil {
		err = s.m.Lookup(key, &row)
	}
	return row, err
}
