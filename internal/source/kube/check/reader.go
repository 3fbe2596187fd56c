package check

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/source/kube/check/advice"
)

// kinds of gaps, as findings.
var gaps = map[gap.Reason]struct {
	severity Severity
	check    string
}{
	gap.Invalid: {Error, "rejected"}, gap.NotImplemented: {Warning, "partial"}, gap.NotEnabled: {Warning, "setting"},
	gap.NotFound: {Warning, "reference"}, gap.Ignored: {Warning, "ignored"},
	gap.Audited: {Hint, "mode"}, gap.Staged: {Hint, "mode"},
}

// reader passes on what keeps an object from being in force as it stands, with advice where there is some.
func (c *checker) reader(o *object) {
	for _, g := range slices.Concat(o.row.Problems, gap.Of(o.row.Rules, c.world)) {
		kind := gaps[g.Reason]
		if g.Reason == gap.NotEnabled && c.World == nil {
			kind.severity = Hint // it may be enabled
		}
		if strings.HasPrefix(g.Message, "an empty list restricts nothing") {
			kind.check = "empty-list"
		}
		meant, fix := o.advice(g)
		c.add(o, kind.severity, kind.check, g.Field, g.Message, meant, fix)
		c.findings[len(c.findings)-1].Reason = g.Reason
	}
}

// advice is what to do about a gap.
func (o *object) advice(g gap.Gap) (meant, fix string) {
	if strings.HasPrefix(g.Message, "rule must have at least one of") {
		return o.nothingAt(g.Field)
	}
	return advice.For(g)
}

// nothingAt is the advice for a rule without entries: most often an empty list that should deny all.
func (o *object) nothingAt(field string) (meant, fix string) {
	for _, r := range o.rules {
		if r.field != field {
			continue
		}
		var lists []string
		if r.Ingress != nil {
			lists = append(lists, "ingress")
		}
		if r.Egress != nil {
			lists = append(lists, "egress")
		}
		if len(lists) > 0 {
			return "deny all " + strings.Join(lists, " and "), strings.Join(lists, ": [{}], ") + ": [{}]"
		}
	}
	return "", "add ingress or egress; ingress: [{}] denies all that comes in"
}

// namespace notes an object that lands wherever kubectl happens to look.
func (c *checker) namespace(o *object) {
	if o.Namespace != "" || clusterScoped(o.Kind) {
		return
	}
	c.add(o, Hint, "namespace", "metadata", "it names no namespace: it goes where kubectl -n or the context says, and selects pods there; here it is read as one of "+metav1.NamespaceDefault,
		"", "metadata: {namespace: …}")
}

// entry is an element of ingress, ingressDeny, egress or egressDeny.
type entry struct {
	field     string // spec.ingress[0]
	direction string
	deny      bool
	prefix    string // from or to
	endpoints []v2.LabelSelector
	entities  []string
	cidrs     []cidrAt
	peers     any // all members that choose peers, for comparison
	members   int // how many of them are there, empty or not
	ports     []v2.PortRule
	icmps     []v2.ICMPRule
}

type cidrAt struct {
	field, text string
	except      []string
}

// entries lists those of one rule.
func (r ruleAt) entries() (out []entry) {
	for i, in := range r.Ingress {
		e := entry{field: fmt.Sprintf("%s.ingress[%d]", r.field, i), ports: in.ToPorts, icmps: in.ICMPs}
		out = append(out, e.from(in.IngressPeer))
	}
	for i, in := range r.IngressDeny {
		e := entry{field: fmt.Sprintf("%s.ingressDeny[%d]", r.field, i), deny: true, ports: denied(in.ToPorts), icmps: in.ICMPs}
		out = append(out, e.from(in.IngressPeer))
	}
	for i, in := range r.Egress {
		e := entry{field: fmt.Sprintf("%s.egress[%d]", r.field, i), ports: in.ToPorts, icmps: in.ICMPs}
		e = e.to(in.EgressPeer)
		if in.ToFQDNs != nil {
			e.members++
			e.peers = struct{ Peer, Names any }{in.EgressPeer, in.ToFQDNs}
		}
		out = append(out, e)
	}
	for i, in := range r.EgressDeny {
		e := entry{field: fmt.Sprintf("%s.egressDeny[%d]", r.field, i), deny: true, ports: denied(in.ToPorts), icmps: in.ICMPs}
		out = append(out, e.to(in.EgressPeer))
	}
	return out
}

func denied(ports []v2.PortDenyRule) (out []v2.PortRule) {
	for _, p := range ports {
		out = append(out, v2.PortRule{Ports: p.Ports})
	}
	return out
}

func (e entry) from(p v2.IngressPeer) entry {
	e.direction, e.prefix, e.endpoints, e.entities, e.peers = "ingress", "from", p.FromEndpoints, p.FromEntities, p
	e.cidrs = cidrsAt(e.field+".from", p.FromCIDR, p.FromCIDRSet)
	for _, there := range []bool{p.FromEndpoints != nil, p.FromCIDR != nil, p.FromCIDRSet != nil, p.FromEntities != nil, p.FromGroups != nil, p.FromNodes != nil, p.FromRequires != nil} {
		e.members += map[bool]int{true: 1}[there]
	}
	return e
}

func (e entry) to(p v2.EgressPeer) entry {
	e.direction, e.prefix, e.endpoints, e.entities, e.peers = "egress", "to", p.ToEndpoints, p.ToEntities, p
	e.cidrs = cidrsAt(e.field+".to", p.ToCIDR, p.ToCIDRSet)
	for _, there := range []bool{p.ToEndpoints != nil, p.ToCIDR != nil, p.ToCIDRSet != nil, p.ToEntities != nil, p.ToGroups != nil, p.ToNodes != nil, p.ToServices != nil, p.ToRequires != nil} {
		e.members += map[bool]int{true: 1}[there]
	}
	return e
}

func cidrsAt(field string, plain []string, set []v2.CIDRRule) (out []cidrAt) {
	for i, text := range plain {
		out = append(out, cidrAt{field: fmt.Sprintf("%sCIDR[%d]", field, i), text: text})
	}
	for i, r := range set {
		if r.CIDR != "" {
			out = append(out, cidrAt{fmt.Sprintf("%sCIDRSet[%d]", field, i), r.CIDR, r.Except})
		}
	}
	return out
}

// verb is what traffic of a direction does.
func verb(direction string) string {
	if direction == "ingress" {
		return "come in"
	}
	return "go out"
}
