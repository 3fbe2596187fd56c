package link

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Programs keeps what the programs of this node are told equal to table.Programs. The first row opens the datapath; each
// one after it has the programs loaded anew and put in the place of the former ones, while packets flow.
type Programs struct {
	o      ProgramOptions
	opened chan *datapath.Datapath

	datapath *datapath.Datapath
	have     table.Programs
	is       bool // have is what the programs run with
}

// ProgramOptions say what of the machine programs are told.
type ProgramOptions struct {
	Dir   string                                             // of pins
	Ports func() (low, high uint16)                          // that masquerade may take
	Sizes func(settings.MapSizes) (map[string]uint32, error) // of maps by name
	Tell  func(sizes []table.MapSize) error                  // of those maps what they have got
	Took  func(time.Duration)                                // to load all programs; nil: it is not asked
	Log   *slog.Logger
}

// NewPrograms loads nothing yet.
func NewPrograms(o ProgramOptions) *Programs {
	return &Programs{o: o, opened: make(chan *datapath.Datapath, 1)}
}

// Opened gives the datapath once it is open.
func (p *Programs) Opened() <-chan *datapath.Datapath { return p.opened }

// Dump gives the row that the programs run with.
func (p *Programs) Dump(context.Context) (iter.Seq2[state.Key, table.Programs], error) {
	return func(yield func(state.Key, table.Programs) bool) {
		if p.is {
			yield(table.ProgramsKey, p.have)
		}
	}, nil
}

// Set loads programs.
func (p *Programs) Set(_ context.Context, rows []table.Programs) error {
	row := rows[0] // there is one
	config, err := p.config(row)
	if err != nil {
		return err
	}
	began := time.Now()
	if p.datapath == nil {
		d, err := datapath.Open(p.o.Dir, config)
		if err != nil {
			return fmt.Errorf("open datapath: %w", err)
		}
		for _, name := range d.Renewed() {
			p.o.Log.Warn("a map of an earlier version has a shape that this version cannot read: it begins empty", "map", name)
		}
		p.datapath = d
		err = d.TakeOver()
		if p.opened <- d; err != nil {
			return fmt.Errorf("put programs in the place of an earlier agent's: %w", err)
		}
	} else if err := p.datapath.Reload(config); err != nil {
		return fmt.Errorf("load programs with another configuration: %w", err)
	} else {
		p.o.Log.Info("programs run with another configuration", "was", p.have.Row(), "is", row.Row())
	}
	if p.o.Took != nil {
		p.o.Took(time.Since(began))
	}
	p.have, p.is = row, true
	return p.o.Tell(p.sizes(config.Entries))
}

// sizes compares what maps have with what they are to have.
func (p *Programs) sizes(entries map[string]uint32) (list []table.MapSize) {
	kept := p.datapath.Kept()
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		size := table.MapSize{Map: name, Entries: p.datapath.Map(name).MaxEntries(), Asked: entries[name]}
		if size.Entries != size.Asked {
			size.Why = kept[name]
			p.o.Log.Warn("a map keeps its size", "map", name, "entries", size.Entries, "asked", size.Asked, "why", size.Why)
		}
		list = append(list, size)
	}
	return list
}

// Unset leaves the programs as they are: they serve until something else is known.
func (p *Programs) Unset(context.Context, []table.Programs) error {
	p.is = false
	return nil
}

func (p *Programs) config(row table.Programs) (c datapath.Config, err error) {
	c = datapath.Config{
		OverlayIfindex: row.Overlay, TunnelPort: row.TunnelPort, Tunnel: row.Tunnel, World4: uint32(row.World4), World6: uint32(row.World6),
		Masquerade4: row.Masquerade4, Masquerade6: row.Masquerade6, Loopback4: row.Loopback4, Loopback6: row.Loopback6,
		Silent: !row.Reject, Classic: row.Classic, Constants: row.Constants,
	}
	c.NATPortMin, c.NATPortMax = p.o.Ports()
	c.Entries, err = p.o.Sizes(row.Sizes)
	return c, err
}
