package packet

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/packet"
	"weftnet.io/weftnet/internal/scripttest"
)

// What is said of calls from outside holds word for word where program xdp sees each frame before from_net: each script that has some runs
// so, too.
func TestCallsFromOutsideAreTheSameWithXDP(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs programs in the kernel")
	}
	all, err := scripttest.Scripts(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("outside=")) && bytes.Contains(text, []byte("send from_net")) {
			files = append(files, name)
		}
	}
	if len(files) < 10 {
		t.Fatalf("%d scripts are about calls from outside: %v", len(files), files)
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			b, err := newBench()
			if err != nil {
				return err
			}
			b.xdp = true
			e.Values["bench"] = b
			e.Defer(b.close)
			return nil
		},
		Cmds: commands(),
	})
}

var _ = declare("early", opened(func(b *bench, ts *testscript.TestScript, args []string) {
	b.xdp = args[0] == "on"
}))

// turned prints how many frames program xdp has led on since the last time.
var _ = declare("turned", opened(func(b *bench, ts *testscript.TestScript, _ []string) {
	_, err := fmt.Fprintf(ts.Stdout(), "%d\n", b.turned)
	ts.Check(err)
	b.turned = 0
}))

// xdpFrame is struct xdp_md.
type xdpFrame struct{ Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32 }

const (
	xdpPass = 2
	xdpTX   = 3
)

// early lets program xdp see a frame that comes by a device of the node. Done: it has led it on.
func (b *bench) early(ifindex uint32, frame []byte) (text string, done bool, err error) {
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: xdpFrame{DataEnd: uint32(len(frame)), IngressIfindex: ifindex}}
	var verdict uint32
	b.changed = true
	if err := b.do(func() error {
		if err := b.dp.AttachXDP(int(ifindex), false); err != nil && !strings.Contains(err.Error(), "takes no frames") {
			return err // without a program of XDP the device has no queue for the kernel to run one on
		}
		verdict, err = b.dp.Program("xdp").Run(options)
		return err
	}); err != nil {
		return "", false, fmt.Errorf("run xdp: %w", err)
	}
	switch {
	case verdict == xdpPass && !bytes.Equal(options.DataOut, frame):
		return "", false, fmt.Errorf("xdp has changed a packet that it passes on: %s", packet.Format(options.DataOut))
	case verdict == xdpPass:
		return "", false, nil
	case verdict != xdpTX:
		return "", false, fmt.Errorf("run xdp: verdict %d", verdict)
	}
	b.turned++
	b.left = packet.Format(options.DataOut)
	events, err := b.drain()
	return "redirect " + b.left + "\n" + events, true, err
}
