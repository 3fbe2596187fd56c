package datapath

import (
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// A map that is full takes no new connection, and none of a former map. That keeps no agent from its start or its next
// configuration.
func TestAMoveIntoAMapThatIsFullEnds(t *testing.T) {
	s := newStand(t)
	sizes := func(n uint32) Config { return Config{Entries: map[string]uint32{"connections": n}} }
	d, err := Open(s.dir, sizes(10000))
	check(t, err)
	defer d.Close()
	check(t, d.Attach("from_net", s.host))
	former, opened := d.Map("connections"), uint16(0)
	open := func(n int) {
		for range n {
			opened++
			check(t, former.Put(abi.CtKey{Protocol: 17, Net: opened}, abi.Ct{Opened: 1000, Expires: 9000}))
		}
	}
	open(1000)
	next, err := Open(s.dir, sizes(2000))
	check(t, err)
	open(9000) // of one device that has the former program yet
	if done, err := next.Follow(); done || err != nil {
		t.Fatalf("follow while former programs run: %v, %v", done, err)
	}
	next.Close()
	next, err = Open(s.dir, sizes(2000))
	check(t, err)
	defer next.Close()
	check(t, next.replace())
	if done, err := next.Follow(); !done || err != nil {
		t.Fatalf("follow: %v, %v", done, err)
	}
	n := 0
	entries(t, next.Map("connections"), func(_, _ []byte) { n++ })
	if n != 2000 {
		t.Errorf("%d connections are there, want 2000", n)
	}
	check(t, next.Reload(sizes(20000)))
}
