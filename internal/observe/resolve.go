package observe

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/observe/cache"
	"weftnet.io/weftnet/internal/observe/offer"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// resolver finds out what addresses and numbers of events mean, with what the tables know at one moment. Not for
// concurrent use.
type resolver struct {
	tables   *table.Tables
	further  Further // nil: there is no other network than that of pods
	machine  Machine // nil: there are no virtual machines
	ends     cache.Cache[endpoint, *party]
	devices  cache.Cache[uint32, *flowpb.NetworkInterface]
	deciders cache.Cache[uint32, *decision] // by number of the list of rules
	offers   *offer.Names
}

// endpoint is one end of a packet: an address, and the identity that it was seen with; 0: with none.
type endpoint struct {
	at      netip.Addr
	number  identity.Number
	network uint32 // 0: that of pods
}

// party is who is at one end.
type party struct {
	endpoint *flowpb.Endpoint
	network  uint32 // id; 0: the pod network
	overlay  string // name of the overlay network of that id; empty: it is none
	place    flow.Place
	device   *flowpb.NetworkInterface // of its NIC on this node; nil: it has none, or not in the pod network
}

func newResolver(t *table.Tables, further Further, machine Machine) *resolver {
	n := &resolver{tables: t, further: further, machine: machine}
	n.ends = cache.Cache[endpoint, *party]{Find: n.end, Tables: []cache.Versioned{t.Workloads, t.Attachments, t.Endpoints, t.Identities, t.Configs, t.Pods, t.Devices}}
	if further != nil {
		n.ends.Tables = append(n.ends.Tables, further.Rests()...)
	}
	n.devices = cache.Cache[uint32, *flowpb.NetworkInterface]{Find: n.device, Tables: []cache.Versioned{t.Devices, t.Attachments}}
	n.deciders = cache.Cache[uint32, *decision]{Find: n.decisionOf, Tables: []cache.Versioned{t.RuleLists}}
	n.offers = offer.New(t)
	return n
}

// resolve fills in what an event means.
func (n *resolver) resolve(r *state.Snapshot, f *Flow) {
	e := &f.event
	network := uint32(e.Flags / abi.EventNetwork)
	if network == 0 && n.further != nil { // of a program that did not say it
		network = n.further.Network(r, e.Incarnation)
	}
	f.source = n.ends.Of(r, endpoint{e.Src.IP(), identity.Number(e.Source), network})
	f.destination = n.ends.Of(r, endpoint{e.Dst.IP(), identity.Number(e.Destination), network})
	if f.device = cmp.Or(f.source.device, f.destination.device); e.Ifindex != 0 { // the end of a connection was seen at no device
		f.device = n.devices.Of(r, e.Ifindex)
	}
	n.services(r, f)
	if e.Flags&abi.EventSnat != 0 && e.Flags&abi.EventReply == 0 {
		f.translated = n.nodeAddress(r, e.Dst.IP())
	}
	if e.Rules != 0 && f.kind.judge {
		f.decision = n.deciders.Of(r, e.Rules)
	}
	if e.StagedRules != 0 {
		f.staged = n.deciders.Of(r, e.StagedRules)
	}
}

// end is what lives at an address, and with which identity it was seen.
func (n *resolver) end(r state.Reader, who endpoint) *party {
	out := &flowpb.Endpoint{}
	p := &party{endpoint: out}
	at, number := who.at, who.number
	var labels identity.Labels
	if who.network != 0 && n.further != nil {
		labels, number = n.member(r, who, p)
	} else if at.IsValid() {
		key := state.Join(at)
		for w := range n.tables.Workloads.By(r, table.ByAddress, key) {
			if w.Network != 0 {
				continue
			}
			out.Namespace, out.PodName, labels = w.Namespace, w.Pod, w.Labels
			number = cmp.Or(number, w.Identity)
			out.ClusterName = n.tables.Config(r).ClusterName
		}
		for a := range n.tables.Attachments.By(r, table.ByAddress, key) {
			if a.Network != 0 {
				continue
			}
			out.ID = a.Incarnation
			for d := range n.tables.Devices.By(r, table.ByName, state.Join(a.HostName)) {
				p.device = &flowpb.NetworkInterface{Index: uint32(d.Index), Name: a.Interface}
			}
		}
		if out.GetPodName() == "" {
			for e := range n.tables.Endpoints.By(r, table.ByAddress, key) {
				out.Namespace, out.PodName = e.Namespace, e.Name
				number = cmp.Or(number, e.Identity)
				out.ClusterName = n.tables.Config(r).ClusterName
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
	if out.GetPodName() != "" {
		local, _ := n.tables.Pods.One(r, table.ObjectKey(out.GetNamespace(), out.GetPodName()))
		if n.machine != nil {
			if name := n.machine(local, out.GetPodName(), labels); name != "" {
				p.place.VM = out.GetNamespace() + "/" + name
			}
		}
		if made := local.Made; made.Name != "" {
			out.Workloads = []*flowpb.Workload{{Kind: made.Kind, Name: made.Name}}
		}
	}
	return p
}

// device has the name inside the pod, if it is a pod's.
func (n *resolver) device(r state.Reader, ifindex uint32) *flowpb.NetworkInterface {
	d, _ := n.tables.Devices.One(r, state.Join(ifindex))
	for a := range n.tables.Attachments.By(r, table.ByDevice, state.Join(d.Name)) {
		d.Name = a.Interface
	}
	return &flowpb.NetworkInterface{Index: ifindex, Name: d.Name}
}

// services names the service that the client called: the one that the datapath translated, or one that the packet
// still has as its address.
func (n *resolver) services(r *state.Snapshot, f *Flow) {
	e := &f.event
	f.sourceService = n.offers.At(r, e.Src.IP(), e.SrcPort, e.Protocol)
	f.destinationService = n.offers.At(r, e.Dst.IP(), e.DstPort, e.Protocol)
	if e.Flags&abi.EventService == 0 {
		return
	}
	called := n.offers.Called(r, e.Service.IP(), e.ServicePort, e.Protocol)
	if e.Flags&abi.EventReply != 0 {
		f.sourceService = cmp.Or(f.sourceService, called)
	} else {
		f.destinationService = cmp.Or(f.destinationService, called)
	}
}

// nodeAddress is the one with which calls from outside go on to a backend of another node.
func (n *resolver) nodeAddress(r state.Reader, backend netip.Addr) netip.Addr {
	programs, _ := n.tables.Programs.One(r, table.ProgramsKey)
	told, _ := programs.Constants["services_here"].(abi.LbConfig)
	if backend.Is4() {
		return told.Node4.IP()
	}
	return told.Node6.IP()
}

// decision is what flows say of the rules that decided.
type decision struct {
	policies []*flowpb.Policy // each once however many of its rules are in it
	log      []string         // what their authors want to read, each text once
	rules    []policy.Origin  // not to be changed
}

// stagedText is empty if there are no staged policies, else it says what would happen if they were enforced:
// "staged: would be denied by cnp shop/db ingress[0]".
func stagedText(verdict abi.Verdict, d *decision) string {
	text := flow.Staged + "would be allowed"
	switch verdict {
	case abi.VerdictNone:
		return ""
	case abi.VerdictDeny:
		text = flow.Staged + "would be denied"
	case abi.VerdictDenyImplicit:
		text = flow.Staged + "would be denied, as nothing allows it: isolated"
	}
	if d == nil {
		return text
	}
	for i, o := range d.rules {
		text += [...]string{" by ", ", "}[min(i, 1)] + o.String()
	}
	return text
}

// decisionOf reads a list of rules.
func (n *resolver) decisionOf(r state.Reader, number uint32) *decision {
	d := &decision{}
	list, _ := n.tables.RuleLists.One(r, state.Join(number))
	d.rules = list.Rules
	for _, o := range list.Rules {
		if o.Log != "" && !slices.Contains(d.log, o.Log) {
			d.log = append(d.log, o.Log)
		}
		if !slices.ContainsFunc(d.policies, func(p *flowpb.Policy) bool {
			return p.GetKind() == o.Kind && p.GetNamespace() == o.Namespace && p.GetName() == o.Name
		}) {
			d.policies = append(d.policies, policyOf(o))
		}
	}
	return d
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
