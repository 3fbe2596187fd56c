package oracle

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/test/oracle/raw"
)

// members are the lists that choose peers (C4), less from or to.
var members = []string{"Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", "Groups", "Services", "FQDNs"}

// list tells whether a member is there, and how many elements it has. Deny elements have no FQDNs, ingress no services.
func (e ciliumElement) list(member string) (present bool, count int) {
	if member == "FQDNs" && (e.deny || e.p.Ingress) || member == "Services" && e.p.Ingress {
		return false, 0
	}
	items, present := e.element[e.side()+member].([]any)
	return present, len(items)
}

// peers tells whether the element is about the peer: as someone, or only as an address.
func (e ciliumElement) peers() (someone, byAddress bool) {
	chooses := false
	for _, member := range members {
		present, _ := e.list(member)
		chooses = chooses || present
	}
	limited := len(raw.Objects(e.element, "toPorts"))+len(raw.Objects(e.element, "icmps")) > 0
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
	for _, name := range raw.Texts(e.element, e.side()+"Entities") {
		if e.entity(name) {
			someone = true
		}
		if name == "kube-apiserver" && (e.p.Peer.Place == OnNode || e.byCIDR()) && e.serves("default", "kubernetes") {
			byAddress = true // whatever the service has as endpoints, nodes included
		}
	}
	for _, selector := range raw.Objects(e.element, e.side()+"Endpoints") {
		own := raw.Requirements(selector)
		someone = someone || e.isEndpoint(own) && raw.All(e.scoped(own), e.p.Peer.Labels)
	}
	if !e.p.Ingress {
		for _, service := range raw.Objects(e.element, "toServices") {
			pods, addresses := e.service(service)
			someone, byAddress = someone || pods, byAddress || addresses
		}
	}
	for _, selector := range raw.Objects(e.element, e.side()+"Nodes") {
		byAddress = byAddress || e.node(selector)
	}
	return someone, byAddress || e.prefixes()
}

// isEndpoint tells whether a selector of endpoints may be about the peer. Only entities choose what is none, whatever a
// selector leaves out by what it says not to be; to ask for a reserved label is to name an entity.
func (e ciliumElement) isEndpoint(own []raw.Requirement) bool {
	_, pod := e.p.Peer.Labels["k8s:"+keyNamespace]
	return pod || e.p.Peer.Labels != nil && slices.ContainsFunc(own, func(r raw.Requirement) bool {
		return aboutReserved([]raw.Requirement{r}) && (r.Operator == "In" || r.Operator == "Exists")
	})
}

// scoped adds to a selector of peers what it leaves out (C4).
func (e ciliumElement) scoped(own []raw.Requirement) []raw.Requirement {
	if aboutReserved(own) {
		return own
	}
	namespace := namespaceOf(e.policy)
	switch {
	case about(own, keyNamespace):
	case namespace != "":
		if !aboutNamespaceLabels(own) {
			own = append(own, raw.In("k8s:"+keyNamespace, namespace))
		}
	case !matchesInit(e.rule):
		own = append(own, raw.Exists("k8s:"+keyNamespace))
	}
	if !about(own, keyCluster) {
		own = append(own, raw.In("k8s:"+keyCluster, e.w.Cluster))
	}
	return own
}

// entity tells whether the peer is one of an entity (C4).
func (e ciliumElement) entity(name string) bool {
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
func (e ciliumElement) byCIDR() bool {
	switch e.p.Peer.Place {
	case OnNode:
		return e.w.CIDRNodes
	case InPod:
		return e.w.CIDRPods
	}
	return true
}

func (e ciliumElement) prefixes() bool {
	if !e.byCIDR() {
		return false
	}
	address := e.p.Peer.Address
	if raw.InsideAny(raw.Texts(e.element, e.side()+"CIDR"), address) {
		return true
	}
	return slices.ContainsFunc(raw.Objects(e.element, e.side()+"CIDRSet"), func(set Object) bool {
		within := []string{raw.Text(set, "cidr")}
		if raw.Text(set, "cidr") == "" {
			within = nil
			for _, group := range e.w.Groups {
				named := raw.Text(set, "cidrGroupRef") == raw.Text(raw.Sub(group, "metadata"), "name")
				chosen := raw.There(set, "cidrGroupSelector") && raw.All(raw.Requirements(raw.Sub(set, "cidrGroupSelector")), raw.Sourced("cidrgroup", raw.Labels(group)))
				if named || chosen {
					within = append(within, slices.DeleteFunc(raw.Texts(raw.Sub(group, "spec"), "externalCIDRs"), isAddress)...) // no prefix
				}
			}
		}
		return raw.InsideAny(within, address) && !raw.InsideAny(raw.Texts(set, "except"), address)
	})
}

// service tells whether the peer is behind a service: one of the pods that it selects, or, without a selector, an address
// in its EndpointSlices, "as CIDRs".
func (e ciliumElement) service(choice Object) (pods, addresses bool) {
	byName, byLabels := raw.Sub(choice, "k8sService"), raw.Sub(choice, "k8sServiceSelector")
	for _, service := range e.w.Services {
		meta := raw.Sub(service, "metadata")
		namespace := namespaceOf(e.policy)
		for _, s := range []Object{byName, byLabels} {
			if given := raw.Text(s, "namespace"); given != "" {
				namespace = given
			}
		}
		meant := byName != nil && raw.Text(byName, "serviceName") == raw.Text(meta, "name") ||
			byLabels != nil && raw.All(raw.Requirements(raw.Sub(byLabels, "selector")), raw.Sourced("k8s", raw.Labels(service)))
		if !meant || namespace != "" && namespace != raw.Text(meta, "namespace") {
			continue
		}
		selector := raw.Sub(raw.Sub(service, "spec"), "selector")
		if len(selector) == 0 {
			addresses = addresses || e.byCIDR() && e.serves(raw.Text(meta, "namespace"), raw.Text(meta, "name"))
			continue
		}
		chosen := append(raw.Prefixed(Object{"matchLabels": selector}, "k8s:"),
			raw.In("k8s:"+keyNamespace, raw.Text(meta, "namespace")),
			raw.In("k8s:"+keyCluster, e.w.Cluster))
		pods = pods || e.p.Peer.Labels != nil && raw.All(chosen, e.p.Peer.Labels)
	}
	return pods, addresses
}

// serves tells whether the peer's address is in a slice of a service.
func (e ciliumElement) serves(namespace, name string) bool {
	for _, slice := range e.w.Slices {
		meta := raw.Sub(slice, "metadata")
		if raw.Text(meta, "namespace") != namespace || raw.Labels(slice)["kubernetes.io/service-name"] != name {
			continue
		}
		for _, end := range raw.Objects(slice, "endpoints") {
			for _, a := range raw.Texts(end, "addresses") {
				if parsed, err := netip.ParseAddr(a); err == nil && parsed == e.p.Peer.Address {
					return true
				}
			}
		}
	}
	return false
}

// node tells whether the peer is another node with these labels.
func (e ciliumElement) node(selector Object) bool {
	peer := e.p.Peer
	return e.w.NodeLabels && peer.Node != "" && !peer.Local &&
		raw.All(raw.Requirements(selector), raw.Sourced("node", raw.Labels(find(e.w.Nodes, "", peer.Node))))
}
