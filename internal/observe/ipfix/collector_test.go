//go:build collector

package ipfix

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/flow"
)

// messages are the templates, and records of a connection's end and of a drop.
func messages() [][]byte {
	e := &encoder{}
	e.add(closed(func(*flowpb.Flow) {}))
	e.add(closed(func(f *flowpb.Flow) {
		f.IP = &flowpb.IP{Source: "fd00::5", Destination: "fd00::9"}
		f.EventType, f.DropReasonDesc, f.Extensions, f.L4 = &flowpb.CiliumEventType{Type: flow.EventDrop}, flowpb.DropReason_POLICY_DENIED, nil, flow.L4(17, 1, 53, 0)
	}))
	return [][]byte{e.message(templates(), 0, epoch), e.take(epoch)}
}

// TestNfdumpReadsWhatIsSent needs nfcapd and nfdump (Debian: nfdump).
func TestNfdumpReadsWhatIsSent(t *testing.T) {
	dir := t.TempDir()
	const port = "47390"
	capture := exec.Command("stdbuf", "-oL", "nfcapd", "-p", port, "-b", "127.0.0.1", "-w", dir, "-t", "3600", "-E")
	output, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	capture.Stdout, capture.Stderr = input, input
	if err := capture.Start(); err != nil {
		t.Fatal(err)
	}
	_ = input.Close()
	t.Cleanup(func() { _ = capture.Process.Kill() })
	var said strings.Builder
	says := func(text string, times int) {
		t.Helper()
		for b := make([]byte, 4096); strings.Count(said.String(), text) < times; {
			n, err := output.Read(b)
			if said.Write(b[:n]); err != nil {
				t.Fatalf("nfcapd ended: %s", said.String())
			}
		}
	}
	says("Startup nfcapd", 1)
	conn, err := net.Dial("udp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages() {
		if _, err := conn.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close()
	says("proto ", 2) // it prints each record
	if err := capture.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = capture.Wait()
	files, _ := filepath.Glob(filepath.Join(dir, "nfcapd.2*"))
	if len(files) != 1 {
		t.Fatalf("nfcapd wrote %v", files)
	}
	out, err := exec.Command("nfdump", "-r", files[0], "-q", "-o", "fmt:%sa %da %sp %dp %pr %pkt %byt %opkt %obyt %fwd", "-6").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
	for _, want := range []string{"10.0.0.5 10.0.0.9 4000 80 TCP 12 3400", "fd00::5 fd00::9 1 53 UDP 1 0"} {
		if !strings.Contains(strings.Join(strings.Fields(string(out)), " "), want) {
			t.Errorf("nfdump does not say %s:\n%s", want, out)
		}
	}
}

// TestTsharkReadsWhatIsSent needs tshark and text2pcap (Debian: tshark).
func TestTsharkReadsWhatIsSent(t *testing.T) {
	var dump strings.Builder
	for _, m := range messages() {
		dump.WriteString("000000")
		for _, b := range m {
			dump.WriteString(" " + string("0123456789abcdef"[b>>4]) + string("0123456789abcdef"[b&15]))
		}
		dump.WriteString("\n")
	}
	file := filepath.Join(t.TempDir(), "ipfix.pcap")
	convert := exec.Command("text2pcap", "-q", "-u", "4739,4739", "-", file)
	convert.Stdin = strings.NewReader(dump.String())
	if out, err := convert.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command("tshark", "-r", file, "-V", "-O", "cflow").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"SrcAddr: 10.0.0.5", "DstAddr: 10.0.0.9", "SrcPort: 4000", "DstPort: 80", "Octets: 3400", "Packets: 12", "Octets: 52000 (Reverse", "Flow End Reason: End of Flow detected",
		"SrcAddr: fd00::5", "Protocol: UDP", "IfName: eth0",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("tshark does not say %q", want)
		}
	}
	if strings.Contains(string(out), "Malformed") || t.Failed() {
		t.Logf("%s", out)
	}
}
