package datapath

import (
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// While some devices have the former programs, either kind may see a connection first: the other one takes its answer for a
// call of the other end.
func TestOfTwoRowsOfAConnectionTheOneThatWasOpenedFirstCounts(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 1024}})
	check(t, err)
	t.Cleanup(d.Close)
	check(t, d.Attach("from_net", s.host))
	next, err := d.successor(Config{Entries: map[string]uint32{"connections": 4096}})
	check(t, err)
	check(t, next.settle())
	for _, p := range d.exchange(next) {
		defer p.Close()
	}
	former := d.migrations[0].old
	call, answer := abi.Ct{Opened: 1000, Expires: 9000}, abi.Ct{Opened: 2000, Expires: 9000, Flags: abi.CtFromB | abi.CtCalled}
	seenByNext, seenByFormer := abi.CtKey{Protocol: 17, Net: 1}, abi.CtKey{Protocol: 17, Net: 2}
	check(t, d.Map("connections").Put(seenByNext, call))
	check(t, former.Put(seenByNext, answer))
	check(t, d.Map("connections").Put(seenByFormer, answer))
	check(t, former.Put(seenByFormer, call))
	_, err = d.Follow()
	check(t, err)
	for name, key := range map[string]abi.CtKey{"by the next program": seenByNext, "by the former": seenByFormer} {
		var got abi.Ct
		check(t, d.Map("connections").Lookup(key, &got))
		if got.Opened != call.Opened || got.Flags != 0 {
			t.Errorf("seen first %s: opened at %d, %v", name, got.Opened, got.Flags)
		}
	}
}

// The next program may be the first to see that a connection has ended, and a new one of the same ends begin. What the former
// map still has is of the earlier one.
func TestARowOfAConnectionThatHadEndedCountsNoMore(t *testing.T) {
	s := newStand(t)
	smaller, larger := Config{Entries: map[string]uint32{"connections": 1024}}, Config{Entries: map[string]uint32{"connections": 4096}}
	d, err := Open(s.dir, smaller)
	check(t, err)
	defer d.Close()
	check(t, d.Attach("from_net", s.host))
	ended, goesOn, gone := abi.CtKey{Protocol: 17, Net: 1}, abi.CtKey{Protocol: 17, Net: 2}, abi.CtKey{Protocol: 17, Net: 3}
	for _, key := range []abi.CtKey{ended, goesOn, gone} {
		check(t, d.Map("connections").Put(key, abi.Ct{Opened: 1000, Expires: 5000}))
	}
	former := d.Map("connections")
	dies, err := Open(s.dir, larger) // before all devices have its programs
	check(t, err)
	check(t, dies.Map("connections").Put(ended, abi.Ct{Opened: 6000, Expires: 9000}))
	check(t, dies.Map("connections").Put(goesOn, abi.Ct{Opened: 1000, Expires: 9000, WayA: abi.CtWay{Carried: abi.Carried{Packets: 7}}}))
	check(t, dies.Map("connections").Delete(gone))
	check(t, former.Put(gone, abi.Ct{Opened: 1000, Expires: 5001}))
	_, err = dies.Follow()
	check(t, err)
	var got abi.Ct
	if err := dies.Map("connections").Lookup(gone, &got); err == nil {
		t.Error("a connection that is gone is back")
	}
	dies.Close()
	next, err := Open(s.dir, larger)
	check(t, err)
	defer next.Close()
	check(t, next.Map("connections").Lookup(ended, &got))
	if got.Opened != 6000 {
		t.Errorf("the row of the new connection is that of the one that had ended: opened at %d", got.Opened)
	}
	check(t, next.Map("connections").Lookup(goesOn, &got))
	if got.WayA.Carried.Packets != 7 {
		t.Errorf("the row of the connection that goes on has %d packets, want 7", got.WayA.Carried.Packets)
	}
}

// The former programs see more of a connection after its row was copied: the row follows.
func TestARowThatChangesAfterItWasCopiedFollows(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 1024}})
	check(t, err)
	defer d.Close()
	check(t, d.Attach("from_net", s.host))
	key, seen := abi.CtKey{Protocol: 6, Net: 1}, abi.Ct{Opened: 1000, Expires: 5000, Flags: abi.CtOpening}
	former := d.Map("connections")
	check(t, former.Put(key, seen))
	next, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 4096}})
	check(t, err)
	defer next.Close()
	seen.Flags, seen.Expires = abi.CtReplied, 9000
	check(t, former.Put(key, seen))
	_, err = next.Follow()
	check(t, err)
	var got abi.Ct
	check(t, next.Map("connections").Lookup(key, &got))
	if got.Flags != abi.CtReplied {
		t.Errorf("its flags are %v, want %v", got.Flags, abi.CtReplied)
	}
}

// The end of a connection is told once: the row whose end is told counts, whichever program has told it.
func TestOfTwoRowsOfAConnectionTheOneWhoseEndIsToldCounts(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 1024}})
	check(t, err)
	defer d.Close()
	check(t, d.Attach("from_net", s.host))
	row := func(packets uint64, flags abi.CtFlag) abi.Ct {
		return abi.Ct{Opened: 1000, Expires: 9000, Flags: flags, WayA: abi.CtWay{Carried: abi.Carried{Packets: packets}}}
	}
	byFormer, byNext := abi.CtKey{Protocol: 6, Net: 1}, abi.CtKey{Protocol: 6, Net: 2}
	former := d.Map("connections")
	check(t, former.Put(byFormer, row(3, 0)))
	check(t, former.Put(byNext, row(3, 0)))
	next, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 4096}})
	check(t, err)
	defer next.Close()
	check(t, former.Put(byFormer, row(4, abi.CtEnded)))
	check(t, next.Map("connections").Put(byFormer, row(5, 0)))
	check(t, former.Put(byNext, row(6, 0)))
	check(t, next.Map("connections").Put(byNext, row(4, abi.CtEnded)))
	_, err = next.Follow()
	check(t, err)
	for name, key := range map[string]abi.CtKey{"by the former program": byFormer, "by the next": byNext} {
		var got abi.Ct
		check(t, next.Map("connections").Lookup(key, &got))
		if got.Flags&abi.CtEnded == 0 {
			t.Errorf("an end that was told %s will be told again", name)
		}
	}
}

// While programs are loaded, and until the next ones stand on all devices, the former learn of connections: none of these is unknown once
// the next have taken over, or its answer would be taken for a call.
func TestWhatTheFormerProgramsLearnUntilTheEndIsKnownWhenTheyAreReplaced(t *testing.T) {
	s := newStand(t)
	d, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 1024}})
	check(t, err)
	defer d.Close()
	check(t, d.Attach("from_net", s.host))
	check(t, d.Attach("to_pod", s.peer))
	former, key := d.Map("connections"), abi.CtKey{Protocol: 6, Net: 1}
	next, err := Open(s.dir, Config{Entries: map[string]uint32{"connections": 4096}})
	check(t, err)
	defer next.Close()
	check(t, former.Put(key, abi.Ct{Opened: 1000, Expires: 5000}))
	check(t, next.TakeOver())
	var got abi.Ct
	check(t, next.Map("connections").Lookup(key, &got))
	if got.Opened != 1000 {
		t.Errorf("the row of the connection has %d as the time at which it was opened", got.Opened)
	}
	list, err := next.Attachments()
	check(t, err)
	for _, a := range list {
		if !a.Current {
			t.Errorf("%s of the former agent is still on device %d", a.Program, a.Ifindex)
		}
	}
	if len(list) != 2 {
		t.Errorf("attached are %v", list)
	}
}
