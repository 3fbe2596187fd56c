package random

import "weftnet.io/weftnet/test/oracle"

// mode sets the annotation that says how much of a policy is in force, at times.
func (d draw) mode(meta oracle.Object) {
	if d.odds(4) {
		d.maybe(meta, 1, "annotations", func() any {
			out := oracle.Object{"policy.weftnet.io/mode": d.one("audit", "stage", "audit", "stage", "enforce", "")}
			if d.odds(20) {
				out["policy.weftnet.io/mode"] = d.one("off", "Audit", " audit")
			}
			return out
		})
	}
}

// tiered is the spec of a ClusterNetworkPolicy. Priorities are few, so that policies meet.
func (d draw) tiered() oracle.Object {
	out := oracle.Object{
		"tier": d.one("Admin", "Admin", "Baseline"), "priority": []float64{5, 6, 5, 0, 1000}[d.n(4)], "subject": d.choice(),
	}
	if d.odds(60) {
		wrong := map[string][]any{"tier": {nil, "Normal"}, "priority": {-1.0, 1001.0}, "subject": {nil, oracle.Object{}}}
		member := d.one("tier", "priority", "subject")
		out[member] = wrong[member][d.n(1)]
	}
	if d.odds(80) {
		out["subject"] = oracle.Object{"namespaces": oracle.Object{}, "pods": oracle.Object{}}
	}
	for i, list := range []string{"ingress", "egress"} {
		d.maybe(out, 2, list, func() any {
			if d.odds(80) {
				return d.list(24, 27, func() any { return d.tieredRule(i == 0) })
			}
			return d.some(4, func() any { return d.tieredRule(i == 0) })
		})
	}
	if out["ingress"] == nil && out["egress"] == nil {
		out["ingress"] = []any{d.tieredRule(true)}
	}
	return out
}

// choice is of pods, by their namespaces and perhaps by their own labels.
func (d draw) choice() oracle.Object {
	if d.odds(2) {
		return oracle.Object{"namespaces": d.plain("team", "kubernetes.io/metadata.name")}
	}
	pods := oracle.Object{"podSelector": d.plain("app", "tier", hash)}
	d.maybe(pods, 2, "namespaceSelector", func() any { return d.plain("team", "kubernetes.io/metadata.name") })
	return oracle.Object{"pods": pods}
}

func (d draw) tieredRule(ingress bool) any {
	out := oracle.Object{"action": d.one("Accept", "Deny", "Pass")}
	side := map[bool]string{true: "from", false: "to"}[ingress]
	d.maybe(out, 1, side, func() any { return d.some(2, func() any { return d.tieredPeer(ingress, out) }) })
	d.maybe(out, 2, "protocols", func() any { return d.some(2, d.tieredProtocol) })
	d.maybe(out, 8, "name", func() any { return d.one("a rule", "") })
	return out
}

func (d draw) tieredPeer(ingress bool, rule oracle.Object) any {
	if d.odds(8) { // no field is known
		return []any{oracle.Object{}, nil, oracle.Object{"newer": oracle.Object{}}, oracle.Object{"nodes": nil}}[d.n(3)]
	}
	switch out := (oracle.Object{}); d.n(13) {
	case 0, 1, 2:
		if ingress {
			break
		}
		out["networks"] = d.some(2, func() any { return d.one(prefixes[:len(prefixes)-1]...) })
		if d.odds(20) {
			out["networks"] = []any{d.one("::ffff:10.1.0.0/112", "10.0.0.1", "10.0.0.0/33", "")}
		}
		return out
	case 3:
		if ingress {
			break
		}
		out["nodes"] = []any{oracle.Object{}, oracle.Object{"matchLabels": oracle.Object{"zone": d.one("x", "y")}}}[d.n(1)]
		return out
	case 4, 6:
		if ingress || rule["action"] != "Accept" && !d.odds(10) {
			break
		}
		out["domainNames"] = d.some(2, func() any { return d.one("example.com", "*.example.com", "www.example.com.") })
		if d.odds(20) {
			out["domainNames"] = []any{d.one("com", "*", "*example.com", "_dmarc.example.com", "[a.example.com", "a..example.com", "a.example.com-")}
		}
		return out
	case 5:
		if d.odds(10) {
			out = d.choice()
			out[d.one("namespaces", "pods", "networks")] = []any{nil, oracle.Object{}}[d.n(1)]
			if out["networks"] != nil {
				out["networks"] = []any{"10.0.0.0/8"}
			}
			return out
		}
	}
	return d.choice()
}

func (d draw) tieredProtocol() any {
	if d.odds(4) {
		return oracle.Object{"destinationNamedPort": d.one("http", "dns", "none")}
	}
	port := oracle.Object{}
	switch d.n(3) {
	case 0:
		first := []float64{1, 80, 79, 1024}[d.n(3)]
		port["range"] = oracle.Object{"start": first, "end": first + []float64{1, 5, 9000}[d.n(2)]}
	default:
		port["number"] = []float64{80, 8080, 53, 443, 65535, 1}[d.n(5)]
	}
	if d.odds(30) {
		port = []oracle.Object{{}, {"number": 0.0}, {"number": 65536.0}, {"number": -1.0}, {"range": oracle.Object{}}, {"range": oracle.Object{"start": 8.0, "end": 8.0}}}[d.n(5)]
	}
	out := oracle.Object{d.one("tcp", "udp", "sctp", "tcp"): oracle.Object{"destinationPort": port}}
	if d.odds(80) {
		out[d.one("tcp", "udp", "destinationNamedPort", "sctp")] = []any{oracle.Object{}, nil}[d.n(1)]
	}
	if named, there := out["destinationNamedPort"]; there && named != nil {
		out["destinationNamedPort"] = "http"
	}
	return out
}
