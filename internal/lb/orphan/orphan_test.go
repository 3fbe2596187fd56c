package orphan

import (
	"net/netip"
	"slices"
	"testing"
)

const tcp, udp = 6, 17

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func TestASocketIsAnOrphanWhenTheServiceThatItCalledDoesNotOfferItsBackend(t *testing.T) {
	dns, other := at("10.96.0.10:53"), at("10.96.0.11:53")
	one, two := Backend{at("10.244.1.7:53"), udp}, Backend{at("10.244.1.8:53"), udp}
	offered := map[netip.AddrPort][]Backend{dns: {two}, other: {one}}
	offers := func(service netip.AddrPort, b Backend) bool { return slices.Contains(offered[service], b) }
	sockets := []Led{
		{Socket{1, one}, dns},
		{Socket{2, two}, dns},
		{Socket{3, one}, other},
		{Socket{4, Backend{one.At, tcp}}, dns},
		{Socket{5, Backend{At: one.At}}, dns},
		{Socket{6, Backend{at("[::ffff:10.244.1.8]:53"), udp}}, at("[::ffff:10.96.0.10]:53")},
	}
	if have := Of(sockets, offers, udp); !slices.Equal(have, []Socket{{1, one}, {5, one}}) {
		t.Errorf("orphans of UDP: %v", have)
	}
	want := []Socket{{1, one}, {4, Backend{one.At, tcp}}, {5, one}, {5, Backend{one.At, tcp}}}
	if have := Of(sockets, offers, udp, tcp); !slices.Equal(have, want) {
		t.Errorf("orphans of UDP and TCP: %v, want %v", have, want)
	}
}

func TestAFrontendLosesABackendThatItHadAndHasNot(t *testing.T) {
	one, two := Backend{at("10.244.1.7:53"), udp}, Backend{at("10.244.1.8:53"), udp}
	for _, c := range []struct {
		had, has []Backend
		lost     bool
	}{
		{nil, []Backend{one}, false},
		{[]Backend{one}, []Backend{two, one}, false},
		{[]Backend{one, two}, []Backend{two}, true},
		{[]Backend{one}, nil, true},
		{[]Backend{one}, []Backend{{one.At, tcp}}, true},
	} {
		if Lost(c.had, c.has) != c.lost {
			t.Errorf("from %v to %v: lost is %v", c.had, c.has, !c.lost)
		}
	}
}
