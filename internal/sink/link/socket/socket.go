// Package socket keeps the programs at sockets equal to table Sockets.
//
// # The world it models
//
// The table has one row, or none. Programs are on the control group that the row means (socket.Find of the datapath), which others
// mount, make and remove; or on one where an earlier agent has put them; or nowhere.
//
// # Invariants
//
//   - Programs of an earlier agent serve until they are replaced in place, or no row wants them.
//   - A group that is another one now is found by comparison: nothing tells of it.
//
// # Example
//
//	loop := &reconcile.Loop[table.Sockets]{Table: tables.Sockets, Sink: socket.New(datapath, log), WaitSynced: true}
package socket

import (
	"context"
	"iter"
	"log/slog"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/datapath/socket"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Sink is that of table Sockets.
type Sink struct {
	datapath *datapath.Datapath
	log      *slog.Logger
}

// New attaches programs of a loaded datapath.
func New(d *datapath.Datapath, log *slog.Logger) *Sink { return &Sink{datapath: d, log: log} }

// Where is the control group that a row means: see socket.Find of the datapath.
func Where(want table.Sockets) (dir, instead string, err error) { return socket.Find(want.Group) }

// Dump gives what is attached.
func (s *Sink) Dump(context.Context) (iter.Seq2[state.Key, table.Sockets], error) {
	is, err := s.datapath.Sockets()
	if err != nil {
		return nil, err
	}
	return func(yield func(state.Key, table.Sockets) bool) {
		if is.Some {
			yield(table.SocketsKey, table.Sockets{Found: is.Group, Old: !is.Current})
		}
	}, nil
}

// Equal tells whether what is attached is on the group that is wanted now: control groups are mounted and removed by others.
func (s *Sink) Equal(want, have table.Sockets) bool {
	dir, _, err := Where(want)
	if err != nil || have.Old {
		return false
	}
	group, err := socket.Number(dir)
	return err == nil && group == have.Found
}

// Set attaches programs.
func (s *Sink) Set(_ context.Context, rows []table.Sockets) error {
	dir, instead, err := Where(rows[0]) // there is one
	if err != nil {
		return err
	}
	if instead != "" {
		s.log.Warn("cgroup-root is not used for programs at sockets", "why", instead, "instead", dir)
	}
	return s.datapath.AttachSockets(dir)
}

// Unset detaches them.
func (s *Sink) Unset(context.Context, []table.Sockets) error { return s.datapath.DetachSockets() }
