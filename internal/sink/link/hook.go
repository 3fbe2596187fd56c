package link

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link/accelerator"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Hooks keeps programs on devices equal to table.Hooks. Programs of an earlier agent are replaced in place.
//
// A workload's programs go only after its NIC row: without a row the program drops everything, without a program
// nothing is checked.
type Hooks struct {
	datapath *datapath.Datapath
	serves   func(ifindex uint32) bool

	Accelerator *accelerator.Accelerator // has the program of XDP
}

// NewHooks attaches programs of a loaded datapath; serves tells whether a device has a NIC row in the kernel.
func NewHooks(d *datapath.Datapath, serves func(ifindex uint32) bool) *Hooks {
	return &Hooks{datapath: d, serves: serves, Accelerator: accelerator.New(d)}
}

// Dump lists the attachments in the kernel. Those on devices that are gone have a name that no device can have.
func (h *Hooks) Dump(context.Context) (iter.Seq2[state.Key, table.Hook], error) {
	list, err := h.datapath.Attachments()
	if err != nil {
		return nil, err
	}
	rows, err := h.Accelerator.Rows()
	if err != nil {
		return nil, err
	}
	devices, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	names := make(map[int]string, len(devices))
	for _, d := range devices {
		names[d.Index] = d.Name
	}
	for _, a := range list {
		rows = append(rows, table.Hook{Ifindex: a.Ifindex, Program: a.Program, Old: !a.Current})
	}
	return func(yield func(state.Key, table.Hook) bool) {
		for _, row := range rows {
			row.Device = fmt.Sprintf("/gone/%d", row.Ifindex)
			if name, ok := names[row.Ifindex]; ok {
				row.Device = name
			}
			if !yield(state.Join(row.Device, row.Program), row) {
				return
			}
		}
	}, nil
}

// Set attaches programs: to a workload's new device all by one message.
func (h *Hooks) Set(_ context.Context, rows []table.Hook) error {
	var errs []error
	for len(rows) > 0 { // in order of devices
		n := 1
		for n < len(rows) && rows[n].Ifindex == rows[0].Ifindex {
			n++
		}
		errs, rows = append(errs, h.attach(rows[:n])...), rows[n:]
	}
	return errors.Join(errs...)
}

// attach attaches the programs of one device.
func (h *Hooks) attach(rows []table.Hook) (errs []error) {
	var programs []string
	for _, r := range rows {
		programs = append(programs, r.Program)
	}
	if done, err := h.datapath.AttachNew(rows[0].Ifindex, programs...); done && err == nil {
		return nil
	}
	for _, r := range rows {
		err := error(nil)
		if r.Program == accelerator.Program {
			err = h.Accelerator.Attach(r)
		} else {
			err = h.datapath.Attach(r.Program, r.Ifindex)
		}
		if err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Device, r.Program), Err: fmt.Errorf("device %s: %w", r.Device, err)})
		}
	}
	return errs
}

// Unset detaches programs.
func (h *Hooks) Unset(_ context.Context, rows []table.Hook) error {
	var errs []error
	for _, r := range rows {
		err := error(nil)
		switch {
		case r.Program == accelerator.Program:
			err = h.Accelerator.Detach(r)
		case h.serves(uint32(r.Ifindex)) && there(r.Ifindex):
			err = errors.New("its NIC is still in service")
		default:
			err = h.datapath.Detach(r.Program, r.Ifindex)
		}
		if err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Device, r.Program), Err: fmt.Errorf("device %s: %w", r.Device, err)})
		}
	}
	return errors.Join(errs...)
}

// there tells whether a device exists: nothing runs on one that is gone.
func there(ifindex int) bool {
	_, err := net.InterfaceByIndex(ifindex)
	return err == nil
}
