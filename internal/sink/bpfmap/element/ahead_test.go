package element

import (
	"net/netip"
	"slices"
	"testing"

	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/table"
)

// row is one with so many backends.
func row(n byte) table.Frontend {
	r := table.Frontend{Protocol: 6, Maglev: maglev.Shape{Size: 251}}
	for i := range n {
		r.Backends = append(r.Backends, table.Backend{Address: netip.AddrFrom4([4]byte{10, 0, n, i}), Port: 80})
	}
	return r
}

func TestATableIsTheSameWhicheverWasExpected(t *testing.T) {
	for name, asked := range map[string][]byte{
		"all in their order":  {2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		"some of them":        {3, 9},
		"none":                nil,
		"backwards":           {11, 10, 3, 2},
		"others between them": {2, 20, 3, 21, 11},
	} {
		var rows []table.Frontend
		for n := byte(2); n < 12; n++ {
			rows = append(rows, row(n), row(n), row(0)) // of one service, and one without backends
		}
		tables := &Tables{}
		end := tables.Expect(slices.Values(rows))
		for _, n := range asked {
			r := row(n)
			if !slices.Equal(tables.table(r.Maglev, Members(r)), r.Maglev.Table(Members(r))) {
				t.Errorf("%s: the table of %d backends is another one", name, n)
			}
		}
		end()
	}
}
