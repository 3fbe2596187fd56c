package datapath

import (
	"math"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Packets change the row of a connection at any moment: what the agent says of it touches nothing else.
func TestTheKernelMarksAConnectionWhereItIs(t *testing.T) {
	d, err := Open(pinDirectory(t), Config{Entries: map[string]uint32{"connections": 1024}})
	check(t, err)
	defer d.Close()
	rows := d.Map("connections")
	lives, over, none := abi.CtKey{Protocol: 6, Net: 1}, abi.CtKey{Protocol: 6, Net: 2}, abi.CtKey{Protocol: 6, Net: 3}
	was := abi.Ct{Opened: 1000, Expires: math.MaxInt64, Flags: abi.CtOpening | abi.CtSyn, WayA: abi.CtWay{Next: 7, Acked: 8}}
	check(t, rows.Put(lives, was))
	check(t, rows.Put(over, abi.Ct{Opened: 1000, Expires: 1}))
	for name, c := range map[string]struct {
		key   abi.CtKey
		known bool
	}{"one that lives": {lives, true}, "one that is past its time": {over, false}, "none": {none, false}} {
		n, err := d.Mark(abi.SweepExempt, c.key)
		check(t, err)
		if (n == 1) != c.known {
			t.Errorf("%s is known: %v", name, n == 1)
		}
	}
	var got abi.Ct
	check(t, rows.Lookup(lives, &got))
	was.Flags |= abi.CtExempt
	if got != was {
		t.Errorf("the row is %+v, want %+v", got, was)
	}
	if rows.Lookup(over, &got) == nil {
		t.Error("the row of a connection that is past its time keeps its place")
	}
	n, err := d.Mark(abi.SweepMade, make([]abi.CtKey, 600)...) // more than one run looks at
	check(t, err)
	if n != 600 {
		t.Errorf("%d are counted, want 600", n)
	}
	for _, owner := range []uint32{0, abi.OwnerAll} {
		var quota abi.Quota
		check(t, d.Map("quota").Lookup(owner, &quota))
		if held := quota.Held[abi.QuotaConnections]; held != 600 && held != 599 {
			t.Errorf("owner %d holds %d, want 600", owner, held)
		}
	}
}
