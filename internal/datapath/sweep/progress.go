package sweep

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Progress says of which connections passes have the kernel tell what they have carried so far: of one that is as old as the interval, once
// in each interval, at a moment of its own. So a thousand that were opened at once are not told at once. The zero Progress tells of none.
//
// What is told already the kernel knows (map progress), so an agent that begins goes on where the former one was, and moments that came
// between the two are left out: what they would have told the next one tells.
type Progress struct {
	every atomic.Int64
	last  uint64 // ns, CLOCK_MONOTONIC: of the pass before; 0: none
}

// Every sets the interval; 0: none is told.
func (p *Progress) Every(interval time.Duration) { p.every.Store(int64(interval)) }

// Within is the time between two passes that are to be this far apart: no longer than the interval, so that no moment is left out.
func (p *Progress) Within(apart time.Duration) time.Duration {
	if every := time.Duration(p.every.Load()); every > 0 {
		return min(apart, every)
	}
	return apart
}

// due are connections of a pass of which the kernel is to tell.
type due struct {
	every, last, now uint64
	keys             []abi.CtKey
}

// begin begins a pass. One that is the first since nothing was told finds no connection due.
func (p *Progress) begin(now uint64) due {
	d := due{every: uint64(p.every.Load()), last: p.last, now: now}
	p.last = now
	if d.every == 0 {
		p.last = 0
	}
	if d.last == 0 {
		d.every = 0
	}
	return d
}

// see notes a connection, if its moment came since the pass before.
func (d *due) see(key *sweepKey, v *abi.Ct) {
	if d.every == 0 || v.Flags&abi.CtEnded != 0 || v.Expires < d.now || d.now < v.Opened+d.every || !d.passed(v.Opened) {
		return
	}
	d.keys = append(d.keys, *(*abi.CtKey)(unsafe.Pointer(key)))
}

// passed tells whether a moment of a connection that was opened then lies between the pass before and this one.
func (d *due) passed(opened uint64) bool {
	const golden = 0x9e3779b97f4a7c15 // times this, times that differ a little differ much
	own := opened * golden % d.every
	return (d.now+own)/d.every != (d.last+own)/d.every
}

// tell has the kernel tell of what is due.
func (d *due) tell(maps map[string]*ebpf.Map, program *ebpf.Program) error {
	_, err := Mark(maps, program, abi.SweepProgress, d.keys)
	return err
}

// forgetProgress takes out of map progress what is of no connection any more: programs of a version that did not know it have removed that.
func forgetProgress(maps map[string]*ebpf.Map) error {
	var gone []abi.CtKey
	err := each(maps["progress"], func(key *abi.CtKey, _ *abi.Progress) error {
		var row abi.Ct
		err := maps["connections"].Lookup(key, &row)
		if errors.Is(err, ebpf.ErrKeyNotExist) || err == nil && row.Flags&abi.CtProgress == 0 {
			gone = append(gone, *key)
			return nil
		}
		return err
	})
	for key := range slices.Values(gone) {
		if e := maps["progress"].Delete(key); e != nil && !errors.Is(e, ebpf.ErrKeyNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return fmt.Errorf("forget what was told of connections that are gone: %w", err)
	}
	return nil
}
