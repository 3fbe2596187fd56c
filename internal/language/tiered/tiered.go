// Package tiered reads ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2): policies before and after those of
// namespaces.
//
// # The world it models
//
// An administrator's policy is in tier Admin, which decides before all NetworkPolicies and CiliumNetworkPolicies, or in
// tier Baseline, which decides where none of those isolates. Its rules are read from the top, policies of lower priority
// numbers first; the first rule that matches a packet accepts it, denies it, or passes it to the next tier. A rule that
// matches nothing says nothing: such a policy isolates nothing.
//
// # Invariants
//
//   - Rule i of a policy has a rank that only its priority and i determine: the higher of two ranks wins.
//   - What the API at hand does not know, an element with no field set, closes its rule as the API asks: a rule that
//     accepts accepts nothing, one that denies or passes denies everything.
//   - Peers by domain name are not enforced yet: their rule accepts DNS and nothing else for them.
//
// # Example
//
//	ingress:
//	- {action: Accept, from: [{namespaces: {matchLabels: {team: monitoring}}}]}
//	- {action: Pass, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}]}
//	- {action: Deny, from: [{namespaces: {}}]}
//
// is three rules: monitoring gets in whatever policies of namespaces say; to web those decide; other pods stay out.
package tiered

import (
	"fmt"
	"net/netip"
	"regexp"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/language/label"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

// Limits of a ClusterNetworkPolicy, which its CRD has too.
const (
	maxPriority  = 1000
	maxRules     = 25 // per direction
	maxRuleName  = 100
	rankPerLevel = 100 // ranks of one priority: more than rules
)

// Prefixes of labels.
const (
	ofPods       = identity.SourceK8s + ":"
	ofNamespaces = ofPods + identity.LabelNamespacePrefix
	ofNodes      = "node:"
)

var tiers = map[v1alpha2.Tier]policy.Tier{v1alpha2.AdminTier: policy.Admin, v1alpha2.BaselineTier: policy.Baseline}

var actions = map[v1alpha2.ClusterNetworkPolicyRuleAction]policy.Action{
	v1alpha2.ClusterNetworkPolicyRuleActionAccept: policy.ActionAccept,
	v1alpha2.ClusterNetworkPolicyRuleActionDeny:   policy.ActionDeny,
	v1alpha2.ClusterNetworkPolicyRuleActionPass:   policy.ActionPass,
}

// Policy reads a ClusterNetworkPolicy. Each of its rules becomes one of the engine, with its name for flows to show.
func Policy(p *v1alpha2.ClusterNetworkPolicy) table.PolicyObject {
	r := reader{language.New(language.KindClusterNetwork, &p.ObjectMeta)}
	r.Object.Namespace = ""
	r.Object.Rules = r.rules(p)
	return r.Row()
}

// reader reads one object.
type reader struct{ *language.Reader }

func (r reader) rules(p *v1alpha2.ClusterNetworkPolicy) (out []policy.Rule) {
	tier, known := tiers[p.Spec.Tier]
	if !known {
		r.Reject("spec.tier", "%q is not one of Admin, Baseline", p.Spec.Tier)
	}
	if p.Spec.Priority < 0 || p.Spec.Priority > maxPriority {
		r.Reject("spec.priority", "%d is not between 0 and %d", p.Spec.Priority, maxPriority)
	}
	subject := r.subject(p.Spec.Subject)
	read := func(e element, direction string, i int, name string) (policy.Rule, []policy.Term) {
		e.reader, e.path, e.rank = r, fmt.Sprintf("%s[%d]", direction, i), rank(p.Spec.Priority, i)
		e.field = "spec." + e.path
		if i == maxRules {
			r.Reject("spec."+direction, "too many rules, the max is %d", maxRules)
		}
		if utf8.RuneCountInString(name) > maxRuleName {
			r.Reject(e.field+".name", "it has more than %d characters", maxRuleName)
		}
		rule := policy.Rule{Origin: r.Origin(""), Subject: subject, Tier: tier}
		rule.Origin.Log = name
		return rule, e.terms()
	}
	for i, in := range p.Spec.Ingress {
		e := element{member: "from", says: in.Action, protocols: in.Protocols}
		for _, peer := range in.From {
			e.peers = append(e.peers, v1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: peer.Namespaces, Pods: peer.Pods})
		}
		rule, terms := read(e, "ingress", i, in.Name)
		rule.Ingress = terms
		out = append(out, rule)
	}
	for i, in := range p.Spec.Egress {
		rule, terms := read(element{member: "to", says: in.Action, peers: in.To, protocols: in.Protocols}, "egress", i, in.Name)
		rule.Egress = terms
		out = append(out, rule)
	}
	return out
}

// rank of a rule: the lower the number of its policy's priority and the earlier it stands, the higher. MaxRank itself is
// the engine's own.
func rank(priority int32, i int) uint32 {
	return policy.MaxRank - 1 - uint32(priority)*rankPerLevel - uint32(i)
}

func (r reader) subject(in v1alpha2.ClusterNetworkPolicySubject) identity.Selector {
	switch {
	case in.Namespaces != nil && in.Pods != nil:
		r.Reject("spec.subject", "only one of namespaces and pods can be set")
	case in.Namespaces != nil:
		return identity.NewSelector(r.podsOf(in.Namespaces, nil, "spec.subject.namespaces")...)
	case in.Pods != nil:
		return identity.NewSelector(r.podsOf(&in.Pods.NamespaceSelector, &in.Pods.PodSelector, "spec.subject.pods")...)
	default:
		r.Reject("spec.subject", "one of namespaces and pods is required; namespaces: {} selects all pods")
	}
	return identity.Selector{}
}

// podsOf are the pods that a selector chooses, or all, in the namespaces that another one does. Pods of the host's network
// are none of them: they are their node.
func (r reader) podsOf(namespaces, own *metav1.LabelSelector, field string) []identity.Requirement {
	if own == nil {
		return append(label.Requirements(ofNamespaces, namespaces, field, r.Reject), label.Pods)
	}
	out := append(label.Requirements(ofNamespaces, namespaces, field+".namespaceSelector", r.Reject), label.Pods)
	return append(out, label.Requirements(ofPods, own, field+".podSelector", r.Reject)...)
}

// element is an element of ingress or egress. Without peers it is about every peer, without protocols about everything.
type element struct {
	reader
	field     string // spec.egress[0]
	path      string // egress[0]
	member    string // from or to
	says      v1alpha2.ClusterNetworkPolicyRuleAction
	rank      uint32
	peers     []v1alpha2.ClusterNetworkPolicyEgressPeer
	protocols []v1alpha2.ClusterNetworkPolicyProtocol

	action  policy.Action
	closed  bool // something in it is not known here
	domains bool // it has peers by domain name
	unnamed bool // … and by what has no named ports
}

// unknown notes a part of which no field is known: the CRD is of another version than this reader, and the rule is to fail
// closed in the way that the API asks for.
func (e *element) unknown(field string) {
	e.closed = true
	effect := "accepts nothing"
	if e.action != policy.ActionAccept {
		effect = "denies everything"
	}
	e.Note(field, "no field is set that is known here, as with a CRD of another version; so %s %s", e.path, effect)
}

// terms reads the element.
func (e *element) terms() (out []policy.Term) {
	var known bool
	if e.action, known = actions[e.says]; !known {
		e.Reject(e.field+".action", "%q is not one of Accept, Deny, Pass", e.says)
	}
	t := policy.Term{Action: e.action, Rank: e.rank, Path: e.path, AnyPeer: len(e.peers) == 0}
	for i := range e.peers {
		e.peer(&e.peers[i], fmt.Sprintf("%s.%s[%d]", e.field, e.member, i), &t)
	}
	if len(e.protocols) == 0 {
		t.Ports = []policy.Port{policy.AnyPort}
	}
	for i, p := range e.protocols {
		t.Ports = e.port(p, fmt.Sprintf("%s.protocols[%d]", e.field, i), t.Ports)
	}
	if e.closed {
		if e.action == policy.ActionAccept {
			return nil
		}
		return []policy.Term{{Action: policy.ActionDeny, Rank: e.rank, Path: e.path, AnyPeer: true, Ports: []policy.Port{policy.AnyPort}}}
	}
	if t.AnyPeer || len(t.Peers)+len(t.Blocks) > 0 {
		out = append(out, t)
	}
	if e.domains {
		out = append(out, policy.Term{Action: e.action, Rank: e.rank, Path: e.path, Peers: dnsServers, Ports: dnsPorts})
	}
	return out
}

// A pod that may connect to names may resolve them.
var (
	dnsServers = []identity.Selector{identity.NewSelector(label.Pods, identity.Requirement{
		Key: ofPods + "k8s-app", Operator: identity.In, Values: []string{"kube-dns"},
	})}
	dnsPorts = []policy.Port{{Name: "dns"}, {Name: "dns-tcp"}}
)

// peer adds an element of from or to.
func (e *element) peer(p *v1alpha2.ClusterNetworkPolicyEgressPeer, field string, t *policy.Term) {
	set := 0
	for _, there := range []bool{p.Namespaces != nil, p.Pods != nil, p.Nodes != nil, p.Networks != nil, p.DomainNames != nil} {
		if there {
			set++
		}
	}
	switch {
	case set == 0:
		e.unknown(field)
	case set > 1:
		e.Reject(field, "only one kind of peer can be set in an element; write one element for each")
	case p.Namespaces != nil:
		t.Peers = append(t.Peers, identity.NewSelector(append(e.podsOf(p.Namespaces, nil, field+".namespaces"), label.InCluster)...))
	case p.Pods != nil:
		t.Peers = append(t.Peers, identity.NewSelector(append(e.podsOf(&p.Pods.NamespaceSelector, &p.Pods.PodSelector, field+".pods"), label.InCluster)...))
	case p.Nodes != nil:
		e.unnamed = true
		chosen := identity.NewSelector(label.Requirements(ofNodes, p.Nodes, field+".nodes", e.Reject)...)
		t.Blocks = append(t.Blocks, policy.Block{Name: "all nodes " + chosen.String(), Nodes: true, Of: policy.Reference{Kind: policy.AllNodes, Labels: chosen}})
	case p.Networks != nil:
		e.unnamed = true
		e.networks(p.Networks, field+".networks", t)
	default:
		e.unnamed = true
		e.domainNames(p.DomainNames, field+".domainNames")
	}
}

// networks are about every end that has such an address, pods and nodes, too. The API takes no IPv4 that is written as IPv6.
func (e *element) networks(in []v1alpha2.CIDR, field string, t *policy.Term) {
	var within []netip.Prefix
	for i, text := range in {
		p, err := netip.ParsePrefix(string(text))
		if err != nil || p.Addr().Is4In6() {
			e.Reject(fmt.Sprintf("%s[%d]", field, i), "%q is not a prefix such as 10.0.0.0/8", text)
			continue
		}
		within = append(within, p)
	}
	if len(within) > 0 {
		t.Blocks = append(t.Blocks, policy.NewBlock(within, nil).Also(true, true))
	}
}

// domainName is the CRD's pattern to the letter: its A-z lets labels begin with an underscore, and what the API server
// takes must not cost a policy all its rules.
var domainName = regexp.MustCompile(`^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$`)

func (e *element) domainNames(in []v1alpha2.DomainName, field string) {
	for i, name := range in {
		if !domainName.MatchString(string(name)) {
			e.Reject(fmt.Sprintf("%s[%d]", field, i), "%q is neither a domain name nor *. before one", name)
		}
	}
	if e.action != policy.ActionAccept {
		e.Reject(field, "a rule with action %s cannot have domain names, only one with Accept can", e.says)
		return
	}
	e.domains = true
	e.Note(field, "peers by domain name are not enforced yet: %s accepts DNS (ports dns and dns-tcp of pods with k8s-app=kube-dns), and no connection to these names", e.path)
}

// port appends what an element of protocols means.
func (e *element) port(in v1alpha2.ClusterNetworkPolicyProtocol, field string, out []policy.Port) []policy.Port {
	set, protocol, name, port := 0, uint8(0), "", (*v1alpha2.Port)(nil)
	if in.TCP != nil {
		set, protocol, name, port = set+1, policy.TCP, ".tcp", in.TCP.DestinationPort
	}
	if in.UDP != nil {
		set, protocol, name, port = set+1, policy.UDP, ".udp", in.UDP.DestinationPort
	}
	if in.SCTP != nil {
		set, protocol, name, port = set+1, policy.SCTP, ".sctp", in.SCTP.DestinationPort
	}
	if in.DestinationNamedPort != "" {
		set++
	}
	switch {
	case set == 0:
		e.unknown(field)
	case set > 1:
		e.Reject(field, "only one of tcp, udp, sctp and destinationNamedPort can be set in an element; write one element for each")
	case in.DestinationNamedPort != "" && e.unnamed:
		e.Reject(field+".destinationNamedPort", "nodes, networks and domain names have no named ports; write a rule for them with numbers")
	case in.DestinationNamedPort != "":
		return append(out, policy.Port{Name: in.DestinationNamedPort})
	case port == nil || port.Number == 0 && port.Range == nil:
		e.unknown(field + name)
	default:
		return e.numbers(protocol, port, field+name+".destinationPort", out)
	}
	return out
}

func (e *element) numbers(protocol uint8, in *v1alpha2.Port, field string, out []policy.Port) []policy.Port {
	first, last := in.Number, in.Number
	if in.Range != nil {
		if in.Number != 0 {
			e.Reject(field, "only one of number and range can be set")
			return out
		}
		first, last = in.Range.Start, in.Range.End
	}
	if first < 1 || last > 0xffff || last < first || in.Range != nil && last == first {
		e.Reject(field, "%d to %d is no range of ports within 1 to 65535", first, last)
		return out
	}
	return append(out, policy.Port{Protocol: protocol, First: uint16(first), Last: uint16(last)})
}
