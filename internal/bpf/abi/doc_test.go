package abi

import (
	"net/netip"
	"testing"
)

func TestAnAddressSurvivesTheWayThroughTheKernel(t *testing.T) {
	for _, text := range []string{"10.0.0.5", "0.0.0.0", "fd00::1", "::1"} {
		a := netip.MustParseAddr(text)
		if have := From(a).IP(); have != a {
			t.Errorf("%s became %s", a, have)
		}
	}
	if From(netip.Addr{}) != (Addr{}) || (Addr{}).IP().IsValid() {
		t.Error("no address and the zero Addr are not the same")
	}
}

func TestAnIPv4AddressIsStoredMapped(t *testing.T) {
	if have := From(netip.MustParseAddr("10.0.0.5")); have != (Addr{10: 255, 11: 255, 12: 10, 15: 5}) {
		t.Errorf("have % x", have[:])
	}
}

func TestPortsAreInNetworkByteOrder(t *testing.T) {
	if p := Port(80); p != (BePort{0, 80}) || p.Number() != 80 || p.String() != "80" {
		t.Errorf("have %v", p)
	}
}

func TestEnumsPrintTheNamesOfTheHeader(t *testing.T) {
	for _, c := range []struct{ have, want string }{
		{VerdictDenyImplicit.String(), "deny_implicit"},
		{HookFromPod.String(), "from_pod"},
		{(IpcacheLocal | IpcacheNode).String(), "local,node"},
		{IpcacheFlag(1 << 15).String(), "0x8000"},
		{Verdict(200).String(), "200"},
	} {
		if c.have != c.want {
			t.Errorf("have %q, want %q", c.have, c.want)
		}
	}
}
