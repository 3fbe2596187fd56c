package observe

import (
	"strings"
	"time"
	"unsafe"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
)

// closeSize is what a record had before it said what was told earlier: programs of such a version may still write.
const closeSize = int(unsafe.Offsetof(abi.CloseEvent{}.ToldSent))

// closeOf reads what a close, or a progress, has behind the event.
func closeOf(record []byte) any {
	var c abi.CloseEvent
	load(record, &c)
	out := flow.Close{Sent: carriedOf(c.Sent), Received: carriedOf(c.Received), ToldSent: carriedOf(c.ToldSent), ToldReceived: carriedOf(c.ToldReceived)}
	if c.Ending != abi.EndingNone {
		out.Ending = strings.ToLower(c.Ending.String())
	}
	if c.Opened != 0 && c.Last > c.Opened {
		out.Duration = time.Duration(c.Last - c.Opened)
	}
	return out
}

func carriedOf(c abi.Carried) flow.Carried { return flow.Carried{Packets: c.Packets, Bytes: c.Bytes} }

// closed: a connection ended, or goes on. Its source is what opened it.
func closed(in *Flow, f *flowpb.Flow) {
	c := in.more.(flow.Close)
	f.EventType.Type, f.EventType.SubType = flow.EventTrace, flow.PointClose
	if c.Ending == "" {
		f.EventType.SubType = flow.PointProgress
	}
	f.Verdict = flowpb.Verdict_FORWARDED
	f.TraceReason = flowpb.TraceReason_ESTABLISHED
	f.TrafficDirection = flowpb.TrafficDirection(in.event.Direction)
	f.IsReply = wrapperspb.Bool(false)
	//lint:ignore SA1019 it is what clients print
	f.Summary = strings.TrimPrefix(flow.ProtocolName(in.event.Protocol)+" "+c.Text(), " ")
}
