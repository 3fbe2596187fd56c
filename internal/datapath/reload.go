package datapath

import (
	"errors"
	"net"
	"reflect"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// ErrMoving says that entries of former maps are still moved; another configuration has to wait for that.
var ErrMoving = errors.New("entries of the former maps are still moved")

// Reload loads the programs with another configuration and puts them in the place of the former ones on every device, one
// after the other, while packets flow. Maps that get another size are made anew and filled from the former ones: call Follow until
// that is done. If Reload fails before programs are exchanged, nothing has changed.
func (d *Datapath) Reload(config Config) error {
	d.loading.Lock()
	defer d.loading.Unlock()
	config.callersSeed, config.hostNetns, config.hostConntrack, config.sockets = d.config.callersSeed, d.config.hostNetns, d.config.hostConntrack, d.config.sockets
	if !reflect.DeepEqual(config, d.config) {
		if len(d.Moving()) > 0 {
			return ErrMoving
		}
		next, err := d.successor(config)
		if err != nil {
			return err
		}
		former, err := d.settleInto(next)
		if err != nil {
			next.discard(d)
			return err
		}
		d.tellMoves()
		for _, p := range former {
			defer p.Close()
		}
	}
	return d.replace()
}

// settleInto fills and pins the successor's maps and takes it over, with no entry written in between. It returns the former programs.
func (d *Datapath) settleInto(next *Datapath) ([]*ebpf.Program, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := next.settle(); err != nil {
		return nil, err
	}
	return d.exchange(next), nil
}

// successor loads the programs with another configuration. It has the same maps, but for those that get another size: these are not
// pinned yet, so a failure changes nothing.
func (d *Datapath) successor(config Config) (*Datapath, error) {
	next := newDatapath(d.dir, config)
	for name, m := range d.maps {
		if size := config.Entries[name]; resizes(name) && size != d.config.Entries[name] {
			continue
		}
		next.maps[name] = m
		if why := d.kept[name]; why != "" {
			next.kept[name] = why
		}
	}
	err := next.loadAll(btf.NewCache())
	if err == nil && d.paired != nil {
		err = next.loadPaired()
	}
	if err == nil {
		return next, nil
	}
	next.discard(d)
	return nil, err
}

// discard closes what a successor has and d has not.
func (next *Datapath) discard(d *Datapath) {
	for name, m := range next.maps {
		if d.maps[name] != m {
			m.Close()
		}
	}
	for _, p := range next.all() {
		p.Close()
	}
	for _, g := range slices.Concat(next.migrations, next.unread) {
		g.close()
	}
}

// exchange takes over the successor's programs and maps, and returns the former programs.
func (d *Datapath) exchange(next *Datapath) []*ebpf.Program {
	d.swap.Lock()
	defer d.swap.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	former := d.all()
	for name, m := range d.maps {
		if next.maps[name] == m {
			continue
		}
		moves := false
		for _, g := range next.migrations {
			if g.name == name {
				g.held, moves = m, true
			}
		}
		if !moves {
			m.Close() // the successor has opened the same one
		}
	}
	d.programs, d.paired, d.maps, d.hooks, d.config, d.migrations = next.programs, next.paired, next.maps, next.hooks, next.config, next.migrations
	d.kept = next.kept
	return former
}

func (d *Datapath) all() (list []*ebpf.Program) {
	for _, p := range d.programs {
		list = append(list, p)
	}
	if d.paired != nil {
		list = append(list, d.paired)
	}
	return list
}

// TakeOver puts programs in the place of an earlier agent's, all at once, if these go on with maps of another shape: of a connection that begins
// at a device with the one the other knows nothing, so its answer would be lost at a device that has these still. It leaves them where a map
// begins empty, but for counters: what an earlier agent has told its programs there, this one has to tell first.
func (d *Datapath) TakeOver() error {
	untold := slices.ContainsFunc(d.Renewed(), func(name string) bool { return name != "counters" })
	if len(d.Moving()) == 0 || untold {
		return nil
	}
	return d.replace()
}

// replace puts this Datapath's programs in the place of those that earlier ones have attached. What those have learnt is copied right before
// and right after: a packet that meets another program than the last of its connection finds that there.
func (d *Datapath) replace() error {
	list, err := d.Attachments()
	if err == nil {
		err = d.learn()
	}
	if err != nil {
		return err
	}
	_ = d.atOnce(list) // what it could not do fails below, too, with a better reason
	err = errors.Join(d.Inside.Replace(), d.sockets().Replace(d.programs), d.XDP().Replace(d.programs["xdp"]), d.learn())
	list, failed := d.Attachments()
	errs := []error{err, failed}
	for _, a := range list {
		if a.Current {
			continue
		}
		if _, err := net.InterfaceByIndex(a.Ifindex); err != nil {
			continue // the device is gone, and what was on it
		}
		errs = append(errs, d.Attach(a.Program, a.Ifindex))
	}
	return errors.Join(errs...)
}
