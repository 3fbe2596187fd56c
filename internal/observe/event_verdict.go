package observe

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
)

// verdict: a policy spoke. An allowed packet is never a reply, since verdicts are given when a connection begins; of
// a denied one is not known.
func verdict(in *Flow, f *flowpb.Flow) {
	e := &in.event
	f.EventType.Type = flow.EventPolicyVerdict
	f.PolicyMatchType = uint32(e.Match)
	f.TrafficDirection = flowpb.TrafficDirection(e.Direction)
	f.IsReply = wrapperspb.Bool(false)
	switch e.Verdict {
	case abi.VerdictAllow:
		f.Verdict = flowpb.Verdict_FORWARDED
	case abi.VerdictRedirect:
		f.Verdict = flowpb.Verdict_REDIRECTED
	case abi.VerdictAudit:
		f.Verdict = flowpb.Verdict_AUDIT
	default:
		f.Verdict, f.IsReply = flowpb.Verdict_DROPPED, nil
		reason := e.Reason
		if reason == abi.DropNone {
			reason = abi.DropPolicy
			if e.Verdict == abi.VerdictDeny {
				reason = abi.DropPolicyDeny
			}
		}
		setReason(f, reason)
	}
}
