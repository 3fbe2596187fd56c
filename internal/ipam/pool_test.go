package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/ipam"
)

var start = time.Unix(1_700_000_000, 0)

func fill(t *testing.T, p *ipam.Pool, now time.Time) (n int) {
	t.Helper()
	for ; ; n++ {
		if _, err := p.Allocate(fmt.Sprintf("c%d/eth0", n), now); err != nil {
			return n
		}
	}
}

func TestAFullPoolSaysHowManyAddressesAreInUse(t *testing.T) {
	for _, c := range []struct {
		prefixes []string
		pods     int
		want     string
	}{
		{[]string{"10.244.1.0/24"}, 253, "no free IPv4 address in 10.244.1.0/24 (254 in use)"},
		{[]string{"10.244.1.0/24", "10.244.9.0/25"}, 253 + 125, "no free IPv4 address in 10.244.1.0/24, 10.244.9.0/25 (380 in use)"},
		{[]string{"fd00:244:1::/124"}, 14, "no free IPv6 address in fd00:244:1::/124 (15 in use)"},
		{[]string{"10.1.1.4/31"}, 2, "no free IPv4 address in 10.1.1.4/31 (2 in use)"},
		{nil, 0, "no free address: the node has no prefix of that family"},
	} {
		var prefixes []netip.Prefix
		for _, x := range c.prefixes {
			prefixes = append(prefixes, netip.MustParsePrefix(x))
		}
		p := ipam.New(time.Minute, prefixes...)
		if n := fill(t, p, start); n != c.pods {
			t.Errorf("%v has room for %d workloads, want %d", c.prefixes, n, c.pods)
		}
		_, err := p.Allocate("late/eth0", start)
		var full *ipam.ExhaustedError
		if !errors.As(err, &full) || err.Error() != c.want {
			t.Errorf("error is %q, want %q", err, c.want)
		}
	}
}

func TestAPoolThatOnlyRestsSaysSo(t *testing.T) {
	p := ipam.New(time.Minute, netip.MustParsePrefix("10.244.1.0/29"))
	fill(t, p, start)
	p.Release("c0/eth0", start)
	_, err := p.Allocate("late/eth0", start.Add(59*time.Second))
	if want := "no free IPv4 address in 10.244.1.0/29 (5 in use, 1 resting)"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	if a, err := p.Allocate("late/eth0", start.Add(time.Minute)); err != nil || a.String() != "10.244.1.2" {
		t.Errorf("after the rest: %v, %v", a, err)
	}
}

func TestAClaimThatFailsSaysWhy(t *testing.T) {
	p := ipam.New(time.Minute, netip.MustParsePrefix("10.244.1.0/24"))
	p.Allocate("a/eth0", start)
	p.Allocate("b/eth0", start)
	p.Release("b/eth0", start)
	for address, want := range map[string]string{
		"10.244.1.0":   "address 10.244.1.0: it is the network, node or broadcast address of 10.244.1.0/24",
		"10.244.1.1":   "address 10.244.1.1: it is the network, node or broadcast address of 10.244.1.0/24",
		"10.244.1.255": "address 10.244.1.255: it is the network, node or broadcast address of 10.244.1.0/24",
		"10.244.2.9":   "address 10.244.2.9: it is not in 10.244.1.0/24",
		"10.244.1.2":   "address 10.244.1.2: it is held by a/eth0",
		"10.244.1.3":   "address 10.244.1.3: it was given back a moment ago and rests for another 50s",
	} {
		if err := p.Claim("c/eth0", netip.MustParseAddr(address), start.Add(10*time.Second)); err == nil || err.Error() != want {
			t.Errorf("%s: error is %v, want %s", address, err, want)
		}
	}
	if err := p.Claim("a/eth0", netip.MustParseAddr("10.244.1.9"), start); err == nil {
		t.Error("an owner was given a second address")
	}
	if err := p.Claim("c/eth0", netip.MustParseAddr("10.244.1.200"), start); err != nil {
		t.Error(err)
	}
}

func TestAnAddressOutsideThePrefixesStaysWithItsOwner(t *testing.T) {
	p := ipam.New(0, netip.MustParsePrefix("10.244.1.0/24"))
	old := netip.MustParseAddr("10.9.9.9")
	if err := p.Restore("old/eth0", old); err != nil {
		t.Fatal(err)
	}
	if a, _ := p.Held("old/eth0"); a != old {
		t.Errorf("held is %v", a)
	}
	if err := p.Restore("other/eth0", old); err == nil {
		t.Error("an address was restored to two owners")
	}
	p.Release("old/eth0", start)
	for range 253 {
		if a, err := p.Allocate(fmt.Sprint(len(p.Owners())), start); err != nil || a == old {
			t.Fatalf("got %v, %v", a, err)
		}
	}
}

func BenchmarkAllocateAndReleaseInAFullPool(b *testing.B) {
	p := ipam.New(0, netip.MustParsePrefix("10.244.0.0/20"))
	for i := range 4000 {
		p.Allocate(fmt.Sprint(i), start)
	}
	for b.Loop() {
		p.Allocate("x", start)
		p.Release("x", start)
	}
}

func TestAnAddressMayBeOfSomePrefixesAlone(t *testing.T) {
	now := time.Unix(0, 0)
	own, blue := netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.20.0.0/31")
	p := ipam.New(time.Minute, own, blue)
	take := func(owner string, of netip.Prefix) string {
		a, err := p.Allocate(owner, now, of)
		if err != nil {
			return err.Error()
		}
		return a.String()
	}
	for _, step := range [][2]string{
		{take("a", blue), "10.20.0.0"},
		{take("b", own), "10.0.0.2"},
		{take("c", blue), "10.20.0.1"},
		{take("d", blue), "no free IPv4 address in 10.20.0.0/31 (2 in use)"},
		{take("d", own), "no free IPv4 address in 10.0.0.0/30 (2 in use)"},
	} {
		if step[0] != step[1] {
			t.Errorf("got %s, want %s", step[0], step[1])
		}
	}
	p.Release("b", now)
	p.Release("a", now.Add(time.Second))
	now = now.Add(time.Hour)
	if err := p.Free(now, blue); err != nil {
		t.Error(err)
	}
	if got := take("d", blue); got != "10.20.0.0" { // though the other has been back for longer
		t.Errorf("got %s", got)
	}
	if err := p.Free(now, blue); err == nil {
		t.Error("it is full")
	}
}
