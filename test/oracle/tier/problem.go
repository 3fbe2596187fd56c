package tier

import (
	"net/netip"
	"regexp"
	"slices"
	"unicode/utf8"

	"weftnet.io/weftnet/test/oracle/raw"
)

// problems collects why a policy is not valid: fields, each with a word or two.
type problems []string

func (p *problems) add(field, why string) { *p = append(*p, field+": "+why) }

func (p *problems) selector(selector raw.Object, field string) {
	for _, why := range raw.Problems(selector) {
		p.add(field, why)
	}
}

// Problems lists why a policy is not valid; none if it is. Lists that the CRD wants to have an element may be empty, and
// elements without a field that is known are valid: they fail closed. Members are taken to have the types that they must
// have: see package shape.
func Problems(policy raw.Object) []string {
	var p problems
	spec := raw.Sub(policy, "spec")
	if tier := raw.Text(spec, "tier"); tier != "Admin" && tier != "Baseline" {
		p.add("spec.tier", "no such tier")
	}
	if priority := raw.Number(spec, "priority"); priority < 0 || priority > 1000 {
		p.add("spec.priority", "from 0 to 1000")
	}
	subject := raw.Sub(spec, "subject")
	if set(subject, "namespaces", "pods") != 1 {
		p.add("spec.subject", "exactly one field must be set")
	}
	p.pods(subject, "spec.subject")
	for _, side := range [][2]string{{"ingress", "from"}, {"egress", "to"}} {
		rules := raw.Objects(spec, side[0])
		if len(rules) > 25 {
			p.add("spec."+side[0], "a maximum of 25 rules is allowed")
		}
		for i, rule := range rules {
			p.rule(rule, "spec."+raw.At(side[0], i), side[1])
		}
	}
	return p
}

// pods is a choice of pods, as a subject or a peer.
func (p *problems) pods(choice raw.Object, field string) {
	p.selector(raw.Sub(choice, "namespaces"), field+".namespaces")
	p.selector(raw.Sub(raw.Sub(choice, "pods"), "namespaceSelector"), field+".pods.namespaceSelector")
	p.selector(raw.Sub(raw.Sub(choice, "pods"), "podSelector"), field+".pods.podSelector")
}

func (p *problems) rule(rule raw.Object, field, side string) {
	action := raw.Text(rule, "action")
	if !slices.Contains([]string{"Accept", "Deny", "Pass"}, action) {
		p.add(field+".action", "no such action")
	}
	if utf8.RuneCountInString(raw.Text(rule, "name")) > 100 {
		p.add(field+".name", "no more than 100 characters")
	}
	nameless := false
	for i, peer := range raw.Objects(rule, side) {
		field := field + "." + raw.At(side, i)
		if set(peer, kinds(side == "from")...) > 1 {
			p.add(field, "exactly one of the fields must be set")
		}
		p.pods(peer, field)
		if side == "to" {
			nameless = nameless || set(peer, "nodes", "networks", "domainNames") > 0
			p.addresses(peer, field, action)
		}
	}
	for i, protocol := range raw.Objects(rule, "protocols") {
		p.protocol(protocol, field+"."+raw.At("protocols", i), nameless)
	}
}

// aDomainName is the pattern of the CRD, with its slip: A-z has some signs between Z and a.
var aDomainName = regexp.MustCompile(`^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$`)

// addresses are the peers of egress that are no pods.
func (p *problems) addresses(peer raw.Object, field, action string) {
	p.selector(raw.Sub(peer, "nodes"), field+".nodes")
	for i, network := range raw.Texts(peer, "networks") {
		// CEL's isCIDR: an "IPv4-mapped IPv6 address is not allowed"
		if prefix, err := netip.ParsePrefix(network); err != nil || prefix.Addr().Is4In6() {
			p.add(field+"."+raw.At("networks", i), "Invalid CIDR format provided")
		}
	}
	for i, name := range raw.Texts(peer, "domainNames") {
		if !aDomainName.MatchString(name) {
			p.add(field+"."+raw.At("domainNames", i), "no domain name")
		}
	}
	if raw.There(peer, "domainNames") && action != "Accept" {
		p.add(field+".domainNames", "only supported for Accept rules")
	}
}

func (p *problems) protocol(protocol raw.Object, field string, nameless bool) {
	named := raw.Text(protocol, "destinationNamedPort") != ""
	fields := set(protocol, "tcp", "udp", "sctp")
	if named {
		fields++
	}
	switch {
	case fields > 1:
		p.add(field, "exactly one field must be set")
	case named && nameless:
		p.add(field, "networks/nodes/domainNames peer cannot be set with namedPorts")
	}
	if fields > 1 {
		return
	}
	for member := range transports {
		port := raw.Sub(raw.Sub(protocol, member), "destinationPort")
		number, ports := raw.Number(port, "number"), raw.Sub(port, "range")
		start, end := raw.Number(ports, "start"), raw.Number(ports, "end")
		switch {
		case ports != nil && number != 0:
			p.add(field, "either number or range")
		case ports != nil && (start < 1 || end > 65535 || start >= end), number < 0, number > 65535:
			p.add(field, "no port")
		}
	}
}
