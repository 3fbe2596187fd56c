package oracle

import "slices"

// rules lists spec and the elements of specs: "both may be set; all rules apply" (C1). A path that begins with spec leaves
// it out.
func rules(policy Object) (out []struct {
	Object
	path string
},
) {
	add := func(rule Object, path string) {
		out = append(out, struct {
			Object
			path string
		}{rule, path})
	}
	if there(policy, "spec") {
		add(sub(policy, "spec"), "")
	}
	for i, rule := range objects(policy, "specs") {
		add(rule, at("specs", i))
	}
	return out
}

// cilium reads a CiliumNetworkPolicy or its clusterwide form.
func (w *World) cilium(policy Object, p Packet) (out says) {
	for _, rule := range rules(policy) {
		if !w.chooses(policy, rule.Object, p.Subject) {
			continue
		}
		allow, deny, switched := "egress", "egressDeny", "egress"
		if p.Ingress {
			allow, deny, switched = "ingress", "ingressDeny", "ingress"
		}
		// C3: unset → true if the rule has any allow or deny entries in that direction, else false.
		isolates := len(objects(rule.Object, allow))+len(objects(rule.Object, deny)) > 0
		if set := sub(rule.Object, "enableDefaultDeny"); there(set, switched) {
			isolates, _ = set[switched].(bool)
		}
		if isolates {
			out.isolates = append(out.isolates, title(policy, rule.path))
		}
		path := func(list string, i int) string {
			if rule.path == "" {
				return at(list, i)
			}
			return rule.path + "." + at(list, i)
		}
		for i, entry := range objects(rule.Object, allow) {
			e := ciliumEntry{w, policy, rule.Object, entry, p, false}
			for _, part := range e.parts() {
				out.allows = append(out.allows, title(policy, path(allow, i)+part))
			}
		}
		for i, entry := range objects(rule.Object, deny) {
			e := ciliumEntry{w, policy, rule.Object, entry, p, true}
			for _, part := range e.parts() {
				out.denies = append(out.denies, title(policy, path(deny, i)+part))
			}
		}
	}
	return out
}

// chooses tells whether a rule is for an end (C1, C2, C4): for nodes are those with a nodeSelector, and no others.
func (w *World) chooses(policy, rule Object, subject End) bool {
	if there(rule, "nodeSelector") != subject.Local {
		return false
	}
	if subject.Local {
		labels := sourced("k8s", labelsOf(find(w.Nodes, "", subject.Node)))
		labels["reserved:host"], labels["k8s:"+keyCluster] = "", w.Cluster
		return all(requirements(sub(rule, "nodeSelector")), labels)
	}
	own := requirements(sub(rule, "endpointSelector"))
	if text(policy, "kind") == "CiliumClusterwideNetworkPolicy" {
		// "all pods with a namespace label"
		if !matchesInit(rule) && !about(own, keyNamespace) {
			own = append(own, requirement{"k8s:" + keyNamespace, "Exists", nil})
		}
		return all(own, subject.Labels)
	}
	// "always forced to the policy's namespace (a different user value is overridden)"
	own = slices.DeleteFunc(own, func(r requirement) bool { return r.operator == "In" && about([]requirement{r}, keyNamespace) })
	return all(append(own, requirement{"k8s:" + keyNamespace, "In", []string{namespaceOf(policy)}}), subject.Labels)
}

// matchesInit tells whether the subject of a rule is about reserved:init.
func matchesInit(rule Object) bool {
	return slices.ContainsFunc(requirements(sub(rule, "endpointSelector")), func(r requirement) bool { return r.key == "reserved:init" })
}

// ciliumEntry is an element of ingress, ingressDeny, egress or egressDeny, asked about a packet.
type ciliumEntry struct {
	w                   *World
	policy, rule, entry Object
	p                   Packet
	deny                bool
}

func (e ciliumEntry) side() string {
	if e.p.Ingress {
		return "from"
	}
	return "to"
}

// parts lists the parts of the entry that match the packet: .toPorts[i], .icmps[i], or "" of an entry without either.
func (e ciliumEntry) parts() (out []string) {
	if !e.deny && len(e.unenforced()) > 0 {
		return nil // fails closed
	}
	someone, byAddress := e.peers()
	if !someone && !byAddress {
		return nil
	}
	nameless := !someone && !e.p.Ingress // an address has no named ports
	ports, icmps := objects(e.entry, "toPorts"), objects(e.entry, "icmps")
	if len(ports) == 0 && len(icmps) == 0 {
		return []string{""} // toPorts: [] is as good as none
	}
	for i, rule := range ports {
		if e.portRule(rule, nameless) {
			out = append(out, at(".toPorts", i))
		}
	}
	for i, rule := range icmps {
		if slices.ContainsFunc(objects(rule, "fields"), e.p.isICMP) {
			out = append(out, at(".icmps", i))
		}
	}
	return out
}

// unenforced lists what the entry asks for and what nothing enforces yet.
func (e ciliumEntry) unenforced() (out []string) {
	for _, member := range []string{e.side() + "Groups", e.side() + "Requires", "toFQDNs"} {
		if len(objects(e.entry, member)) > 0 && !(e.deny && member == "toFQDNs") {
			out = append(out, member)
		}
	}
	if e.deny {
		return out
	}
	if mode := text(sub(e.entry, "authentication"), "mode"); mode != "" && mode != "disabled" {
		out = append(out, "authentication")
	}
	for _, rule := range objects(e.entry, "toPorts") {
		for _, member := range []string{"terminatingTLS", "originatingTLS", "listener"} {
			if there(rule, member) {
				out = append(out, member)
			}
		}
		if len(texts(rule, "serverNames")) > 0 {
			out = append(out, "serverNames")
		}
		out = append(out, requests(rule)...)
		for _, port := range objects(rule, "ports") {
			if portless[protocolOf(port)] {
				out = append(out, "protocol")
			}
		}
	}
	return out
}

// requests lists the kinds of L7 rules. C2: http: [] counts as none.
func requests(portRule Object) (out []string) {
	rules := sub(portRule, "rules")
	for _, family := range []string{"http", "dns", "kafka", "l7"} {
		if len(objects(rules, family)) > 0 {
			out = append(out, family)
		}
	}
	if text(rules, "l7proto") != "" {
		out = append(out, "l7proto")
	}
	return out
}
