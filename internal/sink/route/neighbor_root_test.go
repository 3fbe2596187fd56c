package route_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/sink/route"
	"weftnet.io/weftnet/internal/table/neighbor"
)

func TestTheKernelKeepsNeighborsOfOursAndLeavesOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("changes neighbours: run it as root")
	}
	ip(t, "link add wire type veth peer name wire-in")
	t.Cleanup(func() { ip(t, "link del wire") })
	ip(t, "link set wire up")
	ip(t, "link set wire-in up")
	ip(t, "neigh add 192.0.2.3 lladdr 02:00:00:00:00:03 dev wire nud permanent")
	s, err := route.NewNeighbors()
	if err != nil {
		t.Fatal(err)
	}
	row := func(a string) neighbor.Neighbor {
		return neighbor.Neighbor{Address: netip.MustParseAddr(a), Device: "wire"}
	}
	rows := []neighbor.Neighbor{row("192.0.2.2"), row("192.0.2.3"), row("2001:db8::2")}
	for range 2 { // what is there already is no error
		if err := s.Set(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	ours := func() (list []string) {
		dump, err := s.Dump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range dump {
			list = append(list, r.Address.String()+" "+r.Device)
		}
		return list
	}
	if have := strings.Join(ours(), ", "); have != "192.0.2.2 wire, 2001:db8::2 wire" && have != "2001:db8::2 wire, 192.0.2.2 wire" {
		t.Errorf("kept: %q", have)
	}
	if have := ip(t, "neigh show 192.0.2.3 dev wire"); !strings.Contains(have, "PERMANENT") {
		t.Errorf("an administrator's entry has become %q", have)
	}
	if err := s.Set(t.Context(), []neighbor.Neighbor{{Address: netip.MustParseAddr("192.0.2.9"), Device: "none"}}); err == nil || !strings.Contains(err.Error(), "device none") {
		t.Errorf("at a device that is not there: %v", err)
	}
	if err := s.Unset(t.Context(), rows[:1]); err != nil || len(ours()) != 1 {
		t.Errorf("one taken back: %v, %q", err, ours())
	}
	if n, err := s.Clear(t.Context()); n != 1 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
	if have := ip(t, "neigh show 192.0.2.3 dev wire"); !strings.Contains(have, "PERMANENT") {
		t.Errorf("an administrator's entry has become %q", have)
	}
}
