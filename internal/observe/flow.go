package observe

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/observe/journal"
)

// Flow is an event with what the tables knew when it came, or the news that some events or flows were lost. It is never
// changed once it is in the journal. Its message is made when a client asks for it: most are overwritten before.
type Flow struct {
	journal.Entry
	lost *flowpb.LostEvent // nil: it is a flow; else the rest is empty

	kind *kind
	more any // what the event's type has beside the event
	uuid [16]byte
	node *origin

	source, destination               *party
	device                            *flowpb.NetworkInterface // nil: none
	sourceService, destinationService *flowpb.Service          // nil: none
	decision, staged                  *decision                // of the rules; of staged ones. nil: none
	translated                        netip.Addr               // the source that its packets go on with, if that is another

	once    sync.Once
	message *flowpb.Flow
	event   abi.Event // has no pointers: last
}

// slab is how many flows are allocated at once.
const slab = 32

// origin is the node and the program that flows come from.
type origin struct {
	node    string
	labels  []string
	emitter *flowpb.Emitter
	decide  func(rules uint32) *decision // as the tables have it now
}

// current is a decision as the tables have it now, if its list of rules was not known yet when the event came: programs may
// use a number before the table has it.
func (o *origin) current(d *decision, rules uint32) *decision {
	if rules == 0 || o.decide == nil || d != nil && len(d.rules) > 0 {
		return d
	}
	return o.decide(rules)
}

// Message is Hubble's form of a flow; not to be changed. Any goroutine may ask.
func (f *Flow) Message() *flowpb.Flow {
	f.once.Do(func() { f.message = f.tell() })
	return f.message
}

// Ends are the source and the destination as Message has them; not to be changed. Making the message costs far more than counting by these.
func (f *Flow) Ends() (source, destination *flowpb.Endpoint) {
	if f.source == nil {
		return nil, nil // what was lost has none
	}
	return f.source.endpoint, f.destination.endpoint
}

func (f *Flow) tell() *flowpb.Flow {
	e := &f.event
	out := &flowpb.Flow{
		Time:               timestamppb.New(f.At),
		Uuid:               uuidText(f.uuid),
		Emitter:            f.node.emitter,
		NodeName:           f.node.node,
		NodeLabels:         f.node.labels,
		Type:               flowpb.FlowType_L3_L4,
		IP:                 addresses(e.Src.IP(), e.Dst.IP()),
		L4:                 flow.L4(e.Protocol, e.SrcPort, e.DstPort, e.TcpFlags),
		Source:             f.source.endpoint,
		Destination:        f.destination.endpoint,
		SourceService:      f.sourceService,
		DestinationService: f.destinationService,
		Interface:          f.device,
		EventType:          &flowpb.CiliumEventType{},
	}
	if f.translated.IsValid() {
		out.IP.SourceXlated = f.translated.String()
	}
	//lint:ignore SA1019 clients before 1.15 read it
	out.Summary = flow.Summary(out.GetL4())
	f.kind.tell(f, out)
	out.Extensions = f.extra().Extension()
	if !f.kind.judge {
		return out
	}
	decided(out, e.Direction, f.node.current(f.decision, e.Rules))
	if text := stagedText(abi.Verdict(e.Staged), f.node.current(f.staged, e.StagedRules)); text != "" {
		out.PolicyLog = append(slices.Clone(out.GetPolicyLog()), text)
	}
	return out
}

// extra is what Hubble's message has no field for.
func (f *Flow) extra() flow.Extra {
	e := flow.Extra{Network: cmp.Or(f.source.network, f.destination.network), Overlay: cmp.Or(f.source.overlay, f.destination.overlay), Source: f.source.place, Destination: f.destination.place}
	switch c, ok := f.more.(flow.Close); {
	case ok && c.Ending == "":
		e.Progress = &c
	case ok:
		e.Close = &c
	}
	return e
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

// decided names the policies that did.
func decided(f *flowpb.Flow, direction abi.Direction, d *decision) {
	if d == nil {
		return
	}
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
