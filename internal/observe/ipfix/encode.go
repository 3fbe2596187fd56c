package ipfix

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/flow"
)

// reverse is the enterprise number of elements about the way back (RFC 5103 section 6.1).
const reverse = 29305

// element is a field of a record: its number (https://www.iana.org/assignments/ipfix), its bytes, and what a flow says of it. Bytes of
// 65535 stand for a text.
type element struct {
	number, bytes uint16
	enterprise    uint32
	value         func(*record) uint64
	address       func(*record) netip.Addr
	text          func(*record) string
}

const variable = 65535

// record is a flow with what its elements ask for.
type record struct {
	f                    *flowpb.Flow
	src, dst             netip.Addr
	srcPort, dstPort     uint16
	protocol             uint8
	sent, received       flow.Carried
	started, ended       time.Time
	ending, status, flag uint8
}

// common are the elements of all records but addresses.
var common = []element{
	{number: 152, bytes: 8, value: func(r *record) uint64 { return uint64(r.started.UnixMilli()) }}, // flowStartMilliseconds
	{number: 153, bytes: 8, value: func(r *record) uint64 { return uint64(r.ended.UnixMilli()) }},   // flowEndMilliseconds
	{number: 7, bytes: 2, value: func(r *record) uint64 { return uint64(r.srcPort) }},               // sourceTransportPort
	{number: 11, bytes: 2, value: func(r *record) uint64 { return uint64(r.dstPort) }},              // destinationTransportPort
	{number: 4, bytes: 1, value: func(r *record) uint64 { return uint64(r.protocol) }},              // protocolIdentifier
	{number: 6, bytes: 1, value: func(r *record) uint64 { return uint64(r.flag) }},                  // tcpControlBits
	{number: 1, bytes: 8, value: func(r *record) uint64 { return r.sent.Bytes }},                    // octetDeltaCount
	{number: 2, bytes: 8, value: func(r *record) uint64 { return r.sent.Packets }},                  // packetDeltaCount
	{number: 1, bytes: 8, enterprise: reverse, value: func(r *record) uint64 { return r.received.Bytes }},
	{number: 2, bytes: 8, enterprise: reverse, value: func(r *record) uint64 { return r.received.Packets }},
	{number: 136, bytes: 1, value: func(r *record) uint64 { return uint64(r.ending) }},                       // flowEndReason
	{number: 89, bytes: 1, value: func(r *record) uint64 { return uint64(r.status) }},                        // forwardingStatus
	{number: 61, bytes: 1, value: direction},                                                                 // flowDirection
	{number: 10, bytes: 4, value: func(r *record) uint64 { return uint64(r.f.GetInterface().GetIndex()) }},   // ingressInterface
	{number: 82, bytes: variable, text: func(r *record) string { return r.f.GetInterface().GetName() }},      // interfaceName
	{number: 350, bytes: variable, text: func(r *record) string { return flow.ExtraOf(r.f).Destination.VM }}, // virtualStationName
}

func direction(r *record) uint64 {
	if r.f.GetTrafficDirection() == flowpb.TrafficDirection_EGRESS {
		return 1
	}
	return 0
}

// template is the shape of records.
type template struct {
	id       uint16
	elements []element
}

// Numbers of sets (RFC 7011 section 3.3.2); those from 256 on are of templates.
const templateSet = 2

var (
	of4 = template{256, slices.Concat([]element{
		{number: 8, bytes: 4, address: func(r *record) netip.Addr { return r.src }},  // sourceIPv4Address
		{number: 12, bytes: 4, address: func(r *record) netip.Addr { return r.dst }}, // destinationIPv4Address
	}, common)}
	of6 = template{257, slices.Concat([]element{
		{number: 27, bytes: 16, address: func(r *record) netip.Addr { return r.src }}, // sourceIPv6Address
		{number: 28, bytes: 16, address: func(r *record) netip.Addr { return r.dst }}, // destinationIPv6Address
	}, common)}
)

// templates is the set that tells a collector both.
func templates() []byte {
	out := binary.BigEndian.AppendUint16(nil, templateSet)
	out = append(out, 0, 0)
	for _, t := range []template{of4, of6} {
		out = binary.BigEndian.AppendUint16(out, t.id)
		out = binary.BigEndian.AppendUint16(out, uint16(len(t.elements)))
		for _, e := range t.elements {
			number := e.number
			if e.enterprise != 0 {
				number |= 1 << 15
			}
			out = binary.BigEndian.AppendUint16(out, number)
			out = binary.BigEndian.AppendUint16(out, e.bytes)
			if e.enterprise != 0 {
				out = binary.BigEndian.AppendUint32(out, e.enterprise)
			}
		}
	}
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	return out
}

// most is the length of a message: a datagram that no path cuts (RFC 7011 section 10.3.3).
const most = 1400

// header is the length of a message's.
const header = 16

// encoder collects records for a message.
type encoder struct {
	sets     [2][]byte // of IPv4, of IPv6
	records  uint32
	sequence uint32 // records that were sent before
}

// add takes a flow in; false: the message is full. A flow that is no record is taken, too.
func (e *encoder) add(f *flowpb.Flow) bool {
	r, ok := recordOf(f)
	if !ok {
		return true
	}
	i, t := 0, of4
	if r.src.Is6() {
		i, t = 1, of6
	}
	encoded := t.encode(r)
	if header+len(e.sets[0])+len(e.sets[1])+4+len(encoded) > most {
		return false
	}
	if len(e.sets[i]) == 0 {
		e.sets[i] = binary.BigEndian.AppendUint16(e.sets[i], t.id)
		e.sets[i] = append(e.sets[i], 0, 0)
	}
	e.sets[i] = append(e.sets[i], encoded...)
	e.records++
	return true
}

func (t template) encode(r *record) (out []byte) {
	for _, e := range t.elements {
		switch {
		case e.address != nil:
			out = append(out, e.address(r).AsSlice()...)
		case e.text != nil:
			text := e.text(r)
			text = text[:min(len(text), 254)]
			out = append(append(out, byte(len(text))), text...)
		default:
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], e.value(r))
			out = append(out, b[8-e.bytes:]...)
		}
	}
	return out
}

// take gives the message of what was taken in; nil: nothing was.
func (e *encoder) take(now time.Time) []byte {
	if e.records == 0 {
		return nil
	}
	var body []byte
	for i, set := range e.sets {
		if len(set) > 0 {
			binary.BigEndian.PutUint16(set[2:], uint16(len(set)))
			body = append(body, set...)
			e.sets[i] = set[:0]
		}
	}
	m := e.message(body, e.records, now)
	e.records = 0
	return m
}

// message puts a header before sets (RFC 7011 section 3.1).
func (e *encoder) message(body []byte, records uint32, now time.Time) []byte {
	out := binary.BigEndian.AppendUint16(nil, 10)
	out = binary.BigEndian.AppendUint16(out, uint16(header+len(body)))
	out = binary.BigEndian.AppendUint32(out, uint32(now.Unix()))
	out = binary.BigEndian.AppendUint32(out, e.sequence)
	out = binary.BigEndian.AppendUint32(out, 0) // the collector tells nodes apart by their addresses
	e.sequence += records
	return append(out, body...)
}

// endings are values of flowEndReason (RFC 5102 section 5.11.3).
var endings = map[string]uint8{"idle": 1, "": 2, "fin": 3, "reset": 3, "evicted": 5}

// recordOf gives what is sent of a flow; false: nothing.
func recordOf(f *flowpb.Flow) (*record, bool) {
	r := &record{f: f, ended: f.GetTime().AsTime(), started: f.GetTime().AsTime()}
	x := flow.ExtraOf(f)
	switch c := cmp.Or(x.Close, x.Progress); {
	case c != nil:
		r.ending, r.status = endings[c.Ending], 64
		r.sent, r.received = c.News() // collectors add them up
		r.started = r.ended.Add(-c.Duration)
	case f.GetEventType().GetType() == flow.EventDrop:
		r.sent.Packets, r.status = 1, 128
		if policyAsked(f.GetDropReasonDesc()) {
			r.status = 129
		}
	default:
		return nil, false
	}
	var err, other error
	r.src, err = netip.ParseAddr(f.GetIP().GetSource())
	r.dst, other = netip.ParseAddr(f.GetIP().GetDestination())
	if err != nil || other != nil || r.src.Is4() != r.dst.Is4() {
		return nil, false
	}
	r.srcPort, r.dstPort, _ = flow.Ports(f)
	r.protocol, r.flag = transport(f.GetL4())
	return r, true
}

func policyAsked(reason flowpb.DropReason) bool {
	return reason == flowpb.DropReason_POLICY_DENIED || reason == flowpb.DropReason_POLICY_DENY || reason == flowpb.DropReason_AUTH_REQUIRED
}

// transport is the protocol's number, and of TCP the flags.
func transport(l4 *flowpb.Layer4) (protocol, flags uint8) {
	switch p := l4.GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		for i, set := range []bool{
			p.TCP.GetFlags().GetFIN(), p.TCP.GetFlags().GetSYN(), p.TCP.GetFlags().GetRST(), p.TCP.GetFlags().GetPSH(),
			p.TCP.GetFlags().GetACK(), p.TCP.GetFlags().GetURG(), p.TCP.GetFlags().GetECE(), p.TCP.GetFlags().GetCWR(),
		} {
			if set {
				flags |= 1 << i
			}
		}
		return 6, flags
	case *flowpb.Layer4_UDP:
		return 17, 0
	case *flowpb.Layer4_SCTP:
		return 132, 0
	case *flowpb.Layer4_ICMPv4:
		return 1, 0
	case *flowpb.Layer4_ICMPv6:
		return 58, 0
	}
	return 0, 0
}
