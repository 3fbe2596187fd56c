package packet

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
)

var (
	_ = declareEvent(abi.EventClose, closeText)
	_ = declareEvent(abi.EventProgress, closeText)
	_ = declare("progress", opened(progress))
	_ = declare("events", opened(events))
)

// closeText is what the event of a connection's end adds to others: " egress udp 10.0.1.5:4000 > 10.0.1.6:53 idle sent 1/33
// received 0/0", packets and bytes, and what of that was told before.
func closeText(record []byte) string {
	var c abi.CloseEvent
	if _, err := binary.Decode(record, binary.NativeEndian, &c); err != nil {
		return " " + err.Error()
	}
	text := fmt.Sprintf(" %s %d %s:%d > %s:%d %s sent %d/%d received %d/%d", c.Event.Direction, c.Event.Protocol, c.Event.Src.IP(), c.Event.SrcPort,
		c.Event.Dst.IP(), c.Event.DstPort, c.Ending, c.Sent.Packets, c.Sent.Bytes, c.Received.Packets, c.Received.Bytes)
	if c.Event.Flags&abi.EventService != 0 {
		text += fmt.Sprintf(" of %s:%d", c.Event.Service.IP(), c.Event.ServicePort)
	}
	if c.ToldSent != (abi.Carried{}) || c.ToldReceived != (abi.Carried{}) {
		text += fmt.Sprintf(" told %d/%d and %d/%d", c.ToldSent.Packets, c.ToldSent.Bytes, c.ToldReceived.Packets, c.ToldReceived.Bytes)
	}
	// Times are compared by their distance: what "pass" moved back may lie before the machine started.
	if int64(c.Event.Time-c.Last) < 0 || int64(c.Last-c.Opened) < 0 {
		text += " ended at no time"
	}
	if lasted := time.Duration(c.Last - c.Opened).Round(10 * time.Second); lasted > 0 {
		text += " lasted " + lasted.String()
	}
	if c.Opened == 0 || int64(c.Event.Time-c.Opened) < 0 {
		text += " opened at no time"
	}
	return strings.ToLower(text)
}

// events prints what the kernel has told since the last command that did.
func events(b *bench, ts *testscript.TestScript, _ []string) {
	text, err := b.drain()
	ts.Check(err)
	_, err = ts.Stdout().Write([]byte(text))
	ts.Check(err)
}

// ended prints of how many ends the kernel has told since the last command that did.
func ended(b *bench, ts *testscript.TestScript, _ []string) {
	_, err := fmt.Fprintln(ts.Stdout(), b.ends)
	ts.Check(err)
	b.ends = 0
}

// progress has the kernel tell what each connection has carried, as a sweep does of those whose moment has come, and prints of how many it did.
func progress(b *bench, ts *testscript.TestScript, _ []string) {
	var keys []abi.CtKey
	ts.Check(rewrite(b.dp.Map("connections"), func(k *abi.CtKey, _ *abi.Ct) { keys = append(keys, *k) }))
	told, err := b.dp.Mark(abi.SweepProgress, keys...)
	ts.Check(err)
	_, err = fmt.Fprintln(ts.Stdout(), told, "told")
	ts.Check(err)
}
