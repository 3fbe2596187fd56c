package datapath

import (
	"errors"

	"weftnet.io/weftnet/internal/datapath/filter"
	"weftnet.io/weftnet/internal/datapath/object"
	"weftnet.io/weftnet/internal/rtnetlink"
)

// atOnce exchanges all programs of earlier agents that this Datapath attaches the same way. All is looked up and opened first, so the first
// and the last of them are some ten microseconds apart for each that there is: where both work with maps of their own, a connection that
// begins at the one and is answered at the other in that time is not known there. What is left is done one by one.
func (d *Datapath) atOnce(list []Attachment) error {
	s, err := rtnetlink.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	var filters []rtnetlink.Change
	var links []func() error
	for _, a := range list {
		p := d.own(a.Program, a.By, a.Ifindex)
		if p == nil || a.Current || a.ID == 0 {
			continue
		}
		if a.By == (classic{}).name() {
			there, err := filter.List(a.Ifindex, filter.Side(object.Outwards(a.Program)))
			if old := filter.Named(there, a.Program); err == nil && old != nil {
				filters = append(filters, filter.Exchange(old, p.FD()))
			}
			continue
		}
		if l, err := linksOf(d.dir).Open(a.Program, a.Ifindex); err == nil && l != nil {
			defer l.Close()
			links = append(links, func() error { return l.Update(p) })
		}
	}
	for _, update := range links {
		err = errors.Join(err, update())
	}
	return errors.Join(err, s.Make(filters...))
}
