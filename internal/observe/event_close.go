package observe

import (
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
)

// closeOf reads what a close has behind the event.
func closeOf(record []byte) any {
	var c abi.CloseEvent
	load(record, &c)
	out := flow.Close{
		Ending: strings.ToLower(c.Ending.String()), Sent: flow.Carried{Packets: c.Sent.Packets, Bytes: c.Sent.Bytes},
		Received: flow.Carried{Packets: c.Received.Packets, Bytes: c.Received.Bytes},
	}
	if c.Opened != 0 && c.Last > c.Opened {
		out.Duration = time.Duration(c.Last - c.Opened)
	}
	return out
}

// closed: a connection ended. Its source is what opened it.
func closed(in *Flow, f *flowpb.Flow) {
	c := in.more.(flow.Close)
	f.EventType.Type, f.EventType.SubType = flow.EventTrace, flow.PointClose
	f.Verdict = flowpb.Verdict_FORWARDED
	f.TraceReason = flowpb.TraceReason_ESTABLISHED
	f.TrafficDirection = flowpb.TrafficDirection(in.event.Direction)
	f.IsReply = wrapperspb.Bool(false)
	//lint:ignore SA1019 it is what clients print
	f.Summary = strings.TrimPrefix(flow.ProtocolName(in.event.Protocol)+" "+c.Text(), " ")
}
