package cilium

import (
	"fmt"
	"slices"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/policy"
)

// element is one element of ingress, ingressDeny, egress or egressDeny.
type element struct {
	scope
	field   string // spec.ingress[0]
	path    string // ingress[0]
	ingress bool
	deny    bool

	peers          peers
	ports          []v2.PortRule
	icmps          []v2.ICMPRule
	authentication *v2.Authentication

	closed   bool // something in it is not enforced
	anyPeer  bool // … of what restricts the peers that it denies
	extended bool // it names protocols without ports
}

// lacks notes a part that is not enforced, and closes the element.
func (e *element) lacks(field, why string) {
	e.closed = true
	effect := "allows nothing"
	if e.deny {
		effect = "denies more than it says, as if this were not there"
	}
	e.Note(field, "%s; so %s %s", why, e.path, effect)
}

// terms reads the element: no term if it chooses no peer or nothing.
func (e *element) terms() []policy.Term {
	e.checkPeers()
	if len(e.icmps) > 0 && len(e.ports) > 0 {
		e.Reject(e.field, "the ICMPs block may only be present without ToPorts. Define a separate rule to use ToPorts")
	}
	peers := policy.Term{Path: e.path}
	e.choose(&peers)
	if a := e.authentication; a != nil && a.Mode != v2.AuthenticationDisabled && a.Mode != "" {
		e.lacks(e.field+".authentication", fmt.Sprintf("mutual authentication (mode %s) is not enforced yet", a.Mode))
	}
	var out []policy.Term
	for _, t := range e.portTerms() {
		t.AnyPeer, t.Peers, t.Blocks = peers.AnyPeer, peers.Peers, peers.Blocks
		t.Extended = e.extended
		if e.deny {
			t.Action = policy.ActionDeny
			t.Extended = slices.ContainsFunc(t.Ports, isExtended)
		}
		if t.Path == "" {
			t.Path = e.path
		}
		out = append(out, t)
	}
	if e.closed && !e.deny || !peers.AnyPeer && len(peers.Peers)+len(peers.Blocks) == 0 {
		return nil
	}
	return out
}

func isExtended(p policy.Port) bool {
	for _, number := range policy.Extended {
		if p.Protocol == number {
			return true
		}
	}
	return false
}

// choose reads which peers the element is about.
func (e *element) choose(t *policy.Term) {
	chooses := false
	for _, m := range e.peers.members() {
		if m.count > 0 && m.lacks != "" {
			e.lacks(e.field+"."+e.peers.prefix+m.name, m.lacks)
			// The last member restricts the others: ignoring it leaves them.
			e.anyPeer = e.anyPeer || e.deny && (m.name != requires || !chooses)
		}
		chooses = chooses || m.present
	}
	for i := range e.peers.endpoints {
		t.Peers = append(t.Peers, e.peer(&e.peers.endpoints[i], fmt.Sprintf("%s.%sEndpoints[%d]", e.field, e.peers.prefix, i)))
	}
	t.Blocks = e.blocks()
	for _, name := range e.peers.entities {
		switch name {
		case "all":
			t.AnyPeer = true
		case apiServer:
			t.Peers = append(t.Peers, apiServerSelector...)
			t.Blocks = append(t.Blocks, apiServerBlock())
		default:
			t.Peers = append(t.Peers, entities[name]...)
		}
	}
	if !chooses && len(e.ports)+len(e.icmps) > 0 || e.anyPeer {
		t.AnyPeer = true
	}
	if t.AnyPeer {
		t.Peers, t.Blocks = nil, nil
	}
}

// portTerms gives a term with ports for each alternative: an element of toPorts, all of icmps, or everything if there are
// neither.
func (e *element) portTerms() []policy.Term {
	if len(e.ports) == 0 && len(e.icmps) == 0 {
		return []policy.Term{{Ports: []policy.Port{policy.AnyPort}}}
	}
	var out []policy.Term
	for i := range e.ports {
		at := fmt.Sprintf(".toPorts[%d]", i)
		if ports := e.portRule(&e.ports[i], e.field+at); len(ports) > 0 {
			out = append(out, policy.Term{Path: e.path + at, Ports: ports})
		}
	}
	for i, rule := range e.icmps {
		at := fmt.Sprintf(".icmps[%d]", i)
		if ports := e.icmpRule(rule, e.field+at); len(ports) > 0 {
			out = append(out, policy.Term{Path: e.path + at, Ports: ports})
		}
	}
	return out
}
