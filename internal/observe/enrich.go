package observe

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// enricher turns events into flows with what the tables know at one moment. Not for concurrent use.
type enricher struct {
	tables   *table.Tables
	cluster  string
	ends     memory[sighting, *flowpb.Endpoint]
	devices  memory[uint32, *flowpb.NetworkInterface]
	deciders memory[uint32, []*flowpb.Policy] // by number of the list of rules
}

// sighting is an address that was seen with an identity; 0: with none.
type sighting struct {
	at     netip.Addr
	number identity.Number
}

func newEnricher(t *table.Tables, cluster string) *enricher {
	n := &enricher{tables: t, cluster: cluster}
	n.ends = memory[sighting, *flowpb.Endpoint]{find: n.endpoint, tables: []versioned{t.Workloads, t.Attachments, t.Endpoints, t.Identities}}
	n.devices = memory[uint32, *flowpb.NetworkInterface]{find: n.device, tables: []versioned{t.Devices}}
	n.deciders = memory[uint32, []*flowpb.Policy]{find: n.policiesOf, tables: []versioned{t.RuleLists}}
	return n
}

// flow makes the flow of an event; time, uuid and node are the caller's to add.
func (n *enricher) flow(r state.Reader, e abi.Event) *flowpb.Flow {
	src, dst := e.Src.IP(), e.Dst.IP()
	f := &flowpb.Flow{
		Type:        flowpb.FlowType_L3_L4,
		IP:          addresses(src, dst),
		L4:          flow.L4(e.Protocol, e.SrcPort, e.DstPort, e.TcpFlags),
		Source:      n.ends.of(r, sighting{src, identity.Number(e.Source)}),
		Destination: n.ends.of(r, sighting{dst, identity.Number(e.Destination)}),
		Interface:   n.devices.of(r, e.Ifindex),
		EventType:   &flowpb.CiliumEventType{},
	}
	//lint:ignore SA1019 clients before 1.15 read it
	f.Summary = flow.Summary(f.GetL4())
	n.services(r, e, f)
	switch e.Type {
	case abi.EventVerdict:
		verdict(e, f)
	case abi.EventDrop:
		drop(e, f)
	default:
		trace(e, f)
	}
	n.policies(r, e, f)
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

// endpoint is who lives at an address, and with which identity it was seen.
func (n *enricher) endpoint(r state.Reader, who sighting) *flowpb.Endpoint {
	out := &flowpb.Endpoint{}
	at, number := who.at, who.number
	var labels identity.Labels
	if at.IsValid() {
		key := state.Join(at)
		for w := range n.tables.Workloads.By(r, table.ByAddress, key) {
			out.Namespace, out.PodName, labels = w.Namespace, w.Pod, w.Labels
			number = cmp.Or(number, w.Identity)
			out.ClusterName = n.cluster
		}
		for a := range n.tables.Attachments.By(r, table.ByAddress, key) {
			out.ID = a.Incarnation
		}
		if out.GetPodName() == "" {
			for e := range n.tables.Endpoints.By(r, table.ByAddress, key) {
				out.Namespace, out.PodName = e.Namespace, e.Name
				number = cmp.Or(number, e.Identity)
				out.ClusterName = n.cluster
			}
		}
	}
	out.Identity = uint32(number)
	if known, ok := n.tables.Identities.One(r, state.Join(uint32(number))); ok {
		labels = known.Labels
	} else if reserved := identity.Reserved(number); reserved.Len() > 0 {
		labels = reserved
	}
	for key, value := range labels.All() {
		if value == "" && strings.HasPrefix(key, identity.SourceReserved+":") {
			out.Labels = append(out.Labels, key)
		} else {
			out.Labels = append(out.Labels, key+"="+value)
		}
	}
	return out
}

func (n *enricher) device(r state.Reader, ifindex uint32) *flowpb.NetworkInterface {
	if ifindex == 0 {
		return nil
	}
	d, _ := n.tables.Devices.One(r, state.Join(ifindex))
	return &flowpb.NetworkInterface{Index: ifindex, Name: d.Name}
}

// services names the service that the client called: the one that the datapath translated, or one that the packet
// still has as its address.
func (n *enricher) services(r state.Reader, e abi.Event, f *flowpb.Flow) {
	f.SourceService = n.service(r, e.Src.IP(), e.SrcPort, e.Protocol)
	f.DestinationService = n.service(r, e.Dst.IP(), e.DstPort, e.Protocol)
	if e.Flags&abi.EventService == 0 {
		return
	}
	called := n.service(r, e.Service.IP(), e.ServicePort, e.Protocol)
	if e.Flags&abi.EventReply != 0 {
		f.SourceService = cmp.Or(f.SourceService, called)
	} else {
		f.DestinationService = cmp.Or(f.DestinationService, called)
	}
}

func (n *enricher) service(r state.Reader, at netip.Addr, port uint16, protocol uint8) *flowpb.Service {
	if !at.IsValid() || port == 0 {
		return nil
	}
	front, ok := n.tables.Frontends.One(r, state.Join(at, port, protocol))
	if !ok {
		return nil
	}
	return &flowpb.Service{Name: front.Name, Namespace: front.Namespace}
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

// policiesOf names the policies of a list of rules, each once however many of its rules are in it.
func (n *enricher) policiesOf(r state.Reader, number uint32) (policies []*flowpb.Policy) {
	list, _ := n.tables.RuleLists.One(r, state.Join(number))
	for _, o := range list.Rules {
		if !slices.ContainsFunc(policies, func(p *flowpb.Policy) bool {
			return p.GetKind() == o.Kind && p.GetNamespace() == o.Namespace && p.GetName() == o.Name
		}) {
			policies = append(policies, policyOf(o))
		}
	}
	return policies
}

// policies names the policies that decided.
func (n *enricher) policies(r state.Reader, e abi.Event, f *flowpb.Flow) {
	if e.Rules == 0 || e.Type == abi.EventTrace {
		return
	}
	policies := n.deciders.of(r, e.Rules)
	denied := f.GetVerdict() == flowpb.Verdict_DROPPED || f.GetVerdict() == flowpb.Verdict_AUDIT
	switch {
	case e.Direction == abi.DirectionEgress && denied:
		f.EgressDeniedBy = policies
	case e.Direction == abi.DirectionEgress:
		f.EgressAllowedBy = policies
	case denied:
		f.IngressDeniedBy = policies
	default:
		f.IngressAllowedBy = policies
	}
}

// policyOf has the labels that Cilium gives the rules of a policy object.
func policyOf(o policy.Origin) *flowpb.Policy {
	p := &flowpb.Policy{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
	for _, label := range []struct{ key, value string }{
		{"derived-from", o.Kind}, {"name", o.Name}, {"namespace", o.Namespace}, {"uid", o.UID},
	} {
		if label.value != "" {
			p.Labels = append(p.Labels, "k8s:io.cilium.k8s.policy."+label.key+"="+label.value)
		}
	}
	return p
}
