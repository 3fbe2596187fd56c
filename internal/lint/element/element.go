// Package element looks at policies of Cilium by their elements: what the four lists of a rule, and the peers in each, have in
// common.
//
// # The world it models
//
// A rule (spec, or an element of specs) has ingress, ingressDeny, egress and egressDeny. Their elements are of four types that
// differ in a few fields only:
//
//	ingress[0]      direction ingress   fromEndpoints, fromEntities, …   toPorts   icmps
//	egressDeny[1]   direction egress, deny   toEndpoints, …              toPorts   icmps
//
// # Invariants
//
//   - Nothing is decided here about what an element means: package language does that.
//
// # Example
//
//	for _, r := range element.Rules(policy.Spec, policy.Specs) {
//		for _, e := range r.Elements() {
//			fmt.Println(e.Field, e.Direction, e.Deny) // spec.egressDeny[1] egress true
//		}
//	}
package element

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// Rule is spec, or an element of specs.
type Rule struct {
	*v2.Rule
	Field string
}

// Rules lists those of a policy.
func Rules(spec *v2.Rule, specs []v2.Rule) (out []Rule) {
	if spec != nil {
		out = append(out, Rule{spec, "spec"})
	}
	for i := range specs {
		out = append(out, Rule{&specs[i], fmt.Sprintf("specs[%d]", i)})
	}
	return out
}

// Element is an element of ingress, ingressDeny, egress or egressDeny.
type Element struct {
	Field     string // spec.ingress[0]
	Direction string
	Deny      bool
	Prefix    string // from or to
	Endpoints []v2.LabelSelector
	Entities  []string
	CIDRs     []CIDR
	Peers     any // all members that choose peers, for comparison
	Members   int // how many of them are there, empty or not
	Ports     []v2.PortRule
	ICMPs     []v2.ICMPRule
}

// CIDR is a prefix among the peers.
type CIDR struct {
	Field, Text string
	Except      []string
}

// Elements lists those of a rule.
func (r Rule) Elements() (out []Element) {
	for i, in := range r.Ingress {
		e := Element{Field: fmt.Sprintf("%s.ingress[%d]", r.Field, i), Ports: in.ToPorts, ICMPs: in.ICMPs}
		out = append(out, e.from(in.IngressPeer))
	}
	for i, in := range r.IngressDeny {
		e := Element{Field: fmt.Sprintf("%s.ingressDeny[%d]", r.Field, i), Deny: true, Ports: denied(in.ToPorts), ICMPs: in.ICMPs}
		out = append(out, e.from(in.IngressPeer))
	}
	for i, in := range r.Egress {
		e := Element{Field: fmt.Sprintf("%s.egress[%d]", r.Field, i), Ports: in.ToPorts, ICMPs: in.ICMPs}
		e = e.to(in.EgressPeer)
		if in.ToFQDNs != nil {
			e.Members++
			e.Peers = struct{ Peer, Names any }{in.EgressPeer, in.ToFQDNs}
		}
		out = append(out, e)
	}
	for i, in := range r.EgressDeny {
		e := Element{Field: fmt.Sprintf("%s.egressDeny[%d]", r.Field, i), Deny: true, Ports: denied(in.ToPorts), ICMPs: in.ICMPs}
		out = append(out, e.to(in.EgressPeer))
	}
	return out
}

func denied(ports []v2.PortDenyRule) (out []v2.PortRule) {
	for _, p := range ports {
		out = append(out, v2.PortRule{Ports: p.Ports})
	}
	return out
}

func (e Element) from(p v2.IngressPeer) Element {
	e.Direction, e.Prefix, e.Endpoints, e.Entities, e.Peers = "ingress", "from", p.FromEndpoints, p.FromEntities, p
	e.CIDRs = cidrsAt(e.Field+".from", p.FromCIDR, p.FromCIDRSet)
	for _, there := range []bool{p.FromEndpoints != nil, p.FromCIDR != nil, p.FromCIDRSet != nil, p.FromEntities != nil, p.FromGroups != nil, p.FromNodes != nil, p.FromRequires != nil} {
		e.Members += map[bool]int{true: 1}[there]
	}
	return e
}

func (e Element) to(p v2.EgressPeer) Element {
	e.Direction, e.Prefix, e.Endpoints, e.Entities, e.Peers = "egress", "to", p.ToEndpoints, p.ToEntities, p
	e.CIDRs = cidrsAt(e.Field+".to", p.ToCIDR, p.ToCIDRSet)
	for _, there := range []bool{p.ToEndpoints != nil, p.ToCIDR != nil, p.ToCIDRSet != nil, p.ToEntities != nil, p.ToGroups != nil, p.ToNodes != nil, p.ToServices != nil, p.ToRequires != nil} {
		e.Members += map[bool]int{true: 1}[there]
	}
	return e
}

func cidrsAt(field string, plain []string, set []v2.CIDRRule) (out []CIDR) {
	for i, text := range plain {
		out = append(out, CIDR{Field: fmt.Sprintf("%sCIDR[%d]", field, i), Text: text})
	}
	for i, r := range set {
		if r.CIDR != "" {
			out = append(out, CIDR{fmt.Sprintf("%sCIDRSet[%d]", field, i), r.CIDR, r.Except})
		}
	}
	return out
}

// KeepsOpen tells whether enableDefaultDeny leaves a direction open.
func (r Rule) KeepsOpen(direction string) bool {
	d := r.EnableDefaultDeny
	if d == nil {
		return false
	}
	setting := d.Ingress
	if direction == "egress" {
		setting = d.Egress
	}
	return setting != nil && !*setting
}

// Idle tells whether a rule allows, denies and closes nothing.
func (r Rule) Idle() bool {
	elements := r.Elements()
	return len(elements) > 0 && !slices.ContainsFunc(elements, func(e Element) bool {
		return e.Deny || e.Members > 0 || len(e.Ports)+len(e.ICMPs) > 0 || !r.KeepsOpen(e.Direction)
	})
}

// Opens gives the field in which an element allows one of these ports to the peers of another element without looking at requests.
func (e Element) Opens(other Element, ports []v2.PortProtocol) string {
	if e.Deny || e.Direction != other.Direction || e.Members > 0 && text(e.Peers) != text(other.Peers) {
		return ""
	}
	if len(e.Ports) == 0 && len(e.ICMPs) == 0 && e.Members > 0 {
		return e.Field
	}
	for i, t := range e.Ports {
		if t.Rules != nil || t.Listener != nil {
			continue
		}
		at := fmt.Sprintf("%s.toPorts[%d]", e.Field, i)
		if len(t.Ports) == 0 {
			return at
		}
		for _, a := range t.Ports {
			for _, b := range ports {
				if samePort(a, b) {
					return at
				}
			}
		}
	}
	return ""
}

// samePort tells whether an open port holds the beginning of another.
func samePort(open, other v2.PortProtocol) bool {
	protocol := strings.ToUpper(open.Protocol)
	if protocol != "" && protocol != "ANY" && !strings.EqualFold(protocol, other.Protocol) {
		return false
	}
	if open.Port == "0" || open.Port == other.Port {
		return true
	}
	first, err := strconv.ParseUint(open.Port, 0, 16)
	number, err2 := strconv.ParseUint(other.Port, 0, 16)
	return err == nil && err2 == nil && first <= number && int64(number) <= int64(open.EndPort)
}

func text(value any) string {
	out, _ := json.Marshal(value) // for comparison; what cannot be written is like nothing
	return string(out)
}
