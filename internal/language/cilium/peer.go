package cilium

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// peers are the members of an element that choose which peers it is about.
type peers struct {
	prefix    string // from or to
	endpoints []v2.LabelSelector
	requires  []v2.LabelSelector
	cidr      []string
	cidrSet   []v2.CIDRRule
	entities  []string
	groups    []v2.Group
	nodes     []v2.LabelSelector
	services  []v2.ServiceSelector
	fqdns     []v2.FQDNSelector
}

func fromPeers(p v2.IngressPeer) peers {
	return peers{
		prefix: "from", endpoints: p.FromEndpoints, requires: p.FromRequires, cidr: p.FromCIDR, cidrSet: p.FromCIDRSet,
		entities: p.FromEntities, groups: p.FromGroups, nodes: p.FromNodes,
	}
}

func toPeers(p v2.EgressPeer) peers {
	return peers{
		prefix: "to", endpoints: p.ToEndpoints, requires: p.ToRequires, cidr: p.ToCIDR, cidrSet: p.ToCIDRSet,
		entities: p.ToEntities, groups: p.ToGroups, nodes: p.ToNodes, services: p.ToServices,
	}
}

// requires is the member that chooses no peer, but puts a condition on those that the others choose.
const requires = "Requires"

// member is one of the lists of peers.
type member struct {
	name    string // less from or to
	present bool   // present and empty chooses no peer, absent does not choose
	count   int
	lacks   string // why it is not enforced; empty: it is
}

func (p peers) members() []member {
	return []member{
		{"Endpoints", p.endpoints != nil, len(p.endpoints), ""},
		{"CIDR", p.cidr != nil, len(p.cidr), ""},
		{"CIDRSet", p.cidrSet != nil, len(p.cidrSet), ""},
		{"Entities", p.entities != nil, len(p.entities), ""},
		{"Nodes", p.nodes != nil, len(p.nodes), ""},
		{"Groups", p.groups != nil, len(p.groups), "peers by groups of a cloud provider are not enforced yet"},
		{"Services", p.services != nil, len(p.services), ""},
		{"FQDNs", p.fqdns != nil, len(p.fqdns), "peers by DNS name are not enforced yet"},
		{requires, p.requires != nil, len(p.requires), "it was removed from the language; write the condition into the selectors"},
	}
}

// checkPeers rejects what no version of the language has.
func (e *element) checkPeers() {
	p := e.peers
	first := ""
	for _, m := range p.members() {
		if m.count == 0 || m.name == requires {
			continue
		}
		name := strings.ToUpper(p.prefix[:1]) + p.prefix[1:] + m.name
		if first != "" {
			e.Reject(e.field, "combining %s and %s is not supported yet", first, name)
		}
		first = name
	}
	for i, c := range p.cidr {
		if _, err := parseCIDR(c); err != nil {
			e.Reject(fmt.Sprintf("%s.%sCIDR[%d]", e.field, p.prefix, i), "unable to parse CIDR: %v", err)
		}
	}
	for i, c := range p.cidrSet {
		e.checkCIDRSet(c, fmt.Sprintf("%s.%sCIDRSet[%d]", e.field, p.prefix, i))
	}
	for i, name := range p.entities {
		if _, known := entities[name]; !known && name != "all" && name != apiServer {
			e.Reject(fmt.Sprintf("%s.%sEntities[%d]", e.field, p.prefix, i), "unsupported entity: %s", name)
		}
	}
	for i, f := range p.fqdns {
		e.checkFQDN(f, fmt.Sprintf("%s.%sFQDNs[%d]", e.field, p.prefix, i))
	}
}

func (e *element) checkCIDRSet(c v2.CIDRRule, field string) {
	sources := 0
	for _, set := range []bool{c.CIDR != "", c.CIDRGroupRef != "", c.CIDRGroupSelector != nil} {
		if set {
			sources++
		}
	}
	switch {
	case sources == 0:
		e.Reject(field, "one of cidr, cidrGroupRef, or cidrGroupSelector is required")
	case sources > 1:
		e.Reject(field, "more than one of cidr, cidrGroupRef, or cidrGroupSelector may not be set")
	case c.CIDR == "":
		for i, text := range c.Except {
			if _, err := netip.ParsePrefix(text); err != nil {
				e.Reject(fmt.Sprintf("%s.except[%d]", field, i), "unable to parse CIDR: %v", err)
			}
		}
		return
	}
	prefix, err := netip.ParsePrefix(c.CIDR)
	if err != nil {
		if c.CIDR != "" {
			e.Reject(field+".cidr", "unable to parse CIDRRule %q: %v", c.CIDR, err)
		}
		return
	}
	for i, text := range c.Except {
		except, err := netip.ParsePrefix(text)
		at := fmt.Sprintf("%s.except[%d]", field, i)
		if err != nil {
			e.Reject(at, "unable to parse CIDR: %v", err)
		} else if except.Bits() < prefix.Bits() || !prefix.Contains(except.Addr()) {
			e.Reject(at, "allow CIDR prefix %s does not contain exclude CIDR prefix %s", c.CIDR, text)
		}
	}
}

var (
	nameCharacters    = regexp.MustCompile(`^[-a-zA-Z0-9_.]+$`)
	patternCharacters = regexp.MustCompile(`^[-a-zA-Z0-9_.*]+$`)
)

const maxName = 255

func (e *element) checkFQDN(f v2.FQDNSelector, field string) {
	switch {
	case f.MatchName != "" && f.MatchPattern != "":
		e.Reject(field, "only one of MatchName or MatchPattern is allowed in an FQDNSelector")
	case f.MatchName == "" && f.MatchPattern == "":
		e.Reject(field, "one of matchName and matchPattern is required")
	case f.MatchName != "" && !nameCharacters.MatchString(f.MatchName):
		e.Reject(field+".matchName", "Invalid characters in MatchName: %q. Only 0-9, a-z, A-Z and ., -, _ characters are allowed", f.MatchName)
	case f.MatchPattern != "" && !patternCharacters.MatchString(f.MatchPattern):
		e.Reject(field+".matchPattern", "Invalid characters in MatchPattern: %q. Only 0-9, a-z, A-Z and ., -, _, * characters are allowed", f.MatchPattern)
	case len(f.MatchName) > maxName || len(f.MatchPattern) > maxName:
		e.Reject(field, "longer than %d characters", maxName)
	}
}
