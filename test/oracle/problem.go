package oracle

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// problems collects why an object is not valid: fields, each with a word or two.
type problems []string

func (p *problems) add(field, why string) { *p = append(*p, field+": "+why) }

// Problems lists why a policy is not valid (C1 to C6, the API of NetworkPolicy); none if it is. Its members are taken to
// have the types that they must have: see package shape.
func Problems(policy Object) []string {
	var p problems
	if text(policy, "kind") == "NetworkPolicy" {
		p.kubernetes(sub(policy, "spec"))
		return p
	}
	if !there(policy, "spec") && len(objects(policy, "specs")) == 0 {
		p.add("spec", "empty policy")
	}
	if there(policy, "spec") {
		p.rule(policy, sub(policy, "spec"), "spec")
	}
	for i, rule := range objects(policy, "specs") {
		p.rule(policy, rule, at("specs", i))
	}
	return p
}

// rule: C1.
func (p *problems) rule(policy, rule Object, field string) {
	entries := 0
	for _, list := range []string{"ingress", "ingressDeny", "egress", "egressDeny"} {
		for i, entry := range objects(rule, list) {
			entries++
			p.entry(entry, field+"."+at(list, i), strings.HasPrefix(list, "ingress"), strings.HasSuffix(list, "Deny"))
		}
	}
	if entries == 0 {
		p.add(field, "no entries")
	}
	if there(rule, "endpointSelector") == there(rule, "nodeSelector") {
		p.add(field, "not exactly one of endpointSelector and nodeSelector")
	}
	if there(rule, "nodeSelector") && text(policy, "kind") == "CiliumNetworkPolicy" {
		p.add(field+".nodeSelector", "clusterwide only")
	}
	p.selector(sub(rule, "endpointSelector"), field+".endpointSelector")
	p.selector(sub(rule, "nodeSelector"), field+".nodeSelector")
	log := text(sub(rule, "log"), "value")
	if utf8.RuneCountInString(log) > 32 || strings.ContainsFunc(log, func(c rune) bool { return !unicode.IsPrint(c) }) {
		p.add(field+".log.value", "at most 32 printable characters")
	}
}

// selector: C4. Values belong to In and NotIn, and to them alone.
func (p *problems) selector(selector Object, field string) {
	for _, r := range requirements(selector) {
		if _, name := split(r.key); name == "" {
			p.add(field, "empty key")
		}
	}
	p.plain(selector, field)
}

// plain is a selector of Kubernetes.
func (p *problems) plain(selector Object, field string) {
	for _, r := range requirements(selector) {
		if r.key == "" {
			p.add(field, "empty key")
		}
		switch r.operator {
		case "In", "NotIn":
			if len(r.values) == 0 {
				p.add(field, "no values")
			}
		case "Exists", "DoesNotExist":
			if len(r.values) > 0 {
				p.add(field, "values")
			}
		default:
			p.add(field, "no such operator")
		}
	}
}

var entityNames = []string{
	"all", "world", "world-ipv4", "world-ipv6", "cluster", "cluster-mesh", "host", "init", "ingress", "unmanaged",
	"remote-node", "health", "none", "kube-apiserver",
}

// entry: C4 and C5.
func (p *problems) entry(entry Object, field string, ingress, deny bool) {
	e := ciliumEntry{entry: entry, p: Packet{Ingress: ingress}, deny: deny}
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
		for i, selector := range objects(entry, e.side()+member) {
			p.selector(selector, field+"."+at(e.side()+member, i))
		}
	}
	for i, prefix := range texts(entry, e.side()+"CIDR") {
		if _, err := netip.ParsePrefix(prefix); err != nil && !isAddress(prefix) {
			p.add(field+"."+at(e.side()+"CIDR", i), "no CIDR")
		}
	}
	for i, set := range objects(entry, e.side()+"CIDRSet") {
		p.cidrSet(set, field+"."+at(e.side()+"CIDRSet", i))
	}
	for i, name := range texts(entry, e.side()+"Entities") {
		if !slices.Contains(entityNames, name) {
			p.add(field+"."+at(e.side()+"Entities", i), "no such entity")
		}
	}
	if !ingress {
		for i, service := range objects(entry, "toServices") {
			p.service(service, field+"."+at("toServices", i))
		}
	}
	if !ingress && !deny {
		for i, name := range objects(entry, "toFQDNs") {
			p.fqdn(name, field+"."+at("toFQDNs", i))
		}
	}
	if len(objects(entry, "toPorts")) > 0 && len(objects(entry, "icmps")) > 0 {
		p.add(field, "icmps and toPorts can't be in one rule entry")
	}
	for i, rule := range objects(entry, "toPorts") {
		p.portRule(rule, field+"."+at("toPorts", i))
		if !deny {
			p.requests(rule, field+"."+at("toPorts", i), ingress)
		}
	}
	for i, rule := range objects(entry, "icmps") {
		p.icmps(rule, field+"."+at("icmps", i))
	}
}

func isAddress(written string) bool {
	a, err := netip.ParseAddr(written)
	return err == nil && a.Zone() == ""
}

func (p *problems) service(choice Object, field string) {
	name, labels := sub(choice, "k8sService"), sub(choice, "k8sServiceSelector")
	switch {
	case name != nil && labels != nil:
		p.add(field, "one of k8sService and k8sServiceSelector")
	case name != nil && text(name, "serviceName") == "":
		p.add(field, "no name")
	}
	p.selector(sub(labels, "selector"), field+".k8sServiceSelector.selector")
}

// cidrSet: "Exactly one of cidr / cidrGroupRef / cidrGroupSelector … except must be inside cidr, same family".
func (p *problems) cidrSet(set Object, field string) {
	sources := 0
	for _, used := range []bool{text(set, "cidr") != "", text(set, "cidrGroupRef") != "", there(set, "cidrGroupSelector")} {
		if used {
			sources++
		}
	}
	if sources != 1 {
		p.add(field, "not exactly one of cidr, cidrGroupRef, cidrGroupSelector")
	}
	p.selector(sub(set, "cidrGroupSelector"), field+".cidrGroupSelector")
	within, err := netip.ParsePrefix(text(set, "cidr"))
	if text(set, "cidr") != "" && err != nil {
		p.add(field+".cidr", "CIDRSet requires a prefix")
	}
	for _, written := range texts(set, "except") {
		except, bad := netip.ParsePrefix(written)
		if bad != nil || text(set, "cidr") != "" && (err != nil || except.Bits() < within.Bits() || !within.Contains(except.Addr())) {
			p.add(field+".except", "not inside cidr")
		}
	}
}

// fqdn: C7.
func (p *problems) fqdn(name Object, field string) {
	exact, pattern := text(name, "matchName"), text(name, "matchPattern")
	const letters = "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
	if (exact == "") == (pattern == "") || strings.Trim(exact, letters) != "" || strings.Trim(pattern, letters+"*") != "" || len(exact)+len(pattern) > 255 {
		p.add(field, "not one name or pattern")
	}
}

// portRule: C5.
func (p *problems) portRule(rule Object, field string) {
	ports := objects(rule, "ports")
	if len(ports) > 40 {
		p.add(field+".ports", "too many")
		return
	}
	for i, port := range ports {
		field := field + "." + at("ports", i)
		protocol, written := protocolOf(port), text(port, "port")
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
		if end := number(port, "endPort"); err != nil || first != 0 && (end < 0 || end > 65535) {
			p.add(field, "no port")
		}
	}
}

// requests: C6, as far as it says what is not valid.
func (p *problems) requests(rule Object, field string, ingress bool) {
	families := requests(rule)
	rules := sub(rule, "rules")
	dns, http, names := objects(rules, "dns"), objects(rules, "http"), texts(rule, "serverNames")
	if len(dns) > 0 && (ingress || len(objects(rule, "ports")) == 0 || len(http) > 0) {
		p.add(field, "DNS rules: ports must be given, egress only, one family")
	}
	if len(names) > 0 && len(families) > 0 && !there(rule, "terminatingTLS") || slices.Contains(names, "") {
		p.add(field, "serverNames with L7 rules require terminatingTLS")
	}
	if there(rule, "listener") && (ingress || len(families) > 0) {
		p.add(field, "listener: only egress, not with L7 rules")
	}
	for _, port := range objects(rule, "ports") {
		first, err := strconv.ParseUint(text(port, "port"), 0, 16)
		if len(families) > 0 && (len(dns) == 0 && protocolOf(port) != "TCP" || err == nil && first == 0 ||
			len(dns) > 0 && err == nil && number(port, "endPort") > int(first)) {
			p.add(field, "L7 only on TCP, except DNS; port 0 not with L7; DNS: no ranges")
		}
	}
	for i, name := range dns {
		p.fqdn(name, field+"."+at("rules.dns", i))
	}
	for i, h := range http {
		for _, member := range []string{"path", "method", "host"} {
			if _, err := regexp.Compile(text(h, member)); err != nil {
				p.add(field+"."+at("rules.http", i), "no RE2")
			}
		}
	}
}

func (p *problems) icmps(rule Object, field string) {
	fields := objects(rule, "fields")
	if len(fields) > 40 {
		p.add(field, "too many")
		return
	}
	for i, f := range fields {
		protocol, known := map[string]string{"": "ICMP", "IPv4": "ICMP", "IPv6": "ICMPv6"}[text(f, "family")]
		if _, ok := icmpType(f["type"], protocol); !ok || !known {
			p.add(field+"."+at("fields", i), "no such type")
		}
	}
}

// kubernetes: what the API server checks of a NetworkPolicy, as far as it makes a difference to what is matched.
func (p *problems) kubernetes(spec Object) {
	p.plain(sub(spec, "podSelector"), "spec.podSelector")
	for i, name := range texts(spec, "policyTypes") {
		if name != "Ingress" && name != "Egress" {
			p.add("spec."+at("policyTypes", i), "no such type")
		}
	}
	for _, side := range [][2]string{{"ingress", "from"}, {"egress", "to"}} {
		for i, entry := range objects(spec, side[0]) {
			field := "spec." + at(side[0], i)
			for j, peer := range objects(entry, side[1]) {
				p.kubernetesPeer(peer, field+"."+at(side[1], j))
			}
			for j, port := range objects(entry, "ports") {
				p.kubernetesPort(port, field+"."+at("ports", j))
			}
		}
	}
}

func (p *problems) kubernetesPeer(peer Object, field string) {
	block := sub(peer, "ipBlock")
	selects := there(peer, "podSelector") || there(peer, "namespaceSelector")
	if selects == (block != nil) {
		p.add(field, "a peer is an ipBlock or has selectors")
	}
	p.plain(sub(peer, "podSelector"), field+".podSelector")
	p.plain(sub(peer, "namespaceSelector"), field+".namespaceSelector")
	if block == nil {
		return
	}
	within, err := netip.ParsePrefix(text(block, "cidr"))
	if err != nil {
		p.add(field+".ipBlock.cidr", "no CIDR")
	}
	for _, written := range texts(block, "except") {
		except, bad := netip.ParsePrefix(written)
		if bad != nil || err == nil && (except.Bits() <= within.Bits() || !within.Contains(except.Addr())) {
			p.add(field+".ipBlock.except", "no strict subset")
		}
	}
}

func (p *problems) kubernetesPort(port Object, field string) {
	if protocol := text(port, "protocol"); there(port, "protocol") && !slices.Contains(transports, protocol) {
		p.add(field, "no such protocol")
	}
	if first, ok := port["port"].(float64); ok {
		last := first
		if there(port, "endPort") {
			last = port["endPort"].(float64)
		}
		if first < 1 || last > 65535 || last < first {
			p.add(field, "no range")
		}
	}
}
