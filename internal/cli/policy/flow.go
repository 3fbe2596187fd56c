package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
)

// party is one end of recorded flows: what policies see of it, and which workload people would call it.
type party struct {
	explain.Known
	workload string
}

// connection is what flows of one connection have in common, and those of others like it.
type connection struct {
	from, to party
	protocol uint8
	port     uint16
}

// count is what was recorded of a connection.
type count struct {
	flows             int
	forwarded, denied bool // by policy
}

// add counts a flow. Replies, requests (L7) and what has no port are none of policy's business.
func (s *simulation) add(f *flowpb.Flow) error {
	if f.GetIsReply().GetValue() || f.GetType() == flowpb.FlowType_L7 || f.GetType() == flowpb.FlowType_SOCK {
		return nil
	}
	c := connection{
		from: s.partyOf(f.GetSource(), f.GetIP().GetSource(), f.GetNodeName()),
		to:   s.partyOf(f.GetDestination(), f.GetIP().GetDestination(), f.GetNodeName()),
	}
	switch l4 := f.GetL4(); {
	case l4.GetTCP() != nil:
		c.protocol, c.port = engine.TCP, uint16(l4.GetTCP().GetDestinationPort())
	case l4.GetUDP() != nil:
		c.protocol, c.port = engine.UDP, uint16(l4.GetUDP().GetDestinationPort())
	case l4.GetSCTP() != nil:
		c.protocol, c.port = engine.SCTP, uint16(l4.GetSCTP().GetDestinationPort())
	case l4.GetICMPv4() != nil:
		c.protocol, c.port = engine.ICMP, uint16(l4.GetICMPv4().GetType())<<8
	case l4.GetICMPv6() != nil:
		c.protocol, c.port = engine.ICMPv6, uint16(l4.GetICMPv6().GetType())<<8
	default:
		return nil
	}
	n := s.seen[c]
	if n == nil {
		n = &count{}
		s.seen[c] = n
	}
	n.flows++
	switch f.GetVerdict() {
	case flowpb.Verdict_DROPPED:
		reason := f.GetDropReasonDesc()
		n.denied = n.denied || reason == flowpb.DropReason_POLICY_DENIED || reason == flowpb.DropReason_POLICY_DENY
	case flowpb.Verdict_FORWARDED, flowpb.Verdict_REDIRECTED, flowpb.Verdict_AUDIT:
		n.forwarded = true
	}
	return nil
}

// partyOf is one end of a flow that a node has seen (cluster/node, or node). A node that has a name has policies of its own.
func (s *simulation) partyOf(e *flowpb.Endpoint, address, seenBy string) party {
	labels := map[string]string{}
	for _, text := range e.GetLabels() {
		key, value, _ := strings.Cut(text, "=")
		labels[key] = value
	}
	p := party{Known: explain.Known{Number: identity.Number(e.GetIdentity()), Labels: identity.NewLabels(labels)}}
	if a, err := netip.ParseAddr(address); err == nil {
		p.Address = a.Unmap()
	}
	if e.GetPodName() != "" {
		p.Name = e.GetNamespace() + "/" + e.GetPodName()
		p.workload = p.Name
		if w := e.GetWorkloads(); len(w) > 0 {
			p.workload = e.GetNamespace() + "/" + w[0].GetName()
		}
		return p
	}
	switch p.Number {
	case identity.Host:
		p.Node = seenBy[strings.LastIndexByte(seenBy, '/')+1:]
	case identity.RemoteNode, identity.KubeAPIServer:
		p.Node = s.before.NodeAt(p.Address)
	}
	if p.Node != "" { // its identity depends on which node the other end is on; that is worked out again
		p.Number, p.Labels, p.Name = identity.RemoteNode, identity.Reserved(identity.RemoteNode), "node "+p.Node
		p.workload = p.Name
		return p
	}
	p.Name = cmp.Or(p.Number.Name(), address)
	p.workload = p.Name
	if p.Number == 0 {
		p.workload = cmp.Or(address, "an unknown peer")
	}
	return p
}

// result judges each connection by both sets, and groups what changes.
func (s *simulation) result() (r result) {
	denied, allowed, uncertain := changes{}, changes{}, changes{}
	for c, n := range s.seen {
		before := s.before.Connection(c.from.Known, c.to.Known, c.protocol, c.port)
		after := s.after.Connection(c.from.Known, c.to.Known, c.protocol, c.port)
		one := change{From: c.from.workload, To: c.to.workload, Port: after.Port, Connections: 1, Flows: n.flows}
		doubt := c.doubt(before, n)
		switch {
		case doubt != "":
			one.Reason = doubt
			uncertain.add(one)
		case before.Allowed && !after.Allowed:
			one.Reason, one.Rules = denial(after)
			denied.add(one)
		case !before.Allowed && after.Allowed:
			one.Rules = slices.Compact(slices.Sorted(slices.Values(slices.Concat(after.Egress.Rules, after.Ingress.Rules))))
			allowed.add(one)
		case after.Allowed:
			r.Allowed++
		default:
			r.Denied++
		}
	}
	r.NewlyDenied, r.NewlyAllowed, r.Uncertain = denied.sorted(), allowed.sorted(), uncertain.sorted()
	return r
}

// doubt says why nothing can be said about a connection; empty: something can.
func (c connection) doubt(before agentv1.Explanation, n *count) string {
	for _, p := range []party{c.from, c.to} {
		if p.Number == 0 || p.Labels.Len() == 0 {
			return fmt.Sprintf("the flows do not say who %s is", p.workload)
		}
	}
	switch {
	case n.denied && before.Allowed:
		return "policies denied it, while the current ones allow it: are they complete, and were they in force?"
	case n.forwarded && !n.denied && !before.Allowed:
		return "it was forwarded, while the current policies deny it: an older connection, or they came later"
	}
	return ""
}

// denial is why a connection is denied, and by which rules.
func denial(x agentv1.Explanation) (reason string, rules []string) {
	for _, side := range []struct {
		name string
		agentv1.PolicySide
	}{{"egress of " + x.From.Name, x.Egress}, {"ingress of " + x.To.Name, x.Ingress}} {
		switch side.Verdict {
		case engine.Deny.String():
			return "a rule denies it", side.Rules
		case engine.DenyImplicit.String():
			direction, _, _ := strings.Cut(side.name, " ")
			return direction + " is isolated, and no rule allows it", side.Rules
		}
	}
	return "", nil
}

// changes groups what has the same ends, port and reason.
type changes map[string]*change

func (c changes) add(one change) {
	key := strings.Join(append([]string{one.From, one.To, one.Port, one.Reason}, one.Rules...), "\n")
	if known := c[key]; known != nil {
		known.Connections += one.Connections
		known.Flows += one.Flows
		return
	}
	c[key] = &one
}

// sorted lists them, those with most flows first.
func (c changes) sorted() []change {
	keys := slices.SortedFunc(maps.Keys(c), func(a, b string) int {
		return cmp.Or(cmp.Compare(c[b].Flows, c[a].Flows), cmp.Compare(a, b))
	})
	out := make([]change, len(keys))
	for i, key := range keys {
		out[i] = *c[key]
	}
	return out
}
