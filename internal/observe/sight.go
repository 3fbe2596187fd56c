package observe

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
)

// sight is an event with what the tables knew of it when it came. Its flow is made when somebody asks for it: most are
// overwritten before anybody does.
type sight struct {
	event  abi.Event
	time   time.Time
	uuid   [16]byte
	teller *teller

	source, destination               *flowpb.Endpoint
	device                            *flowpb.NetworkInterface // nil: none
	sourceService, destinationService *flowpb.Service          // nil: none
	decision, foreseen                decision                 // of the rules; of staged ones

	once sync.Once
	made *flowpb.Flow
}

// teller is the node and the program that flows come from.
type teller struct {
	node    string
	labels  []string
	emitter *flowpb.Emitter
	decide  func(rules uint32) decision // as the tables have it now
}

// known is a decision, which a list of rules has that may have got its number only after the event came: the kernel can be
// faster than whoever lists what is in it.
func (t *teller) known(d decision, rules uint32, of abi.EventType) decision {
	if len(d.rules) > 0 || rules == 0 || of == abi.EventTrace || t.decide == nil {
		return d
	}
	return t.decide(rules)
}

// flow is what people get to see; not to be changed. Any goroutine may ask.
func (s *sight) flow() *flowpb.Flow {
	s.once.Do(func() { s.made = s.tell() })
	return s.made
}

func (s *sight) tell() *flowpb.Flow {
	e := s.event
	f := &flowpb.Flow{
		Time:               timestamppb.New(s.time),
		Uuid:               uuidText(s.uuid),
		Emitter:            s.teller.emitter,
		NodeName:           s.teller.node,
		NodeLabels:         s.teller.labels,
		Type:               flowpb.FlowType_L3_L4,
		IP:                 addresses(e.Src.IP(), e.Dst.IP()),
		L4:                 flow.L4(e.Protocol, e.SrcPort, e.DstPort, e.TcpFlags),
		Source:             s.source,
		Destination:        s.destination,
		SourceService:      s.sourceService,
		DestinationService: s.destinationService,
		Interface:          s.device,
		EventType:          &flowpb.CiliumEventType{},
	}
	//lint:ignore SA1019 clients before 1.15 read it
	f.Summary = flow.Summary(f.GetL4())
	switch e.Type {
	case abi.EventVerdict:
		verdict(e, f)
	case abi.EventDrop:
		drop(e, f)
	default:
		trace(e, f)
	}
	decided(f, e.Direction, s.teller.known(s.decision, e.Rules, e.Type))
	if text := staged(abi.Verdict(e.Staged), s.teller.known(s.foreseen, e.StagedRules, e.Type)); text != "" {
		f.PolicyLog = append(slices.Clone(f.GetPolicyLog()), text)
	}
	return f
}

func addresses(src, dst netip.Addr) *flowpb.IP {
	ip := &flowpb.IP{}
	if src.IsValid() {
		ip.Source = src.String()
	}
	if dst.IsValid() {
		ip.Destination = dst.String()
	}
	switch {
	case src.Is4() || dst.Is4():
		ip.IpVersion = flowpb.IPVersion_IPv4
	case src.Is6() || dst.Is6():
		ip.IpVersion = flowpb.IPVersion_IPv6
	}
	return ip
}

// verdict: a policy spoke. An allowed packet is never a reply, since verdicts are given when a connection begins; of
// a denied one nobody knows.
func verdict(e abi.Event, f *flowpb.Flow) {
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

func drop(e abi.Event, f *flowpb.Flow) {
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
	case abi.HookFromPod, abi.HookToNet, abi.HookToOverlay:
		return flowpb.TrafficDirection_EGRESS
	case abi.HookToPod, abi.HookFromNet, abi.HookFromOverlay:
		return flowpb.TrafficDirection_INGRESS
	}
	return flowpb.TrafficDirection_TRAFFIC_DIRECTION_UNKNOWN
}

// trace: a connection passed. Its direction is that of the connection, not of the packet: a reply into the pod that
// called belongs to an egress connection.
func trace(e abi.Event, f *flowpb.Flow) {
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

// decided names the policies that did.
func decided(f *flowpb.Flow, direction abi.Direction, d decision) {
	f.PolicyLog = d.log
	denied := f.GetVerdict() == flowpb.Verdict_DROPPED || f.GetVerdict() == flowpb.Verdict_AUDIT
	switch {
	case direction == abi.DirectionEgress && denied:
		f.EgressDeniedBy = d.policies
	case direction == abi.DirectionEgress:
		f.EgressAllowedBy = d.policies
	case denied:
		f.IngressDeniedBy = d.policies
	default:
		f.IngressAllowedBy = d.policies
	}
}
