package datapath

import (
	"path/filepath"

	"weftnet.io/weftnet/internal/datapath/socket"
)

func (d *Datapath) sockets() socket.At { return socket.At{Dir: filepath.Join(d.dir, linkDir)} }

// AttachSockets puts the programs at sockets, which Config.Sockets loads, on the control group of this directory. They outlive the process.
func (d *Datapath) AttachSockets(cgroup string) error {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return d.sockets().Attach(d.programs, cgroup)
}

// DetachSockets takes them off.
func (d *Datapath) DetachSockets() error { return d.sockets().Detach() }

// SocketGroup is the number of the control group that they are on, 0: none; current says whether they are this Datapath's.
func (d *Datapath) SocketGroup() (group uint64, current bool, err error) {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return d.sockets().Group(d.programs)
}
