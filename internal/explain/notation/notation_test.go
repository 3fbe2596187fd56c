package notation

import (
	"slices"
	"testing"

	"weftnet.io/weftnet/internal/policy"
)

func TestAnEndIsToldFromItsPort(t *testing.T) {
	for text, want := range map[string][2]string{
		"shop/db:5432": {"shop/db", "5432"}, "shop/dns:53/udp": {"shop/dns", "53/udp"}, "shop/db": {"shop/db", ""},
		"[fd00::7]:80": {"fd00::7", "80"}, "fd00::7": {"fd00::7", ""}, "fd00:0:0:0:0:0:0:7:80": {"fd00:0:0:0:0:0:0:7", "80"},
		"node:a:22": {"node:a", "22"}, "node:[fd00::7]:22": {"node:fd00::7", "22"},
	} {
		if end, port := Cut(text); end != want[0] || port != want[1] {
			t.Errorf("%s: %q %q, want %q", text, end, port, want)
		}
	}
}

func TestWhatAPortSaysIsReadAgain(t *testing.T) {
	for _, text := range []string{"80", "53/udp", "tcp/80", "http", "http/udp", "icmp/13", "icmpv6/128", "gre", "9/sctp"} {
		p, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if again, err := Parse(p.String()); err != nil || again != p {
			t.Errorf("%s says %s, which is %+v, %v", text, p, again, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "80/icmp", "icmp/256", "80x"} {
		if p, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %v", text, p)
		}
	}
}

func TestRangesOfPortsAreWrittenAsFewAsTheyCanBe(t *testing.T) {
	have := Merge([]Span{
		{Protocol: policy.TCP, First: 8, Last: 15},
		{Protocol: policy.TCP, First: 16, Last: 16},
		{Protocol: policy.TCP, First: 4, Last: 7},
		{Protocol: policy.UDP, First: 17, Last: 17},
		{Protocol: policy.ICMP, First: 0x800, Last: 0x8ff},
	})
	if !slices.Equal(have, []string{"icmp/8", "tcp/4-16", "udp/17"}) {
		t.Error(have)
	}
}
