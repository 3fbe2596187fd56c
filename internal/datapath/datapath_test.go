package datapath

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// pinDirectory is a fresh directory of the mounted BPF file system.
func pinDirectory(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads programs into the kernel")
	}
	dir, err := os.MkdirTemp("/sys/fs/bpf", "weft-test-")
	if err != nil {
		t.Fatalf("%v: mount a BPF file system: mount -t bpf bpf /sys/fs/bpf", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestEveryProgramIsAcceptedByTheKernel(t *testing.T) {
	d, err := Open(pinDirectory(t), Config{
		OverlayIfindex: 2, TunnelPort: 8472, NATPortMin: 10000, NATPortMax: 29999,
		Masquerade4: netip.MustParseAddr("10.0.0.1"), Masquerade6: netip.MustParseAddr("fd00::1"),
		Loopback4: netip.MustParseAddr("169.254.42.1"), Loopback6: netip.MustParseAddr("fd57::1"),
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer d.Close()
	for name, p := range d.programs {
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		n, _ := info.VerifiedInstructions()
		t.Logf("%s: %d instructions verified", name, n)
	}
}

func TestASecondAgentTakesOverTheMaps(t *testing.T) {
	dir := pinDirectory(t)
	first, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var zero uint32
	if err := first.Map("revision").Put(zero, uint64(42)); err != nil {
		t.Fatal(err)
	}
	first.Close()
	second, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var n uint64
	if err := second.Map("revision").Lookup(zero, &n); err != nil || n != 42 {
		t.Fatalf("revision is %d, %v after the second agent opened; want 42", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "connections")); err != nil {
		t.Fatal(err)
	}
}
