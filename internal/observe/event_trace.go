package observe

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
)

// trace: a connection passed. Its direction is that of the connection, not of the packet: a reply into the pod that
// called belongs to an egress connection.
func trace(in *Flow, f *flowpb.Flow) {
	e := &in.event
	point := flowpb.TraceObservationPoint_TO_ENDPOINT
	switch {
	case e.Flags&abi.EventToStack != 0:
		point = flowpb.TraceObservationPoint_TO_STACK
	case e.Flags&abi.EventToOverlay != 0:
		point = flowpb.TraceObservationPoint_TO_OVERLAY
	case e.Flags&abi.EventToNetwork != 0:
		point = flowpb.TraceObservationPoint_TO_NETWORK
	}
	reply := e.Flags&abi.EventReply != 0
	f.EventType.Type, f.EventType.SubType = flow.EventTrace, flow.SubType(point)
	f.Verdict = flowpb.Verdict_FORWARDED
	f.TraceObservationPoint = point
	f.IsReply = wrapperspb.Bool(reply)
	//lint:ignore SA1019 clients before 1.15 read it
	f.Reply = reply
	switch {
	case reply:
		f.TraceReason = flowpb.TraceReason_REPLY
	case e.Flags&abi.EventNew != 0:
		f.TraceReason = flowpb.TraceReason_NEW
	default:
		f.TraceReason = flowpb.TraceReason_ESTABLISHED
	}
	f.TrafficDirection = flowpb.TrafficDirection_EGRESS
	if (point == flowpb.TraceObservationPoint_TO_ENDPOINT) != reply {
		f.TrafficDirection = flowpb.TrafficDirection_INGRESS
	}
}
