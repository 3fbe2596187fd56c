// Package accelerator keeps the program of XDP on the devices that are to have it, and knows why one has not.
//
// # The world it models
//
// A row of table hooks asks for program xdp on a device. A device that cannot have it is no failure, since what the program would send on
// goes by tc: the row counts as done, and Unfit says why. Each comparison tries again.
//
// # Invariants
//
//   - Unfit speaks of devices whose row is there, no others.
//
// # Example
//
//	a := accelerator.New(datapath)
//	err := a.Attach(row)
//	why := a.Unfit(row.Device)
package accelerator

import (
	"errors"
	"sync"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/datapath/xdp"
	"weftnet.io/weftnet/internal/table"
)

// Program is the name of the program in table hooks.
const Program = "xdp"

// Accelerator puts the program of a loaded datapath on devices.
type Accelerator struct {
	datapath *datapath.Datapath

	mu    sync.Mutex
	unfit map[string]string // by device
}

// New attaches nothing yet.
func New(d *datapath.Datapath) *Accelerator {
	return &Accelerator{datapath: d, unfit: map[string]string{}}
}

// Rows are the attachments in the kernel, without names of devices.
func (a *Accelerator) Rows() (rows []table.Hook, err error) {
	list, err := a.datapath.XDP().List(a.datapath.Program(Program))
	for _, x := range list {
		rows = append(rows, table.Hook{Ifindex: x.Ifindex, Program: Program, Generic: x.Generic, Old: !x.Current || x.Unfit != nil})
	}
	return rows, err
}

// Attach attaches the program as a row asks for it, or notes why the device cannot have it.
func (a *Accelerator) Attach(r table.Hook) error {
	err := a.datapath.AttachXDP(r.Ifindex, r.Generic)
	var unfit *xdp.UnfitError
	if errors.As(err, &unfit) {
		a.note(r.Device, unfit.Why)
		return nil
	}
	a.note(r.Device, "")
	return err
}

// Detach takes it off.
func (a *Accelerator) Detach(r table.Hook) error {
	a.note(r.Device, "")
	return a.datapath.XDP().Detach(r.Ifindex)
}

func (a *Accelerator) note(device, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unfit[device] = why
	if why == "" {
		delete(a.unfit, device)
	}
}

// Unfit says why a device that is to have the program has not; empty: it has, or will.
func (a *Accelerator) Unfit(device string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unfit[device]
}

// Led is how many packets the program has led on, by all devices, since the node's maps were made.
func (a *Accelerator) Led() (packets uint64) {
	var each []abi.Counter
	if err := a.datapath.Map("counters").Lookup(uint32(abi.HookXdp)<<8, &each); err != nil {
		return 0
	}
	for _, n := range each {
		packets += n.Packets
	}
	return packets
}
