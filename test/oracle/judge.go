package oracle

import (
	"slices"

	"weftnet.io/weftnet/test/oracle/raw"
	"weftnet.io/weftnet/test/oracle/tier"
)

// Packet is the first packet of a connection, as policy of one of its ends sees it.
type Packet struct {
	Ingress  bool // to the subject; else from it
	Subject  End
	Peer     End
	Protocol string // TCP, UDP, SCTP, ICMP, ICMPv6, or a number
	Port     int    // at the end that is called, after service translation; of ICMP the type
}

// Answer is what becomes of a packet, and the parts of policies that say so, sorted.
type Answer struct {
	Verdict string // allow, deny, deny-implicit, audit
	By      []string
}

var shorts = map[string]string{
	"CiliumNetworkPolicy": "cnp", "CiliumClusterwideNetworkPolicy": "ccnp", "NetworkPolicy": "netpol",
	"ClusterNetworkPolicy": "cnetpol",
}

// title names a policy, and a part of it.
func title(policy Object, path string) string {
	meta := raw.Sub(policy, "metadata")
	out := shorts[raw.Text(policy, "kind")] + " "
	if namespace := namespaceOf(policy); namespace != "" {
		out += namespace + "/"
	}
	out += raw.Text(meta, "name")
	if path != "" {
		out += " " + path
	}
	return out
}

// namespaceOf is where a policy is: default, unless it says; nowhere, if it is clusterwide.
func namespaceOf(policy Object) string {
	switch raw.Text(policy, "kind") {
	case "CiliumClusterwideNetworkPolicy", "ClusterNetworkPolicy":
		return ""
	}
	if namespace := raw.Text(raw.Sub(policy, "metadata"), "namespace"); namespace != "" {
		return namespace
	}
	return "default"
}

// view is an assumption about modes of policies under which a packet is judged.
type view int

const (
	inForce  view = iota // audited policies deny nothing, staged ones are not there
	asMeant              // audited ones deny, too
	asStaged             // as in force, and staged ones are enforced
)

// modeOf a policy: "policy.weftnet.io/mode: enforce|audit|stage".
const modeKey = "policy.weftnet.io/mode"

// heard tells whether a view has a policy, and whether what it denies counts. "On a namespace, audit is for its pods,
// whatever policies select them … policy-audit-mode is for the whole cluster." Of a staged policy people ask what it says
// itself, so what it denies counts there, too.
func (w *World) heard(policy Object, subject End, v view) (there, denies bool) {
	switch raw.Annotations(policy)[modeKey] {
	case "stage":
		return v == asStaged, true
	case "audit":
		return true, v == asMeant
	}
	return true, v == asMeant || !w.audited(subject)
}

// audited tells whether nothing at all is denied to a subject.
func (w *World) audited(subject End) bool {
	namespace := subject.Labels["k8s:"+keyNamespace]
	return w.Audit || namespace != "" && raw.Annotations(find(w.Namespaces, "", namespace))[modeKey] == "audit"
}

// Judge says what becomes of a packet. "what it would deny passes … AUDIT, and the policy".
func (w *World) Judge(p Packet) Answer {
	now := w.judge(p, inForce)
	if now.Verdict != "allow" {
		return now
	}
	if meant := w.judge(p, asMeant); meant.Verdict != "allow" {
		return Answer{"audit", meant.By}
	}
	return now
}

// Foresee says what would become of a packet if staged policies were enforced.
func (w *World) Foresee(p Packet) Answer { return w.judge(p, asStaged) }

// judge asks the tiers in order: Admin, Normal, Baseline. "If Admin tier has made a final decision (Accept or Deny) on a
// connection, then no further evaluation is done … If a given connection wasn't allowed or denied by any of the tiers …
// all pods can communicate." Whatever an administrator denies, a node reaches its own pods.
func (w *World) judge(p Packet, v view) Answer {
	_, onNode := p.Subject.Labels["reserved:host"]
	_, fromHost := p.Peer.Labels["reserved:host"]
	probe := p.Ingress && fromHost && !onNode && !w.HostPolicy
	if w.Mode == "never" {
		return Answer{Verdict: "allow"}
	}
	if decided, answer := w.tier("Admin", p, v); decided && !probe {
		return answer
	}
	if decided, answer := w.normal(p, v, probe); decided {
		return answer
	}
	if decided, answer := w.tier("Baseline", p, v); decided && !probe {
		return answer
	}
	return Answer{Verdict: "allow"}
}

// tier asks the ClusterNetworkPolicies of a tier. "Pass: skips all further … rules in the current tier".
func (w *World) tier(name string, p Packet, v view) (decided bool, answer Answer) {
	var first tier.Say
	var by []string
	for i, policy := range w.Policies {
		there, denies := w.heard(policy, p.Subject, v)
		if raw.Text(policy, "kind") != "ClusterNetworkPolicy" || w.Refused(i) || !there || tier.Of(policy) != name {
			continue
		}
		for _, s := range tier.Says(policy, w.call(p)) {
			switch {
			case s.Action == "Deny" && !denies:
			case by == nil || s.Before(first):
				first, by = s, []string{title(policy, s.Path)}
			case s.Beside(first):
				by = append(by, title(policy, s.Path))
			}
		}
	}
	switch first.Action {
	case "Accept":
		return true, Answer{"allow", sorted(by)}
	case "Deny":
		return true, Answer{"deny", sorted(by)}
	}
	return false, Answer{}
}

func (w *World) call(p Packet) tier.Call {
	return tier.Call{
		Ingress: p.Ingress, Subject: p.Subject.Labels, Peer: p.Peer.Labels, Address: p.Peer.Address, Protocol: p.Protocol, Port: p.Port,
		Named:   func(name string) bool { return p.names(name, p.Protocol) },
		Cluster: w.Cluster, Nodes: w.Nodes,
	}
}

// says is what one policy says of a packet.
type says struct {
	isolates, allows, denies []string
}

// normal asks the other kinds (C3, C8): deny beats allow, always, whatever the specificity; what nothing allows is denied
// if some policy that selects the subject closes the direction.
func (w *World) normal(p Packet, v view, probe bool) (decided bool, answer Answer) {
	var total says
	for i, policy := range w.Policies {
		there, denies := w.heard(policy, p.Subject, v)
		if w.Refused(i) || !there { // an object that is not valid means nothing at all
			continue
		}
		var s says
		switch raw.Text(policy, "kind") {
		case "ClusterNetworkPolicy":
		case "NetworkPolicy":
			s = w.kubernetes(policy, p)
		default:
			s = w.cilium(policy, p)
		}
		total.allows = append(total.allows, s.allows...)
		if denies {
			total.isolates = append(total.isolates, s.isolates...)
			total.denies = append(total.denies, s.denies...)
		}
	}
	_, onNode := p.Subject.Labels["reserved:host"]
	_, initial := p.Subject.Labels["reserved:init"]
	always := (initial || w.Mode == "always" && !onNode) && (v == asMeant || !w.audited(p.Subject))
	closed := len(total.isolates) > 0 || always
	switch {
	case len(total.denies) > 0:
		return true, Answer{"deny", sorted(total.denies)}
	case len(total.allows) > 0:
		return true, Answer{"allow", sorted(total.allows)}
	case closed && probe:
		return true, Answer{Verdict: "allow"}
	case closed:
		return true, Answer{"deny-implicit", sorted(total.isolates)}
	}
	return false, Answer{}
}

// Refused tells whether a policy, by its index, is not valid and so without effect.
func (w *World) Refused(i int) bool {
	if w.refused == nil {
		w.refused = map[int]bool{}
		for i, policy := range w.Policies {
			w.refused[i] = len(Problems(policy)) > 0
		}
	}
	return w.refused[i]
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
