package network

import (
	"weftnet.io/weftnet/internal/datapath"
	derive "weftnet.io/weftnet/internal/derive/station"
	"weftnet.io/weftnet/internal/reconcile"
	sink "weftnet.io/weftnet/internal/sink/bpfmap/station"
	"weftnet.io/weftnet/internal/sink/link/member"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/station"
)

// StationDerivations and StationNeeds are those of NICs that share an uplink.
var (
	StationDerivations = derive.Derivations
	StationNeeds       = derive.Needs
)

// Stands tells whether a row of table nics is that of a NIC that shares an uplink.
var Stands = station.Stands

// FillsStations are their tables.
func FillsStations(*table.Tables) []state.AnyTable {
	return []state.AnyTable{station.Members, station.Networks, station.Stations, station.Insides}
}

// StationLoops keep the map stations, and the programs of NICs in their workloads' namespaces, whose paths begin below root.
func StationLoops(d *datapath.Datapath, root string) (*reconcile.Loop[station.Station], *reconcile.Loop[station.Inside]) {
	rows := sink.New(d.Map("stations"))
	return &reconcile.Loop[station.Station]{Table: station.Stations, Sink: rows, WaitSynced: true},
		&reconcile.Loop[station.Inside]{Table: station.Insides, Sink: &member.Programs{NICs: d.Inside, Sign: rows.Row, Root: root}, WaitSynced: true}
}
