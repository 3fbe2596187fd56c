package packet

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

// Each type of ICMP is allowed alone, asked for with identifiers some of which are numbers of types, and then everything is
// sent both ways: what passes is that type, and what answers it, with an identifier that was asked for.
func TestNothingButAnswersAnswersICMP(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs programs in the kernel")
	}
	for _, c := range []struct {
		family, kind int
		answer       int // -1: none
	}{
		{4, 8, 0},
		{4, 13, 14},
		{4, 15, 16},
		{4, 17, 18},
		{4, 7, -1},
		{4, 9, -1},
		{4, 42, -1},
		{6, 128, 129},
		{6, 200, -1},
	} {
		t.Run(fmt.Sprintf("v%d type %d", c.family, c.kind), func(t *testing.T) {
			b, err := newBench()
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			if err := b.open(); err != nil {
				t.Fatal(err)
			}
			at := map[string]netip.Addr{"web": netip.MustParseAddr("10.0.1.5"), "cli": netip.MustParseAddr("10.0.1.6")}
			protocol := protocols["icmp"]
			if c.family == 6 {
				at = map[string]netip.Addr{"web": netip.MustParseAddr("fd00::5"), "cli": netip.MustParseAddr("fd00::6")}
				protocol = protocols["icmp6"]
			}
			ids := []int{c.kind, c.kind + 1}
			for id := range 21 {
				ids = append(ids, id)
			}
			b.icmpOnly(t, at, protocol, c.kind)
			send := func(from, to string, kind, id int) bool {
				line := fmt.Sprintf("icmp %s > %s type %d code 0 rest %#x", at[from], at[to], kind, id<<16|1)
				verdict, err := b.run("from_pod", b.devices[from].Ifindex, 0, 0, line)
				if err != nil {
					t.Fatal(err)
				}
				return verdict != 2
			}
			for _, id := range ids {
				if !send("cli", "web", c.kind, id) {
					t.Fatalf("identifier %d: what is allowed is dropped", id)
				}
			}
			for _, id := range append(ids, 1000) {
				for kind := range 256 {
					for _, from := range []string{"cli", "web"} {
						if kind == c.kind && id == 1000 {
							continue // no request has that type
						}
						to, want := "web", kind == c.kind
						if from == "web" {
							to, want = "cli", kind == c.answer && id != 1000
						}
						if have := send(from, to, kind, id); have != want {
							t.Errorf("%s sends type %d, identifier %d: passes: %v, want %v", from, kind, id, have, want)
						}
					}
				}
			}
		})
	}
}

// icmpOnly makes the NICs web and cli. Nothing may call them but that type the first.
func (b *bench) icmpOnly(t *testing.T, at map[string]netip.Addr, protocol uint8, kind int) {
	for i, name := range []string{"web", "cli"} {
		if err := b.addNIC(name, []netip.Addr{at[name]}, identity.Number(300+i)); err != nil {
			t.Fatal(err)
		}
		for j := range b.entries[name] {
			if e := &b.entries[name][j]; e.Direction == policy.Ingress {
				e.Verdict, e.Precedence, e.Match = policy.DenyImplicit, policy.PrecedenceDefault, policy.MatchNone
			}
		}
	}
	b.entries["web"] = append(b.entries["web"], policy.Entry{
		Direction: policy.Ingress, Protocol: protocol, Port: uint16(kind) << 8, PortBits: 16,
		Verdict: policy.Allow, Precedence: policy.PrecedenceAllow, Match: policy.MatchL3L4,
	})
	for _, name := range []string{"web", "cli"} {
		if err := b.enforce(name); err != nil {
			t.Fatal(err)
		}
	}
}
