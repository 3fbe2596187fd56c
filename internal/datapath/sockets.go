package datapath

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"weftnet.io/weftnet/internal/datapath/socket"
)

func (d *Datapath) sockets() socket.At { return socket.At{Dir: filepath.Join(d.dir, linkDir)} }

// AttachSockets puts the programs at sockets on the control group of this directory, or into the places of those that are there. They
// outlive the process. They are loaded now if they are not: only who wants them needs a kernel that takes them, and memory for
// their maps.
func (d *Datapath) AttachSockets(cgroup string) error {
	d.loading.Lock()
	defer d.loading.Unlock()
	if err := d.loadSockets(); err != nil {
		return err
	}
	d.swap.RLock()
	defer d.swap.RUnlock()
	return d.sockets().Attach(d.programs, cgroup)
}

// loadSockets loads programs and maps beside those that are there. If it fails, all is as it was.
func (d *Datapath) loadSockets() error {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.swap.Lock()
	defer d.swap.Unlock()
	if d.config.sockets {
		return nil
	}
	if len(d.migrations) > 0 {
		return ErrMoving
	}
	programs, err := d.load(socket.Object, d.config, nil)
	if err == nil {
		err = d.settle()
	}
	if err != nil {
		for _, name := range d.unpinned {
			err = errors.Join(err, d.maps[name].Close())
			delete(d.maps, name)
		}
		for _, g := range slices.Concat(d.migrations, d.unread) {
			g.close()
		}
		for _, p := range programs {
			p.Close()
		}
		d.unpinned, d.migrations, d.unread = nil, nil, nil
		return err
	}
	maps.Copy(d.programs, programs)
	d.config.sockets = true
	d.tellMoves()
	return nil
}

// DetachSockets takes them off. Those that are loaded stay for the next time, as Reload has them.
func (d *Datapath) DetachSockets() error { return d.sockets().Detach() }

// Sockets tells which are attached, and where; those of an earlier agent, too.
func (d *Datapath) Sockets() (socket.State, error) {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return d.sockets().State(d.programs)
}
