package packet

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

// small is a bench whose maps have room for 1,024 rows.
func small(t *testing.T) *bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs programs in the kernel")
	}
	b, err := newBench()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]string{"web": "10.0.1.5", "db": "10.0.1.6"} {
		if err := b.addNIC(name, addrs(at), 300); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bench) says(t *testing.T, line, want string) {
	t.Helper()
	text, err := b.send("from_pod", b.devices["web"].Ifindex, 0, 0, line)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, want) {
		t.Errorf("%s: have %s, want %s", line, text, want)
	}
}

func TestAFullMapOfAddressesIsToldOnTheRowsThatDoNotFit(t *testing.T) {
	b := small(t)
	var rows []table.IPCacheRow
	at := netip.MustParseAddr("10.9.0.1")
	for range 1100 {
		rows = append(rows, table.IPCacheRow{Prefix: netip.PrefixFrom(at, 32), Identity: 400, Flags: table.IPCacheCluster})
		at = at.Next()
	}
	err := b.ipcache.Set(context.Background(), rows)
	if err == nil || !strings.Contains(err.Error(), "map ipcache is full") {
		t.Fatalf("have %v, want to hear that map ipcache is full", err)
	}
	if n := strings.Count(err.Error(), "is full"); n != 1100-(1024-2) {
		t.Errorf("%d rows are told not to fit, want %d", n, 1100-(1024-2))
	}
	b.says(t, "tcp 10.0.1.5:4000 > 10.0.1.6:80 S", "redirect")
}

func TestAPolicySetThatDoesNotFitLeavesTheFormerInForce(t *testing.T) {
	b := small(t)
	was := b.entries["web"]
	refused := func(entries int, because string) {
		t.Helper()
		b.entries["web"] = slices.Clone(was)
		for i := range entries {
			b.entries["web"] = append(b.entries["web"], policy.Entry{
				Direction: policy.Egress, Peer: identity.Number(1000 + i), Verdict: policy.Deny, Precedence: policy.PrecedenceDeny, Match: policy.MatchL3Only,
			})
		}
		if err := b.enforce("web"); err == nil || !strings.Contains(err.Error(), because) {
			t.Fatalf("have %v, want to hear: %s", err, because)
		}
		b.says(t, "tcp 10.0.1.5:4000 > 10.0.1.6:80 S", "redirect")
	}
	refused(1100, "more than the 256 that one set may have of map policies")
	// Others fill the map.
	var others []abi.PolicyKey
	for peer := uint32(1); ; peer++ {
		key := abi.PolicyKey{Bits: abi.PolicyBitsFixed, Generation: 1 << 30, Peer: peer, Layer: uint8(abi.DirectionIngress)}
		if b.dp.Map("policies").Put(key, abi.Policy{}) != nil {
			break
		}
		others = append(others, key)
	}
	refused(200, "map policies is full")
	// And with room again the next one is taken.
	for _, key := range others {
		if err := b.dp.Map("policies").Delete(key); err != nil {
			t.Fatal(err)
		}
	}
	b.entries["web"] = append(was, policy.Entry{Direction: policy.Egress, Verdict: policy.Deny, Precedence: policy.PrecedenceDeny, Peer: 300, Match: policy.MatchL3Only})
	if err := b.enforce("web"); err != nil {
		t.Fatal(err)
	}
	b.says(t, "tcp 10.0.1.5:4000 > 10.0.1.6:80 A", "Policy denied by denylist")
}
