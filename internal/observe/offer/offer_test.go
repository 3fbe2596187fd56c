package offer

import (
	"net/netip"
	"testing"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestAnAddressAndPortHasTheNameOfItsService(t *testing.T) {
	tables, db := table.New()
	rows := []table.Frontend{
		{Address: netip.MustParseAddr("10.96.0.10"), Port: 80, Protocol: 6, Namespace: "shop", Name: "web", Kind: table.ClusterIP},
		{Address: netip.MustParseAddr("203.0.113.7"), Port: 80, Protocol: 6, Namespace: "shop", Name: "edge", Kind: table.LoadBalancer, Scope: table.ScopeOutside},
		{Address: netip.IPv4Unspecified(), Port: 30080, Protocol: 6, Namespace: "shop", Name: "web", Kind: table.NodePort},
		{Address: netip.MustParseAddr("192.0.2.1"), Port: 8081, Protocol: 6, Namespace: "shop", Name: "pod-1", Kind: table.HostPort},
	}
	err := db.Write(func(tx *state.Tx) error {
		for _, row := range rows {
			tables.Frontends.Put(tx, row)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n, r := New(tables), db.Snapshot()
	for _, c := range []struct {
		at     string
		port   uint16
		called string // the name when it was translated there
		at0    string // the name when a packet has it still
	}{
		{"10.96.0.10", 80, "web", "web"},
		{"10.96.0.10", 81, "", ""},
		{"203.0.113.7", 80, "edge", "edge"},
		{"192.0.2.1", 30080, "web", ""},
		{"192.0.2.1", 8081, "", ""},
		{"2001:db8::1", 30080, "", ""},
	} {
		at := netip.MustParseAddr(c.at)
		if have := n.Called(r, at, c.port, 6).GetName(); have != c.called {
			t.Errorf("%s:%d was called as %q, want %q", c.at, c.port, have, c.called)
		}
		if have := n.At(r, at, c.port, 6).GetName(); have != c.at0 {
			t.Errorf("%s:%d is %q, want %q", c.at, c.port, have, c.at0)
		}
	}
}
