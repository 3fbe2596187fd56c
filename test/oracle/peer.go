package oracle

import (
	"net/netip"
	"slices"
	"strings"
)

// members are the lists that choose peers (C4), less from or to.
var members = []string{"Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", "Groups", "Services", "FQDNs"}

// list tells whether a member is there, and how many elements it has. Deny entries have no FQDNs, ingress no services.
func (e ciliumEntry) list(member string) (present bool, count int) {
	if member == "FQDNs" && (e.deny || e.p.Ingress) || member == "Services" && e.p.Ingress {
		return false, 0
	}
	items, present := e.entry[e.side()+member].([]any)
	return present, len(items)
}

// peers tells whether the entry is about the peer: as someone, or only as an address.
func (e ciliumEntry) peers() (someone, byAddress bool) {
	chooses := false
	for _, member := range members {
		present, _ := e.list(member)
		chooses = chooses || present
	}
	limited := len(objects(e.entry, "toPorts"))+len(objects(e.entry, "icmps")) > 0
	_, groups := e.list("Groups")
	_, required := e.list("Requires")
	switch {
	case !chooses && limited: // C2: no L3 member + toPorts: any peer on those ports
		return true, false
	case e.deny && groups > 0, e.deny && required > 0 && !chooses: // not enforced: denies everybody
		return true, false
	case !chooses: // C2: no L3 member, no toPorts/icmps: nothing
		return false, false
	}
	for _, name := range texts(e.entry, e.side()+"Entities") {
		if e.entity(name) {
			someone = true
		}
		if name == "kube-apiserver" && (e.p.Peer.Place == OnNode || e.byCIDR()) && e.serves("default", "kubernetes") {
			byAddress = true // whatever the service has as endpoints, nodes included
		}
	}
	for _, selector := range objects(e.entry, e.side()+"Endpoints") {
		someone = someone || e.p.Peer.Labels != nil && all(e.scoped(requirements(selector)), e.p.Peer.Labels)
	}
	if !e.p.Ingress {
		for _, service := range objects(e.entry, "toServices") {
			pods, addresses := e.service(service)
			someone, byAddress = someone || pods, byAddress || addresses
		}
	}
	for _, selector := range objects(e.entry, e.side()+"Nodes") {
		byAddress = byAddress || e.node(selector)
	}
	return someone, byAddress || e.prefixes()
}

// scoped adds to a selector of peers what it leaves out (C4).
func (e ciliumEntry) scoped(own []requirement) []requirement {
	if aboutReserved(own) {
		return own
	}
	namespace := namespaceOf(e.policy)
	switch {
	case about(own, keyNamespace):
	case namespace != "":
		if !aboutNamespaceLabels(own) {
			own = append(own, requirement{"k8s:" + keyNamespace, "In", []string{namespace}})
		}
	case !matchesInit(e.rule):
		own = append(own, requirement{"k8s:" + keyNamespace, "Exists", nil})
	}
	if !about(own, keyCluster) {
		own = append(own, requirement{"k8s:" + keyCluster, "In", []string{e.w.Cluster}})
	}
	return own
}

// entity tells whether the peer is one of an entity (C4).
func (e ciliumEntry) entity(name string) bool {
	labels := e.p.Peer.Labels
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := labels["reserved:"+name]; return ok })
	}
	inCluster := has("host", "remote-node", "init", "ingress", "health", "unmanaged", "kube-apiserver")
	cluster, pod := labels["k8s:"+keyCluster]
	_, namespaced := labels["k8s:"+keyNamespace]
	switch name {
	case "all":
		return true
	case "none":
		return false
	case "world":
		return has("world", "world-ipv4", "world-ipv6")
	case "cluster":
		return inCluster || namespaced && cluster == e.w.Cluster
	case "cluster-mesh":
		return inCluster || pod
	default:
		return has(name)
	}
}

// byCIDR tells whether a CIDR may be about the peer: "only addresses that are not pods and not nodes, unless …".
func (e ciliumEntry) byCIDR() bool {
	switch e.p.Peer.Place {
	case OnNode:
		return e.w.CIDRNodes
	case InPod:
		return e.w.CIDRPods
	}
	return true
}

func (e ciliumEntry) prefixes() bool {
	if !e.byCIDR() {
		return false
	}
	address := e.p.Peer.Address
	if insideAny(texts(e.entry, e.side()+"CIDR"), address) {
		return true
	}
	return slices.ContainsFunc(objects(e.entry, e.side()+"CIDRSet"), func(set Object) bool {
		within := []string{text(set, "cidr")}
		if text(set, "cidr") == "" {
			within = nil
			for _, group := range e.w.Groups {
				named := text(set, "cidrGroupRef") == text(sub(group, "metadata"), "name")
				chosen := there(set, "cidrGroupSelector") && all(requirements(sub(set, "cidrGroupSelector")), sourced("cidrgroup", labelsOf(group)))
				if named || chosen {
					within = append(within, slices.DeleteFunc(texts(sub(group, "spec"), "externalCIDRs"), isAddress)...) // no prefix
				}
			}
		}
		return insideAny(within, address) && !insideAny(texts(set, "except"), address)
	})
}

func sourced(source string, labels map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range labels {
		out[source+":"+key] = value
	}
	return out
}

// service tells whether the peer is behind a service: one of the pods that it selects, or, without a selector, an address
// in its EndpointSlices, "as CIDRs".
func (e ciliumEntry) service(choice Object) (pods, addresses bool) {
	byName, byLabels := sub(choice, "k8sService"), sub(choice, "k8sServiceSelector")
	for _, service := range e.w.Services {
		meta := sub(service, "metadata")
		namespace := namespaceOf(e.policy)
		for _, s := range []Object{byName, byLabels} {
			if given := text(s, "namespace"); given != "" {
				namespace = given
			}
		}
		meant := byName != nil && text(byName, "serviceName") == text(meta, "name") ||
			byLabels != nil && all(requirements(sub(byLabels, "selector")), sourced("k8s", labelsOf(service)))
		if !meant || namespace != "" && namespace != text(meta, "namespace") {
			continue
		}
		selector := sub(sub(service, "spec"), "selector")
		if len(selector) == 0 {
			addresses = addresses || e.byCIDR() && e.serves(text(meta, "namespace"), text(meta, "name"))
			continue
		}
		chosen := append(prefixed(Object{"matchLabels": selector}, "k8s:"),
			requirement{"k8s:" + keyNamespace, "In", []string{text(meta, "namespace")}},
			requirement{"k8s:" + keyCluster, "In", []string{e.w.Cluster}})
		pods = pods || e.p.Peer.Labels != nil && all(chosen, e.p.Peer.Labels)
	}
	return pods, addresses
}

// serves tells whether the peer's address is in a slice of a service.
func (e ciliumEntry) serves(namespace, name string) bool {
	for _, slice := range e.w.Slices {
		meta := sub(slice, "metadata")
		if text(meta, "namespace") != namespace || labelsOf(slice)["kubernetes.io/service-name"] != name {
			continue
		}
		for _, end := range objects(slice, "endpoints") {
			for _, a := range texts(end, "addresses") {
				if parsed, err := netip.ParseAddr(a); err == nil && parsed == e.p.Peer.Address {
					return true
				}
			}
		}
	}
	return false
}

// node tells whether the peer is another node with these labels.
func (e ciliumEntry) node(selector Object) bool {
	peer := e.p.Peer
	return e.w.NodeLabels && peer.Node != "" && !peer.Local &&
		all(requirements(selector), sourced("node", labelsOf(find(e.w.Nodes, "", peer.Node))))
}

func insideAny(prefixes []string, address netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return inside(p, address) })
}

// inside tells whether an address is in a prefix, or is the address that stands there. An IPv4 address is in no prefix of
// IPv6, but for those that are written as IPv4 in IPv6.
func inside(prefix string, address netip.Addr) bool {
	if !strings.Contains(prefix, "/") {
		a, err := netip.ParseAddr(prefix)
		return err == nil && a.Unmap() == address
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil || !address.IsValid() {
		return false
	}
	if p.Addr().Is4In6() {
		return address.Is4() && p.Bits() >= 96 && netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Contains(address)
	}
	return p.Contains(address)
}
