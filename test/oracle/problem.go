package oracle

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"weftnet.io/weftnet/test/oracle/raw"
	"weftnet.io/weftnet/test/oracle/tier"
)

// problems collects why an object is not valid: fields, each with a word or two.
type problems []string

func (p *problems) add(field, why string) { *p = append(*p, field+": "+why) }

// Problems lists why a policy is not valid (C1 to C6, the API of NetworkPolicy); none if it is. Its members are taken to
// have the types that they must have: see package shape.
func Problems(policy Object) []string {
	var p problems
	if mode := raw.Annotations(policy)[modeKey]; !slices.Contains([]string{"", "enforce", "audit", "stage"}, mode) {
		p.add("metadata.annotations["+modeKey+"]", "no such mode")
	}
	switch raw.Text(policy, "kind") {
	case "NetworkPolicy":
		p.kubernetes(raw.Sub(policy, "spec"))
		return p
	case "ClusterNetworkPolicy":
		return append(p, tier.Problems(policy)...)
	}
	if !raw.There(policy, "spec") && len(raw.Objects(policy, "specs")) == 0 {
		p.add("spec", "empty policy")
	}
	if raw.There(policy, "spec") {
		p.rule(policy, raw.Sub(policy, "spec"), "spec")
	}
	for i, rule := range raw.Objects(policy, "specs") {
		p.rule(policy, rule, raw.At("specs", i))
	}
	return p
}

// rule: C1.
func (p *problems) rule(policy, rule Object, field string) {
	elements := 0
	for _, list := range []string{"ingress", "ingressDeny", "egress", "egressDeny"} {
		for i, element := range raw.Objects(rule, list) {
			elements++
			p.element(element, field+"."+raw.At(list, i), strings.HasPrefix(list, "ingress"), strings.HasSuffix(list, "Deny"))
		}
	}
	if elements == 0 {
		p.add(field, "no elements")
	}
	if raw.There(rule, "endpointSelector") == raw.There(rule, "nodeSelector") {
		p.add(field, "not exactly one of endpointSelector and nodeSelector")
	}
	if raw.There(rule, "nodeSelector") && raw.Text(policy, "kind") == "CiliumNetworkPolicy" {
		p.add(field+".nodeSelector", "clusterwide only")
	}
	p.selector(raw.Sub(rule, "endpointSelector"), field+".endpointSelector")
	p.selector(raw.Sub(rule, "nodeSelector"), field+".nodeSelector")
	log := raw.Text(raw.Sub(rule, "log"), "value")
	if utf8.RuneCountInString(log) > 32 || strings.ContainsFunc(log, func(c rune) bool { return !unicode.IsPrint(c) }) {
		p.add(field+".log.value", "at most 32 printable characters")
	}
}

// selector: C4. Values belong to In and NotIn, and to them alone.
func (p *problems) selector(selector Object, field string) {
	for _, r := range raw.Requirements(selector) {
		if _, name := raw.Split(r.Key); name == "" {
			p.add(field, "empty key")
		}
	}
	p.plain(selector, field)
}

// plain is a selector of Kubernetes.
func (p *problems) plain(selector Object, field string) {
	for _, why := range raw.Problems(selector) {
		p.add(field, why)
	}
}

var entityNames = []string{
	"all", "world", "world-ipv4", "world-ipv6", "cluster", "cluster-mesh", "host", "init", "ingress", "unmanaged",
	"remote-node", "health", "none", "kube-apiserver",
}

// element: C4 and C5.
func (p *problems) element(element Object, field string, ingress, deny bool) {
	e := ciliumElement{element: element, p: Packet{Ingress: ingress}, deny: deny}
	used := 0
	for _, member := range members {
		if _, count := e.list(member); count > 0 {
			used++
		}
	}
	if used > 1 {
		p.add(field, "L3 members exclude each other")
	}
	for _, member := range []string{"Endpoints", "Nodes"} {
		for i, selector := range raw.Objects(element, e.side()+member) {
			p.selector(selector, field+"."+raw.At(e.side()+member, i))
		}
	}
	for i, prefix := range raw.Texts(element, e.side()+"CIDR") {
		if _, err := netip.ParsePrefix(prefix); err != nil && !isAddress(prefix) {
			p.add(field+"."+raw.At(e.side()+"CIDR", i), "no CIDR")
		}
	}
	for i, set := range raw.Objects(element, e.side()+"CIDRSet") {
		p.cidrSet(set, field+"."+raw.At(e.side()+"CIDRSet", i))
	}
	for i, name := range raw.Texts(element, e.side()+"Entities") {
		if !slices.Contains(entityNames, name) {
			p.add(field+"."+raw.At(e.side()+"Entities", i), "no such entity")
		}
	}
	if !ingress {
		for i, service := range raw.Objects(element, "toServices") {
			p.service(service, field+"."+raw.At("toServices", i))
		}
	}
	if !ingress && !deny {
		for i, name := range raw.Objects(element, "toFQDNs") {
			p.fqdn(name, field+"."+raw.At("toFQDNs", i))
		}
	}
	if len(raw.Objects(element, "toPorts")) > 0 && len(raw.Objects(element, "icmps")) > 0 {
		p.add(field, "icmps and toPorts can't be in one rule element")
	}
	for i, rule := range raw.Objects(element, "toPorts") {
		p.portRule(rule, field+"."+raw.At("toPorts", i))
		if !deny {
			p.requests(rule, field+"."+raw.At("toPorts", i), ingress)
		}
	}
	for i, rule := range raw.Objects(element, "icmps") {
		p.icmps(rule, field+"."+raw.At("icmps", i))
	}
}

func isAddress(written string) bool {
	a, err := netip.ParseAddr(written)
	return err == nil && a.Zone() == ""
}

func (p *problems) service(choice Object, field string) {
	name, labels := raw.Sub(choice, "k8sService"), raw.Sub(choice, "k8sServiceSelector")
	switch {
	case name != nil && labels != nil:
		p.add(field, "one of k8sService and k8sServiceSelector")
	case name != nil && raw.Text(name, "serviceName") == "":
		p.add(field, "no name")
	}
	p.selector(raw.Sub(labels, "selector"), field+".k8sServiceSelector.selector")
}

// cidrSet: "Exactly one of cidr / cidrGroupRef / cidrGroupSelector … except must be inside cidr, same family".
func (p *problems) cidrSet(set Object, field string) {
	sources := 0
	for _, used := range []bool{raw.Text(set, "cidr") != "", raw.Text(set, "cidrGroupRef") != "", raw.There(set, "cidrGroupSelector")} {
		if used {
			sources++
		}
	}
	if sources != 1 {
		p.add(field, "not exactly one of cidr, cidrGroupRef, cidrGroupSelector")
	}
	p.selector(raw.Sub(set, "cidrGroupSelector"), field+".cidrGroupSelector")
	within, err := netip.ParsePrefix(raw.Text(set, "cidr"))
	if raw.Text(set, "cidr") != "" && err != nil {
		p.add(field+".cidr", "CIDRSet requires a prefix")
	}
	for _, written := range raw.Texts(set, "except") {
		except, bad := netip.ParsePrefix(written)
		if bad != nil || raw.Text(set, "cidr") != "" && (err != nil || except.Bits() < within.Bits() || !within.Contains(except.Addr())) {
			p.add(field+".except", "not inside cidr")
		}
	}
}

// fqdn: C7.
func (p *problems) fqdn(name Object, field string) {
	exact, pattern := raw.Text(name, "matchName"), raw.Text(name, "matchPattern")
	const letters = "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
	if (exact == "") == (pattern == "") || strings.Trim(exact, letters) != "" || strings.Trim(pattern, letters+"*") != "" || len(exact)+len(pattern) > 255 {
		p.add(field, "not one name or pattern")
	}
}

// portRule: C5.
func (p *problems) portRule(rule Object, field string) {
	ports := raw.Objects(rule, "ports")
	if len(ports) > 40 {
		p.add(field+".ports", "too many")
		return
	}
	for i, port := range ports {
		field := field + "." + raw.At("ports", i)
		protocol, written := protocolOf(port), raw.Text(port, "port")
		switch {
		case portless[protocol]:
			if written != "" && written != "0" {
				p.add(field, "a protocol without ports")
			}
			continue
		case protocol != "ANY" && !slices.Contains(transports, protocol):
			p.add(field, "no such protocol")
			continue
		case isServiceName(written):
			continue
		}
		first, err := strconv.ParseUint(written, 0, 16)
		if end := raw.Number(port, "endPort"); err != nil || first != 0 && (end < 0 || end > 65535) {
			p.add(field, "no port")
		}
	}
}

// requests: C6, as far as it says what is not valid.
func (p *problems) requests(rule Object, field string, ingress bool) {
	families := requests(rule)
	rules := raw.Sub(rule, "rules")
	dns, http, names := raw.Objects(rules, "dns"), raw.Objects(rules, "http"), raw.Texts(rule, "serverNames")
	if len(dns) > 0 && (ingress || len(raw.Objects(rule, "ports")) == 0 || len(http) > 0) {
		p.add(field, "DNS rules: ports must be given, egress only, one family")
	}
	if len(names) > 0 && len(families) > 0 && !raw.There(rule, "terminatingTLS") || slices.Contains(names, "") {
		p.add(field, "serverNames with L7 rules require terminatingTLS")
	}
	if raw.There(rule, "listener") && (ingress || len(families) > 0) {
		p.add(field, "listener: only egress, not with L7 rules")
	}
	for _, port := range raw.Objects(rule, "ports") {
		first, err := strconv.ParseUint(raw.Text(port, "port"), 0, 16)
		if len(families) > 0 && (len(dns) == 0 && protocolOf(port) != "TCP" || err == nil && first == 0 ||
			len(dns) > 0 && err == nil && raw.Number(port, "endPort") > int(first)) {
			p.add(field, "L7 only on TCP, except DNS; port 0 not with L7; DNS: no ranges")
		}
	}
	for i, name := range dns {
		p.fqdn(name, field+"."+raw.At("rules.dns", i))
	}
	for i, h := range http {
		for _, member := range []string{"path", "method", "host"} {
			if _, err := regexp.Compile(raw.Text(h, member)); err != nil {
				p.add(field+"."+raw.At("rules.http", i), "no RE2")
			}
		}
	}
}

func (p *problems) icmps(rule Object, field string) {
	fields := raw.Objects(rule, "fields")
	if len(fields) > 40 {
		p.add(field, "too many")
		return
	}
	for i, f := range fields {
		protocol, known := map[string]string{"": "ICMP", "IPv4": "ICMP", "IPv6": "ICMPv6"}[raw.Text(f, "family")]
		if _, ok := icmpType(f["type"], protocol); !ok || !known {
			p.add(field+"."+raw.At("fields", i), "no such type")
		}
	}
}

// kubernetes: what the API server checks of a NetworkPolicy, as far as it makes a difference to what is matched.
func (p *problems) kubernetes(spec Object) {
	p.plain(raw.Sub(spec, "podSelector"), "spec.podSelector")
	for i, name := range raw.Texts(spec, "policyTypes") {
		if name != "Ingress" && name != "Egress" {
			p.add("spec."+raw.At("policyTypes", i), "no such type")
		}
	}
	for _, side := range [][2]string{{"ingress", "from"}, {"egress", "to"}} {
		for i, element := range raw.Objects(spec, side[0]) {
			field := "spec." + raw.At(side[0], i)
			for j, peer := range raw.Objects(element, side[1]) {
				p.kubernetesPeer(peer, field+"."+raw.At(side[1], j))
			}
			for j, port := range raw.Objects(element, "ports") {
				p.kubernetesPort(port, field+"."+raw.At("ports", j))
			}
		}
	}
}

func (p *problems) kubernetesPeer(peer Object, field string) {
	block := raw.Sub(peer, "ipBlock")
	selects := raw.There(peer, "podSelector") || raw.There(peer, "namespaceSelector")
	if selects == (block != nil) {
		p.add(field, "a peer is an ipBlock or has selectors")
	}
	p.plain(raw.Sub(peer, "podSelector"), field+".podSelector")
	p.plain(raw.Sub(peer, "namespaceSelector"), field+".namespaceSelector")
	if block == nil {
		return
	}
	within, err := netip.ParsePrefix(raw.Text(block, "cidr"))
	if err != nil {
		p.add(field+".ipBlock.cidr", "no CIDR")
	}
	for _, written := range raw.Texts(block, "except") {
		except, bad := netip.ParsePrefix(written)
		if bad != nil || err == nil && (except.Bits() <= within.Bits() || !within.Contains(except.Addr())) {
			p.add(field+".ipBlock.except", "no strict subset")
		}
	}
}

func (p *problems) kubernetesPort(port Object, field string) {
	if protocol := raw.Text(port, "protocol"); raw.There(port, "protocol") && !slices.Contains(transports, protocol) {
		p.add(field, "no such protocol")
	}
	if first, ok := port["port"].(float64); ok {
		last := first
		if raw.There(port, "endPort") {
			last = port["endPort"].(float64)
		}
		if first < 1 || last > 65535 || last < first {
			p.add(field, "no range")
		}
	}
}
