package flow

import (
	"fmt"
	"strconv"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// PointClose is the sub type of a trace that tells of a connection's end. Hubble has no such point: its clients print the
// number, and the summary as it is.
const PointClose = 64

// PointProgress is that of one that tells what a connection has carried which goes on.
const PointProgress = 65

var (
	_ = declarePoint(PointClose, "close")
	_ = declarePoint(PointProgress, "progress")
)

// Carried is what has travelled one way.
type Carried struct{ Packets, Bytes uint64 }

// Close is what the end of a connection says of all of it, or a progress of one that goes on.
type Close struct {
	Ending       string        // fin, reset, idle or evicted; empty: it goes on
	Duration     time.Duration // from the first packet to the last; 0: there was one, or the first is not known
	Sent         Carried       // by the source
	Received     Carried       // by the source
	ToldSent     Carried       // what earlier flows have told of Sent
	ToldReceived Carried
}

// News is what no earlier flow has told: of all flows of a connection together, what it has carried.
func (c Close) News() (sent, received Carried) {
	return c.Sent.less(c.ToldSent), c.Received.less(c.ToldReceived)
}

func (c Carried) less(told Carried) Carried {
	return Carried{Packets: c.Packets - min(told.Packets, c.Packets), Bytes: c.Bytes - min(told.Bytes, c.Bytes)}
}

// TellsCarried tells whether a flow is about what a connection has carried, at its end or before.
func TellsCarried(f *flowpb.Flow) bool {
	at := f.GetEventType()
	return at.GetType() == EventTrace && (at.GetSubType() == PointClose || at.GetSubType() == PointProgress)
}

var endings = map[string]string{
	"fin": "closed by FIN", "reset": "closed by RST", "idle": "went silent", "evicted": "made room for another",
}

// Text is the summary of such a flow: "closed by FIN after 1.2s, 12 packets/3.4 kB out, 10 packets/52 kB in", or "open for 1m12s, …".
func (c Close) Text() string {
	text, after := endings[c.Ending], " after "
	if c.Ending == "" {
		text, after = "open", " for "
	}
	if c.Duration > 0 {
		text += after + durationText(c.Duration)
	}
	return text + ", " + c.Sent.text() + " out, " + c.Received.text() + " in"
}

func (c Carried) text() string {
	unit := " packets/"
	if c.Packets == 1 {
		unit = " packet/"
	}
	return strconv.FormatUint(c.Packets, 10) + unit + bytesText(c.Bytes)
}

// bytesText has two digits at least, and a thousand bytes in a kB.
func bytesText(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < 4 {
		value, unit = value/1000, unit+1
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %cB", value, "kMGTP"[unit])
	}
	return fmt.Sprintf("%.0f %cB", value, "kMGTP"[unit])
}

// durationText has three digits or so.
func durationText(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}

// ProtocolName names the protocols that most connections have; empty for others.
func ProtocolName(protocol uint8) string {
	switch protocol {
	case 6:
		return "TCP"
	case 17:
		return "UDP"
	case 132:
		return "SCTP"
	case 1:
		return "ICMPv4"
	case 58:
		return "ICMPv6"
	}
	return ""
}
