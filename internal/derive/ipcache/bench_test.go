package ipcache

import (
	"fmt"
	"net/netip"
	"testing"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

const (
	benchNodes = 500
	benchPods  = 50 // per node
)

func nodeAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 168, byte(n >> 8), byte(n)}) }

func endpoint(n, p int) table.Endpoint {
	a := netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), byte(p)})
	return table.Endpoint{
		Namespace: "ns", Name: fmt.Sprint("p", n, "-", p), Identity: identity.Number(300 + p), Addresses: []netip.Addr{a}, Node: nodeAddr(n),
	}
}

// large is a cluster of 500 nodes and 25,000 pods.
func large() (*table.Tables, *state.DB) {
	t, db := table.New()
	write(db, func(tx *state.Tx) {
		for n := range benchNodes {
			t.Nodes.Put(tx, table.Node{Name: fmt.Sprint("n", n), Local: n == 0, Addresses: []netip.Addr{nodeAddr(n)}})
			for p := range benchPods {
				t.Endpoints.Put(tx, endpoint(n, p))
			}
		}
	})
	return t, db
}

func BenchmarkTheFirstPassOver25000Pods(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		t, db := large()
		b.StartTimer()
		New(t).Step(db)
	}
}

func BenchmarkAPodComesAmong25000(b *testing.B) {
	t, db := large()
	d := New(t)
	d.Step(db)
	for i := 0; b.Loop(); i++ {
		write(db, func(tx *state.Tx) { t.Endpoints.Put(tx, endpoint(i%benchNodes, 100+i%100)) })
		d.Step(db)
		write(db, func(tx *state.Tx) { t.Endpoints.Delete(tx, t.Endpoints.Key(endpoint(i%benchNodes, 100+i%100))) })
		d.Step(db)
	}
}

func BenchmarkANodeChangesAmong500(b *testing.B) {
	t, db := large()
	d := New(t)
	d.Step(db)
	for i := 0; b.Loop(); i++ {
		write(db, func(tx *state.Tx) {
			t.Nodes.Put(tx, table.Node{Name: "n7", Addresses: []netip.Addr{nodeAddr(7), netip.AddrFrom4([4]byte{1, 1, byte(i >> 8), byte(i)})}})
		})
		d.Step(db)
	}
}
