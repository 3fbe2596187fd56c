package oracle

import (
	"slices"

	"weftnet.io/weftnet/test/oracle/raw"
)

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
	if raw.There(policy, "spec") {
		add(raw.Sub(policy, "spec"), "")
	}
	for i, rule := range raw.Objects(policy, "specs") {
		add(rule, raw.At("specs", i))
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
		// C3: unset → true if the rule has any allow or deny elements in that direction, else false.
		isolates := len(raw.Objects(rule.Object, allow))+len(raw.Objects(rule.Object, deny)) > 0
		if set := raw.Sub(rule.Object, "enableDefaultDeny"); raw.There(set, switched) {
			isolates, _ = set[switched].(bool)
		}
		if isolates {
			out.isolates = append(out.isolates, title(policy, rule.path))
		}
		path := func(list string, i int) string {
			if rule.path == "" {
				return raw.At(list, i)
			}
			return rule.path + "." + raw.At(list, i)
		}
		for i, element := range raw.Objects(rule.Object, allow) {
			e := ciliumElement{w, policy, rule.Object, element, p, false}
			for _, part := range e.parts() {
				out.allows = append(out.allows, title(policy, path(allow, i)+part))
			}
		}
		for i, element := range raw.Objects(rule.Object, deny) {
			e := ciliumElement{w, policy, rule.Object, element, p, true}
			for _, part := range e.parts() {
				out.denies = append(out.denies, title(policy, path(deny, i)+part))
			}
		}
	}
	return out
}

// chooses tells whether a rule is for an end (C1, C2, C4): for nodes are those with a nodeSelector, and no others.
func (w *World) chooses(policy, rule Object, subject End) bool {
	if raw.There(rule, "nodeSelector") != subject.Local {
		return false
	}
	if subject.Local {
		labels := raw.Sourced("k8s", raw.Labels(find(w.Nodes, "", subject.Node)))
		labels["reserved:host"], labels["k8s:"+keyCluster] = "", w.Cluster
		return raw.All(raw.Requirements(raw.Sub(rule, "nodeSelector")), labels)
	}
	own := raw.Requirements(raw.Sub(rule, "endpointSelector"))
	if raw.Text(policy, "kind") == "CiliumClusterwideNetworkPolicy" {
		// "all pods with a namespace label"
		if !matchesInit(rule) && !about(own, keyNamespace) {
			own = append(own, raw.Exists("k8s:"+keyNamespace))
		}
		return raw.All(own, subject.Labels)
	}
	// "always forced to the policy's namespace (a different user value is overridden)"
	own = slices.DeleteFunc(own, func(r raw.Requirement) bool { return r.Operator == "In" && about([]raw.Requirement{r}, keyNamespace) })
	return raw.All(append(own, raw.In("k8s:"+keyNamespace, namespaceOf(policy))), subject.Labels)
}

// matchesInit tells whether the subject of a rule is about reserved:init.
func matchesInit(rule Object) bool {
	return slices.ContainsFunc(raw.Requirements(raw.Sub(rule, "endpointSelector")), func(r raw.Requirement) bool { return r.Key == "reserved:init" })
}

// ciliumElement is an element of ingress, ingressDeny, egress or egressDeny, asked about a packet.
type ciliumElement struct {
	w                     *World
	policy, rule, element Object
	p                     Packet
	deny                  bool
}

func (e ciliumElement) side() string {
	if e.p.Ingress {
		return "from"
	}
	return "to"
}

// parts lists the parts of the element that match the packet: .toPorts[i], .icmps[i], or "" of an element without either.
func (e ciliumElement) parts() (out []string) {
	if !e.deny && len(e.unenforced()) > 0 {
		return nil // fails closed
	}
	someone, byAddress := e.peers()
	if !someone && !byAddress {
		return nil
	}
	nameless := !someone && !e.p.Ingress // an address has no named ports
	ports, icmps := raw.Objects(e.element, "toPorts"), raw.Objects(e.element, "icmps")
	if len(ports) == 0 && len(icmps) == 0 {
		return []string{""} // toPorts: [] is as good as none
	}
	for i, rule := range ports {
		if e.portRule(rule, nameless) {
			out = append(out, raw.At(".toPorts", i))
		}
	}
	for i, rule := range icmps {
		if slices.ContainsFunc(raw.Objects(rule, "fields"), e.p.isICMP) {
			out = append(out, raw.At(".icmps", i))
		}
	}
	return out
}

// unenforced lists what the element asks for and what nothing enforces yet.
func (e ciliumElement) unenforced() (out []string) {
	for _, member := range []string{e.side() + "Groups", e.side() + "Requires", "toFQDNs"} {
		if len(raw.Objects(e.element, member)) > 0 && !(e.deny && member == "toFQDNs") {
			out = append(out, member)
		}
	}
	if e.deny {
		return out
	}
	if mode := raw.Text(raw.Sub(e.element, "authentication"), "mode"); mode != "" && mode != "disabled" {
		out = append(out, "authentication")
	}
	for _, rule := range raw.Objects(e.element, "toPorts") {
		for _, member := range []string{"terminatingTLS", "originatingTLS", "listener"} {
			if raw.There(rule, member) {
				out = append(out, member)
			}
		}
		if len(raw.Texts(rule, "serverNames")) > 0 {
			out = append(out, "serverNames")
		}
		out = append(out, requests(rule)...)
		for _, port := range raw.Objects(rule, "ports") {
			if protocol := protocolOf(port); portless[protocol] && !(e.w.Extended && extended[protocol] != "") {
				out = append(out, "protocol")
			}
		}
	}
	return out
}

// requests lists the kinds of L7 rules. C2: http: [] counts as none.
func requests(portRule Object) (out []string) {
	rules := raw.Sub(portRule, "rules")
	for _, family := range []string{"http", "dns", "kafka", "l7"} {
		if len(raw.Objects(rules, family)) > 0 {
			out = append(out, family)
		}
	}
	if raw.Text(rules, "l7proto") != "" {
		out = append(out, "l7proto")
	}
	return out
}
