package graph

import (
	"encoding/binary"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// key is what flows of a class have in common. Two flows have the same key if and only if strip makes the same of them.
type key struct {
	source, destination, where *shared
	services, device           string
	beside                     beside
	verdict                    flowpb.Verdict
	reason                     flowpb.DropReason
	direction                  flowpb.TrafficDirection
	point                      flowpb.TraceObservationPoint
	trace                      flowpb.TraceReason
	flowType                   flowpb.FlowType
	auth                       flowpb.AuthType
	layer7                     flowpb.L7FlowType
	version                    flowpb.IPVersion
	event, sub                 int32
	protocol, reply, record    uint8
	encrypted                  bool
}

// shared is a part that many classes have: an end, or the node that saw them.
type shared struct {
	end    *flowpb.Endpoint
	node   string
	labels []string // of the node
	text   string   // all of it: by this it is found
	uses   int
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, text := range list {
		b = appendText(b, text)
	}
	return b
}

func appendEnd(b []byte, e *flowpb.Endpoint) []byte {
	b = binary.AppendUvarint(b, uint64(e.GetID()))
	b = binary.AppendUvarint(b, uint64(e.GetIdentity()))
	b = appendText(b, e.GetClusterName())
	b = appendText(b, e.GetNamespace())
	b = appendText(b, e.GetPodName())
	b = appendTexts(b, e.GetLabels())
	for _, w := range e.GetWorkloads() {
		b = appendText(appendText(b, w.GetKind()), w.GetName())
	}
	return b
}

func appendServices(b []byte, f *flowpb.Flow) []byte {
	for _, s := range []*flowpb.Service{f.GetSourceService(), f.GetDestinationService()} {
		b = appendText(appendText(b, s.GetNamespace()), s.GetName())
	}
	return b
}

// Protocols of the fourth layer, as a class knows them.
const (
	none uint8 = iota
	tcp
	udp
	sctp
	icmp4
	icmp6
	vrrp
	igmp
)

func protocolOf(l *flowpb.Layer4) uint8 {
	switch l.GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return tcp
	case *flowpb.Layer4_UDP:
		return udp
	case *flowpb.Layer4_SCTP:
		return sctp
	case *flowpb.Layer4_ICMPv4:
		return icmp4
	case *flowpb.Layer4_ICMPv6:
		return icmp6
	case *flowpb.Layer4_VRRP:
		return vrrp
	case *flowpb.Layer4_IGMP:
		return igmp
	}
	return none
}

func layer4(protocol uint8) *flowpb.Layer4 {
	switch protocol {
	case tcp:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{}}}
	case udp:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{}}}
	case sctp:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_SCTP{SCTP: &flowpb.SCTP{}}}
	case icmp4:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv4{ICMPv4: &flowpb.ICMPv4{}}}
	case icmp6:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv6{ICMPv6: &flowpb.ICMPv6{}}}
	case vrrp:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_VRRP{VRRP: &flowpb.VRRP{}}}
	case igmp:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_IGMP{IGMP: &flowpb.IGMP{}}}
	}
	return nil
}

// Protocols above.
const (
	http uint8 = iota + 1
	dns
	kafka
)

func recordOf(l *flowpb.Layer7) uint8 {
	switch l.GetRecord().(type) {
	case *flowpb.Layer7_Http:
		return http
	case *flowpb.Layer7_Dns:
		return dns
	case *flowpb.Layer7_Kafka:
		return kafka
	}
	return none
}

func layer7(t flowpb.L7FlowType, record uint8) *flowpb.Layer7 {
	out := &flowpb.Layer7{Type: t}
	switch record {
	case http:
		out.Record = &flowpb.Layer7_Http{Http: &flowpb.HTTP{}}
	case dns:
		out.Record = &flowpb.Layer7_Dns{Dns: &flowpb.DNS{}}
	case kafka:
		//lint:ignore SA1019 flows have it
		out.Record = &flowpb.Layer7_Kafka{Kafka: &flowpb.Kafka{}}
	default:
		if t == 0 {
			return nil
		}
	}
	return out
}

func replyOf(f *flowpb.Flow) uint8 {
	switch r := f.GetIsReply(); {
	case r == nil:
		return 0
	case r.GetValue():
		return 2
	}
	return 1
}

// keyOf makes the key of a flow but for what it shares with others.
func keyOf(f *flowpb.Flow, x extra) key {
	k := key{
		verdict: f.GetVerdict(), reason: f.GetDropReasonDesc(), direction: f.GetTrafficDirection(), point: f.GetTraceObservationPoint(), trace: f.GetTraceReason(),
		flowType: f.GetType(), auth: f.GetAuthType(), layer7: f.GetL7().GetType(), version: f.GetIP().GetIpVersion(), encrypted: f.GetIP().GetEncrypted(),
		event: f.GetEventType().GetType(), sub: f.GetEventType().GetSubType(), protocol: protocolOf(f.GetL4()), reply: replyOf(f), record: recordOf(f.GetL7()), device: f.GetInterface().GetName(), beside: x.beside,
	}
	if f.GetSourceService() != nil || f.GetDestinationService() != nil {
		k.services = string(appendServices(nil, f))
	}
	return k
}

// strip is a flow without what single connections are: what all flows of its class are. It shares parts with the flow.
func strip(f *flowpb.Flow, x extra) *flowpb.Flow {
	out := &flowpb.Flow{
		Verdict: f.GetVerdict(), DropReasonDesc: f.GetDropReasonDesc(), TrafficDirection: f.GetTrafficDirection(), TraceObservationPoint: f.GetTraceObservationPoint(),
		TraceReason: f.GetTraceReason(), Type: f.GetType(), AuthType: f.GetAuthType(), NodeName: f.GetNodeName(), NodeLabels: f.GetNodeLabels(),
		Source: f.GetSource(), Destination: f.GetDestination(), L4: layer4(protocolOf(f.GetL4())), IsReply: f.GetIsReply(),
		EventType: &flowpb.CiliumEventType{Type: f.GetEventType().GetType(), SubType: f.GetEventType().GetSubType()},
		IP:        &flowpb.IP{IpVersion: f.GetIP().GetIpVersion(), Encrypted: f.GetIP().GetEncrypted()}, Extensions: x.message(),
		SourceService: serviceOf(f.GetSourceService()), DestinationService: serviceOf(f.GetDestinationService()),
	}
	if name := f.GetInterface().GetName(); name != "" {
		out.Interface = &flowpb.NetworkInterface{Name: name}
	}
	out.L7 = layer7(f.GetL7().GetType(), recordOf(f.GetL7()))
	return out
}

// serviceOf is nil for a service without a name, which filters find as little.
func serviceOf(s *flowpb.Service) *flowpb.Service {
	if s.GetName() == "" && s.GetNamespace() == "" {
		return nil
	}
	return &flowpb.Service{Namespace: s.GetNamespace(), Name: s.GetName()}
}
