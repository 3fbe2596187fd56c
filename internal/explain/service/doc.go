// Package service answers questions of people about services: which there are, what became of one, and what happens to a packet
// that calls one. It reads the tables of an agent and the kernel's maps side by side.
//
// # The world it models
//
// A Service becomes frontends (table frontends), a frontend becomes rows of three maps: its head in services, its list in slots, and
// what those lead to in backends. Programs read maps alone, so a person who asks what happens must hear of both: what should be
// there, and what is.
//
//	table frontends        map services        map slots           map backends
//	10.96.0.10:80/tcp ---> 12, 2 slots    ---> 12/0 -> 7      ---> 7 -> 10.244.1.7:8080
//	                                           12/1 -> 9      ---> 9 -> 10.244.2.9:8080
//
// # Invariants
//
//   - A fault is what table and kernel do not agree about though the agent has written this very version of the row, and the row
//     is still the same after the maps were read. What is just being written is none, and is told as that.
//   - That a row cannot be written is a fault, too, in the words of the one that could not.
//   - In which slot a backend is does not matter; that each has one, and only one, does.
//   - Nothing is decided here: what policies say is from package explain, where a packet goes from table ipcache.
//
// # Example
//
//	n := service.Node{Tables: tables, Now: func() state.Reader { return db.Snapshot() }, Maps: maps}
//	detail, err := n.Show("shop/web")
//	detail.Faults // 10.96.0.10:80/tcp: slot 1 leads to backend 9, which map backends does not have
//	trace, err := n.Trace("shop/cart", "10.96.0.10:80", "tcp")
//	trace.Backends[0].Path // through the tunnel to 192.168.0.2, node b
package service

import (
	"net/netip"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Node is what answers are read from.
type Node struct {
	Tables *table.Tables
	Now    func() state.Reader // the latest state of the tables
	Maps   Maps                // nil: programs are not loaded yet
	Ways   Ways                // the same
}

// Maps are those of the kernel by which programs translate.
type Maps interface {
	// Frontend is what the kernel has of a row of table frontends.
	Frontend(row table.Frontend) (Held, error)
	// At are the frontends that the kernel has at these addresses, without backends.
	At(addresses []netip.Addr) ([]table.Frontend, error)
}

// Ways are the maps of the kernel by which programs know where a packet goes, and where the last one of a client went.
type Ways interface {
	// Place is who lives at an address and how to get there, as map ipcache or else map prefixes has it.
	Place(a netip.Addr) (row table.IPCacheRow, found bool, err error)
	// Kept is the backend that a client has at a service with affinity, and when it called last; 0: none.
	Kept(client netip.Addr, of uint32) (backend uint32, idle time.Duration, err error)
	// Admits tells whether a client may call a service that is limited to some.
	Admits(client netip.Addr, of uint32) (bool, error)
}

// Held is what the kernel has of a frontend.
type Held struct {
	ID              uint32 // 0: map services has no row
	Limited         bool   // map service_sources says who may call it
	AffinitySeconds uint32
	Backends        []HeldBackend // one for each slot that the row counts, then those of the table that no slot leads to
	Elements        []uint32      // of the Maglev table: the ID of its backend; 0: map maglev has none. None: calls find their backend by chance
}

// HeldBackend is a slot with what it leads to, or a backend without a slot.
type HeldBackend struct {
	Slot     int            // -1: none
	ID       uint32         // 0: map slots has no such slot
	Address  netip.AddrPort // invalid: map backends has no such number
	Protocol uint8
	Takes    bool // map slots says, for clients that the service keeps, that it takes new connections
}
