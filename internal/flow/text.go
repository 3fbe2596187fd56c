package flow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// Values of event_type.type: the kinds of monitor messages.
const (
	EventDrop          = 1
	EventDebug         = 2
	EventCapture       = 3
	EventTrace         = 4
	EventPolicyVerdict = 5
	EventTraceSock     = 7
	EventL7            = 129
	EventAgent         = 130
)

var eventTypes = map[string]int32{
	"drop": EventDrop, "debug": EventDebug, "capture": EventCapture, "trace": EventTrace,
	"policy-verdict": EventPolicyVerdict, "trace-sock": EventTraceSock, "l7": EventL7, "agent": EventAgent,
}

// EventType finds the number of an event type by its name.
func EventType(name string) (int32, bool) {
	n, ok := eventTypes[name]
	return n, ok
}

// EventTypes lists the names that flows can have, in order.
func EventTypes() []string {
	return slices.Sorted(slices.Values(append([]string{"capture", "drop", "l7", "policy-verdict", "trace", "trace-sock"}, names(ownPoints)...)))
}

// points are the observation points by event_type.sub_type of a trace. The enum TraceObservationPoint has the same
// numbers, except that to-endpoint is 101 there since 0 is unknown.
var points = []string{
	"to-endpoint", "to-proxy", "to-host", "to-stack", "to-overlay", "from-endpoint", "from-proxy", "from-host",
	"from-stack", "from-overlay", "from-network", "to-network", "from-crypto", "to-crypto",
}

// ownPoints are points that Hubble has not, by sub type. Each is declared in the file of its kind of event, and is a name of
// a type as well.
var ownPoints = map[int32]string{}

// declarePoint gives a point of ours its sub type and its name.
func declarePoint(subType int32, name string) string {
	ownPoints[subType] = name
	return name
}

func names(points map[int32]string) []string { return slices.Sorted(maps.Values(points)) }

// IsOwnPoint tells whether a name is that of a point which Hubble has not.
func IsOwnPoint(name string) bool { return slices.Contains(names(ownPoints), name) }

// PointText names an observation point by its sub type.
func PointText(subType int32) string {
	if name, own := ownPoints[subType]; own {
		return name
	}
	return at(points, int(subType))
}

// Points lists the names of observation points.
func Points() []string { return append(slices.Clone(points), names(ownPoints)...) }

// PointSubType finds the sub type of an observation point.
func PointSubType(name string) (int32, bool) {
	for subType, own := range ownPoints {
		if own == name {
			return subType, true
		}
	}
	i := slices.Index(points, name)
	return int32(i), i >= 0
}

// SubType gives the sub type of an observation point.
func SubType(p flowpb.TraceObservationPoint) int32 {
	if p == flowpb.TraceObservationPoint_TO_ENDPOINT {
		return 0
	}
	return int32(p)
}

// MatchText says what of peer and port a rule matched on (policy_match_type).
func MatchText(match uint32) string {
	return at([]string{"none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only"}, int(match))
}

func at(list []string, i int) string {
	if i >= 0 && i < len(list) {
		return list[i]
	}
	return strconv.Itoa(i)
}

// L4 makes the transport part of a flow. ICMP has type and code where others have ports. A protocol that Hubble has
// no message for gives nil.
func L4(protocol uint8, src, dst uint16, tcpFlags uint8) *flowpb.Layer4 {
	from, to := uint32(src), uint32(dst)
	switch protocol {
	case 6:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{SourcePort: from, DestinationPort: to, Flags: tcp(tcpFlags)}}}
	case 17:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: from, DestinationPort: to}}}
	case 132:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_SCTP{SCTP: &flowpb.SCTP{SourcePort: from, DestinationPort: to}}}
	case 1:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv4{ICMPv4: &flowpb.ICMPv4{Type: from, Code: to}}}
	case 58:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv6{ICMPv6: &flowpb.ICMPv6{Type: from, Code: to}}}
	}
	return nil
}

// tcp reads byte 13 of the TCP header.
func tcp(b uint8) *flowpb.TCPFlags {
	return &flowpb.TCPFlags{
		FIN: b&1 != 0, SYN: b&2 != 0, RST: b&4 != 0, PSH: b&8 != 0, ACK: b&16 != 0, URG: b&32 != 0, ECE: b&64 != 0, CWR: b&128 != 0,
	}
}

// Ports gives the ports of a flow; ok is false where it has none.
func Ports(f *flowpb.Flow) (src, dst uint16, ok bool) {
	l4 := f.GetL4()
	if p := l4.GetTCP(); p != nil {
		return uint16(p.GetSourcePort()), uint16(p.GetDestinationPort()), true
	}
	if p := l4.GetUDP(); p != nil {
		return uint16(p.GetSourcePort()), uint16(p.GetDestinationPort()), true
	}
	if p := l4.GetSCTP(); p != nil {
		return uint16(p.GetSourcePort()), uint16(p.GetDestinationPort()), true
	}
	return 0, 0, false
}

// Summary is the text between the last parentheses of a line: "TCP Flags: SYN", "UDP", "ICMPv4 EchoRequest".
func Summary(l4 *flowpb.Layer4) string {
	switch p := l4.GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return "TCP Flags: " + flagsText(p.TCP.GetFlags())
	case *flowpb.Layer4_UDP:
		return "UDP"
	case *flowpb.Layer4_SCTP:
		return "SCTP"
	case *flowpb.Layer4_ICMPv4:
		return "ICMPv4 " + icmpText(icmp4, p.ICMPv4.GetType(), p.ICMPv4.GetCode())
	case *flowpb.Layer4_ICMPv6:
		return "ICMPv6 " + icmpText(icmp6, p.ICMPv6.GetType(), p.ICMPv6.GetCode())
	}
	return ""
}

func flagsText(f *flowpb.TCPFlags) string {
	var text []string
	for _, flag := range []struct {
		set  bool
		name string
	}{
		{f.GetSYN(), "SYN"},
		{f.GetACK(), "ACK"},
		{f.GetRST(), "RST"},
		{f.GetFIN(), "FIN"},
		{f.GetPSH(), "PSH"},
		{f.GetURG(), "URG"},
		{f.GetECE(), "ECE"},
		{f.GetCWR(), "CWR"},
		{f.GetNS(), "NS"},
	} {
		if flag.set {
			text = append(text, flag.name)
		}
	}
	return strings.Join(text, ", ")
}

// icmpType is the name of an ICMP type; codes names its codes, nil if the type has none.
type icmpType struct {
	name  string
	codes []string
}

var icmp4 = map[uint32]icmpType{
	0: {"EchoReply", nil},
	3: {"DestinationUnreachable", []string{
		"Net", "Host", "Protocol", "Port", "FragmentationNeeded", "SourceRoutingFailed", "NetUnknown", "HostUnknown",
		"SourceIsolated", "NetAdminProhibited", "HostAdminProhibited", "NetTOS", "HostTOS", "CommAdminProhibited",
		"HostPrecedence", "PrecedenceCutoff",
	}},
	4:  {"SourceQuench", nil},
	5:  {"Redirect", []string{"Net", "Host", "TOS+Net", "TOS+Host"}},
	8:  {"EchoRequest", nil},
	9:  {"RouterAdvertisement", nil},
	10: {"RouterSolicitation", nil},
	11: {"TimeExceeded", []string{"TTLExceeded", "FragmentReassemblyTimeExceeded"}},
	12: {"ParameterProblem", []string{"PointerIndicatesError", "MissingOption", "BadLength"}},
	13: {"TimestampRequest", nil},
	14: {"TimestampReply", nil},
	15: {"InfoRequest", nil},
	16: {"InfoReply", nil},
	17: {"AddressMaskRequest", nil},
	18: {"AddressMaskReply", nil},
}

var icmp6 = map[uint32]icmpType{
	1: {"DestinationUnreachable", []string{
		"NoRouteToDst", "AdminProhibited", "BeyondScopeOfSrc", "AddressUnreachable", "PortUnreachable",
		"SrcAddressFailedPolicy", "RejectRouteToDst",
	}},
	2:   {"PacketTooBig", nil},
	3:   {"TimeExceeded", []string{"HopLimitExceeded", "FragmentReassemblyTimeExceeded"}},
	4:   {"ParameterProblem", []string{"ErroneousHeaderField", "UnrecognizedNextHeader", "UnrecognizedIPv6Option"}},
	128: {"EchoRequest", nil},
	129: {"EchoReply", nil},
	133: {"RouterSolicitation", nil},
	134: {"RouterAdvertisement", nil},
	135: {"NeighborSolicitation", nil},
	136: {"NeighborAdvertisement", nil},
	137: {"Redirect", nil},
}

func icmpText(types map[uint32]icmpType, kind, code uint32) string {
	t, known := types[kind]
	switch {
	case !known:
		return fmt.Sprintf("%d(%d)", kind, code)
	case t.codes == nil && code == 0:
		return t.name
	case int(code) >= len(t.codes):
		return fmt.Sprintf("%s(Code: %d)", t.name, code)
	}
	return fmt.Sprintf("%s(%s)", t.name, t.codes[code])
}
