package datapath

import (
	"os"
	"path/filepath"
	"testing"
)

// pinDirectory is a fresh directory of the mounted BPF file system.
func pinDirectory(t testing.TB) string {
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
