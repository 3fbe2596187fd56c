package packet

import (
	"net/netip"
	"os"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Programs of a former version do not tell that a connection has taken another source port: the agent finds the row.
func TestAnotherSourcePortOfAFormerVersionIsLookedFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes maps in the kernel")
	}
	b, err := newBench()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	clashed := func() (there uint32) {
		t.Helper()
		if _, _, err := b.dp.Sweep(); err != nil {
			t.Fatal(err)
		}
		if err := b.dp.Map("clashed").Lookup(uint32(0), &there); err != nil {
			t.Fatal(err)
		}
		return there
	}
	key := abi.NatKey{Src: abi.From(netip.MustParseAddr("10.0.1.5")), Dst: abi.From(netip.MustParseAddr("10.0.1.6")), Protocol: 6, Kind: uint8(abi.NatService)}
	row := abi.Nat{Addr: key.Dst, Opened: 1 << 62}
	if err := b.dp.Map("translations").Put(key, row); err != nil {
		t.Fatal(err)
	}
	if clashed() != 0 {
		t.Error("a row without another source port was taken for one")
	}
	row.SourcePort = abi.Port(4000)
	if err := b.dp.Map("translations").Put(key, row); err != nil {
		t.Fatal(err)
	}
	if clashed() != 1 {
		t.Error("programs look for no other source port")
	}
}
