package datapath

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/cilium/ebpf/btf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath/probe"
	"weftnet.io/weftnet/internal/kerneltest"
)

var update = flag.Bool("update", false, "write what the verifier of this kernel does into its golden file")

// growth is what a program may take more of the verifier than it did, in percent, without anybody having to say so.
const growth = 5

// verifierConfigs are nodes whose programs differ most in what the verifier walks.
var verifierConfigs = map[string]Config{
	"tunnel": {
		OverlayIfindex: 2, TunnelPort: 8472, NATPortMin: 10000, NATPortMax: 29999,
		Masquerade4: netip.MustParseAddr("10.0.0.1"), Masquerade6: netip.MustParseAddr("fd00::1"),
		Loopback4: netip.MustParseAddr("169.254.42.1"), Loopback6: netip.MustParseAddr("fd57::1"),
	},
	"proxy": { // in place of kube-proxy, too
		OverlayIfindex: 2, TunnelPort: 8472, NATPortMin: 10000, NATPortMax: 29999,
		Masquerade4: netip.MustParseAddr("10.0.0.1"), Masquerade6: netip.MustParseAddr("fd00::1"),
		Loopback4: netip.MustParseAddr("169.254.42.1"), Loopback6: netip.MustParseAddr("fd57::1"),
		Constants: map[string]any{
			"services_here": abi.LbConfig{
				Node4: abi.From(netip.MustParseAddr("10.0.0.1")), Node6: abi.From(netip.MustParseAddr("fd00::1")),
				NodePortMin: 30000, NodePortMax: 32767, Outside: 1, HostPorts: 1,
			},
			"sockets": abi.SocketConfig{On: 1},
		},
	},
	"native": {
		NATPortMin: 10000, NATPortMax: 29999, Masquerade4: netip.MustParseAddr("10.0.0.1"),
		Loopback4: netip.MustParseAddr("169.254.42.1"), Loopback6: netip.MustParseAddr("fd57::1"),
	},
}

// work is what a program asks of the verifier.
type work struct {
	instructions int // that it walks
	stack        int // bytes at once, as kernels before 6.8 count them
}

// Loading takes longer with each instruction that the verifier walks, and it refuses a program beyond a million, or one whose
// functions have more than 512 bytes on the stack at once.
func TestTheVerifierHasNoMoreWorkThanBefore(t *testing.T) {
	// On a node, kube-proxy's rules or the like have loaded it; where it is part of the kernel there is no such module.
	if out, err := exec.Command("modprobe", "-q", "nf_conntrack").CombinedOutput(); err != nil && len(out) > 0 {
		t.Fatalf("load module nf_conntrack: %v: %s", err, out)
	}
	if have, err := probe.HostConntrack(btf.NewCache()); err != nil || !have {
		t.Fatalf("programs cannot look into the host's connection tracking (%v), which this test is about, too", err)
	}
	have := map[string]work{}
	for node, config := range verifierConfigs {
		d, err := Open(pinDirectory(t), config)
		if err != nil {
			t.Fatalf("%s: %+v", node, err)
		}
		for name, p := range d.programs {
			info, err := p.Info()
			if err != nil {
				t.Fatal(err)
			}
			n, _ := info.VerifiedInstructions()
			have[name+" "+node] = work{int(n), stackDepth(t, name)}
		}
		d.Close()
	}
	kernel := kerneltest.Series(t)
	file := filepath.Join("testdata", "verifier", kernel+".txt")
	if *update {
		writeVerifier(t, file, kernel, have)
		return
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("what the verifier of kernel %s does is not known: there is no %s; write it with\n\tgo test ./internal/datapath -run Verifier -update", kernel, file)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]work{}
	for line := range strings.Lines(string(text)) {
		var program, node string
		var w work
		if count, _ := fmt.Sscan(line, &program, &node, &w.instructions, &w.stack); count == 4 {
			want[program+" "+node] = w
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		n, before := have[key].instructions, want[key].instructions
		t.Logf("%s: %d instructions verified, %d bytes of stack", key, n, have[key].stack)
		if stack := have[key].stack; stack > want[key].stack || stack > stackLimit {
			t.Errorf("%s: %d bytes of stack, %d in %s: kernels before 6.8 refuse more than %d; accept it as below", key, stack, want[key].stack, file, stackLimit)
		}
		if n > before+before*growth/100 {
			t.Errorf("%s: the verifier of kernel %s walks %d instructions, %d in %s: find out why, or accept it with\n"+
				"\tgo test ./internal/datapath -run Verifier -update\n\tmake test-vm KERNEL=%s ARGS='-run Verifier -update datapath'    (in a machine)",
				key, kernel, n, before, file, kernel)
		}
	}
}

func writeVerifier(t *testing.T, file, kernel string, have map[string]work) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# Instructions that the verifier of kernel %s walks for each program, on a node with and without a tunnel, and in place of kube-proxy,\n# and bytes that its functions have on the stack at once, each frame rounded up to %d.\n", kernel, stackFrame)
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, key := range slices.Sorted(maps.Keys(have)) {
		program, node, _ := strings.Cut(key, " ")
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", program, node, have[key].instructions, have[key].stack)
	}
	w.Flush()
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
