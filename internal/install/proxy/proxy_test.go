package proxy

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weftnet.io/weftnet/internal/install/nft"
)

func TestTheKubeletsChainsAndThoseOfOthersStay(t *testing.T) {
	for chain, want := range map[string]bool{
		"KUBE-SERVICES": true, "KUBE-SVC-NPX46M4PTMTKRN6Y": true, "KUBE-PROXY-CANARY": true, "KUBE-IPVS-FILTER": true, "KUBE-MARK-MASQ": true,
		"KUBE-FIREWALL": false, "KUBE-KUBELET-CANARY": false, "KUBE-IPTABLES-HINT": false, "KUBE-MARK-DROP": false,
		"CNI-HOSTPORT-DNAT": false, "KUBERNETES": false, "kube-services": false, "OLD-KUBE-SERVICES": false,
	} {
		if isProxys(chain) != want {
			t.Errorf("%s: kube-proxy's %v, want %v", chain, !want, want)
		}
	}
}

func TestWhatIsLeftIsTold(t *testing.T) {
	l := Left{
		Tables: []nft.Table{{Family: nft.IPv6, Name: "kube-proxy"}},
		Chains: []nft.Chain{
			{Family: nft.IPv6, Table: "nat", Name: "KUBE-SERVICES"},
			{Family: nft.IPv4, Table: "nat", Name: "KUBE-SERVICES"},
			{Family: nft.IPv4, Table: "filter", Name: "KUBE-FORWARD"},
			{Family: nft.IPv4, Table: "nat", Name: "KUBE-POSTROUTING"},
		},
		Legacy: []Legacy{{nft.IPv6, "nat", 3}}, Device: true, Addresses: 7,
	}
	want := []string{
		"table ip6 kube-proxy of nftables", "1 chains KUBE-* of iptables, in table ip filter of nftables", "2 chains KUBE-* of iptables, in table ip nat of nftables",
		"1 chains KUBE-* of iptables, in table ip6 nat of nftables", "device kube-ipvs0 with 7 addresses",
	}
	if have := l.Lines(); !slices.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	if have := l.Others(); !slices.Equal(have, []string{"3 chains KUBE-* of ip6tables-legacy, in table nat"}) {
		t.Error(have)
	}
	l.Process = 7
	if did, err := l.Remove(nil); err == nil || len(did) > 0 {
		t.Error("a kube-proxy runs, and it is removed: ", did)
	}
}

func TestAKubeProxyOfThisNetworkNamespaceIsSeen(t *testing.T) {
	proc := t.TempDir()
	process := func(id, name, namespace string) {
		t.Helper()
		dir := filepath.Join(proc, id, "ns")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(namespace, filepath.Join(dir, "net")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, id, "comm"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	process("thread-self", "weft", "net:[1]")
	process("12", "kubelet", "net:[1]")
	process("13", "kube-proxy", "net:[2]")
	if id, err := running(proc); id != 0 || err != nil {
		t.Error(id, err)
	}
	process("14", "kube-proxy", "net:[1]")
	if id, err := running(proc); id != 14 || err != nil {
		t.Error(id, err)
	}
}

// entry is one of a table of IPv4: head, target, and what the target has.
func entry(target, name string) []byte {
	e := make([]byte, 112+64)
	binary.NativeEndian.PutUint16(e[88:], 112)
	binary.NativeEndian.PutUint16(e[90:], uint16(len(e)))
	copy(e[112+2:], target)
	copy(e[112+32:], name)
	return e
}

func TestChainsOfALegacyTableAreFound(t *testing.T) {
	table := slices.Concat(entry("", ""), entry("ERROR", "KUBE-SERVICES"), entry("MASQUERADE", "KUBE-NO"), entry("ERROR", "KUBE-FIREWALL"), entry("ERROR", "KUBE-SVC-X"), entry("ERROR", "ERROR"))
	if n := proxys(table, 88); n != 2 {
		t.Errorf("%d chains, want 2", n)
	}
	for range 100_000 { // whatever the kernel says, nothing is read that is not there
		broken := slices.Clone(table[:rand.IntN(len(table))])
		for range min(3, len(broken)) {
			broken[rand.IntN(len(broken))] = byte(rand.Uint32())
		}
		proxys(broken, 88)
	}
}

func ExampleLeft_Lines() {
	left := Left{Chains: []nft.Chain{{Family: nft.IPv4, Table: "nat", Name: "KUBE-SERVICES"}}}
	fmt.Println(left.Lines()[0])
	// Output: 1 chains KUBE-* of iptables, in table ip nat of nftables
}
