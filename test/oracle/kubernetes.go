package oracle

import (
	"slices"

	"weftnet.io/weftnet/test/oracle/raw"
)

// kubernetes reads a NetworkPolicy as the comments of its API have it.
func (w *World) kubernetes(policy Object, p Packet) (out says) {
	spec := raw.Sub(policy, "spec")
	// "selects the pods to which this NetworkPolicy object applies … in the policy's own namespace"
	selector := append(raw.Prefixed(raw.Sub(spec, "podSelector"), "k8s:"), raw.In("k8s:"+keyNamespace, namespaceOf(policy)))
	if !raw.All(selector, p.Subject.Labels) {
		return says{}
	}
	// "If no policyTypes are specified on a NetworkPolicy then by default Ingress will always be set and Egress will be set
	// if the NetworkPolicy has any egress rules."
	types := raw.Texts(spec, "policyTypes")
	direction, list, side := "Ingress", "ingress", "from"
	concerned := len(types) == 0
	if !p.Ingress {
		direction, list, side = "Egress", "egress", "to"
		concerned = len(types) == 0 && len(raw.Objects(spec, "egress")) > 0
	}
	if !concerned && !slices.Contains(types, direction) {
		return says{}
	}
	out.isolates = []string{title(policy, "")}
	for i, element := range raw.Objects(spec, list) {
		if w.kubernetesPeers(policy, raw.Objects(element, side), p) && kubernetesPorts(raw.Objects(element, "ports"), p, false) ||
			w.kubernetesBlocks(raw.Objects(element, side), p) && kubernetesPorts(raw.Objects(element, "ports"), p, !p.Ingress) {
			out.allows = append(out.allows, title(policy, raw.At(list, i)))
		}
	}
	return out
}

// kubernetesPeers: "If this field is empty or missing, this rule matches all sources (traffic not restricted by source).
// … items in this list are combined using a logical OR".
func (w *World) kubernetesPeers(policy Object, peers []Object, p Packet) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(peer Object) bool {
		if raw.There(peer, "ipBlock") || p.Peer.Labels == nil {
			return false
		}
		// Pods alone have a namespace; those of other clusters are not those of this API.
		chosen := []raw.Requirement{raw.Exists("k8s:" + keyNamespace), raw.In("k8s:"+keyCluster, w.Cluster)}
		if raw.There(peer, "namespaceSelector") {
			chosen = append(chosen, raw.Prefixed(raw.Sub(peer, "namespaceSelector"), "k8s:"+keyNamespaces)...)
		} else {
			chosen = append(chosen, raw.In("k8s:"+keyNamespace, namespaceOf(policy)))
		}
		return raw.All(append(chosen, raw.Prefixed(raw.Sub(peer, "podSelector"), "k8s:")...), p.Peer.Labels)
	})
}

// kubernetesBlocks: ipBlock "describes a particular CIDR … that is allowed to the pods matched … The except entry describes
// CIDRs that should not be included within this rule". Every peer with such an address is meant.
func (w *World) kubernetesBlocks(peers []Object, p Packet) bool {
	return slices.ContainsFunc(peers, func(peer Object) bool {
		block := raw.Sub(peer, "ipBlock")
		return block != nil && raw.Inside(raw.Text(block, "cidr"), p.Peer.Address) && !raw.InsideAny(raw.Texts(block, "except"), p.Peer.Address)
	})
}

// kubernetesPorts: "If this field is empty or missing, this rule matches all ports". A name is that of a port of the pod
// that is called; an address has none.
func kubernetesPorts(ports []Object, p Packet, nameless bool) bool {
	if len(ports) == 0 {
		return true
	}
	return slices.ContainsFunc(ports, func(port Object) bool {
		protocol := raw.Text(port, "protocol")
		if protocol == "" {
			protocol = "TCP" // "If not specified, this field defaults to TCP."
		}
		if protocol != p.Protocol {
			return false
		}
		if name, ok := port["port"].(string); ok {
			return !nameless && p.names(name, protocol)
		}
		if !raw.There(port, "port") {
			return true // "If this field is not provided, this matches all port names and numbers."
		}
		first, last := raw.Number(port, "port"), raw.Number(port, "port")
		if raw.There(port, "endPort") {
			last = raw.Number(port, "endPort")
		}
		return first <= p.Port && p.Port <= last
	})
}

// names tells whether the port that is called has this name, for this protocol, at the end that is called.
func (p Packet) names(name, protocol string) bool {
	ports := p.Subject.Ports
	if !p.Ingress {
		ports = p.Peer.Ports
	}
	return p.Protocol == protocol && slices.Contains(ports, NamedPort{name, protocol, p.Port})
}
