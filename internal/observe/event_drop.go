package observe

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
)

// drop: a packet goes no further.
func drop(in *Flow, f *flowpb.Flow) {
	e := &in.event
	f.EventType.Type, f.EventType.SubType = flow.EventDrop, int32(e.Reason)
	f.Verdict = flowpb.Verdict_DROPPED
	setReason(f, e.Reason)
	f.TrafficDirection = flowpb.TrafficDirection(e.Direction)
	if e.Direction == abi.DirectionNone {
		f.TrafficDirection = way(e.Hook)
	}
}

func setReason(f *flowpb.Flow, reason abi.DropReason) {
	//lint:ignore SA1019 clients before 1.15 read it
	f.DropReason = uint32(reason)
	f.DropReasonDesc = flowpb.DropReason(reason)
}

// way is the direction of a packet at a hook, seen from the workload or the node.
func way(h abi.Hook) flowpb.TrafficDirection {
	switch h {
	case abi.HookFromPod, abi.HookToNet, abi.HookToOverlay, abi.HookFromNic, abi.HookToUplink:
		return flowpb.TrafficDirection_EGRESS
	case abi.HookToPod, abi.HookFromNet, abi.HookFromOverlay, abi.HookXdp, abi.HookToNic, abi.HookFromUplink:
		return flowpb.TrafficDirection_INGRESS
	}
	return flowpb.TrafficDirection_TRAFFIC_DIRECTION_UNKNOWN
}
