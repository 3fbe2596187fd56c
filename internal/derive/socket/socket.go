// Package socket derives what programs at sockets do, and where they are, of the configuration.
//
// # The world it models
//
// A process that calls a service has a socket, and a control group: a program there leads the call to a backend before there is a
// packet. Three questions are asked of the configuration, each with an answer of its own, so that a change of one leaves the
// rest alone:
//
//	wanted at all?  on which control group?   a row of table sockets, or none
//	for which callers?                        a constant of the programs (table programs)
//
// # Invariants
//
//   - There is no row only if the configuration does not want one: programs of an earlier agent serve until that is known.
//
// # Example
//
//	d := socket.New(tables) // fills tables.Sockets
//	variable, _, value := socket.Constants(tables)
package socket

import (
	"net/netip"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// New makes the derivation that fills t.Sockets.
func New(t *table.Tables) *state.Derivation[table.Sockets] {
	only := []state.Key{table.SocketsKey}
	return &state.Derivation[table.Sockets]{
		Name:  "sockets",
		Out:   t.Sockets,
		KeyOf: func(table.Sockets) state.Key { return table.SocketsKey },
		Inputs: []state.Input{state.On(t.Configs, func(_ state.Reader, c table.Config) []state.Key {
			if c.Concern == settings.OfServices {
				return only
			}
			return nil
		})},
		Compute: func(r state.Reader, _ state.Key) []table.Sockets {
			if c := t.Config(r).Sockets; c.On {
				return []table.Sockets{{Group: c.Group, HostOnly: c.HostOnly}}
			}
			return nil
		},
	}
}

// Constants is what programs are told: variable sockets of bpf/lib/sockets.h.
func Constants(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
	return "sockets", nil, func(r state.Reader) any {
		of := t.Config(r).Services
		c, told := of.Sockets, abi.SocketConfig{}
		if of.Outside.NodePorts && of.Sockets.HoldPorts {
			told.HoldPorts = 1
		}
		for bit, a := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
			if !of.Outside.At.Has(a, nil) {
				told.Portless |= 1 << bit
			}
		}
		if c.On {
			told.On = 1
		}
		if c.HostOnly {
			told.HostOnly = 1
		}
		return told
	}
}
