package check

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// reader passes on what the reader of rules rejects and notes, in its words, with advice where there is some.
func (c *checker) reader(o *object) {
	for _, problem := range o.row.Problems {
		field, message, _ := strings.Cut(problem, ": ")
		severity, check := Warning, "partial"
		if !o.row.Valid {
			severity, check = Error, "rejected"
		}
		if strings.HasPrefix(message, "an empty list restricts nothing") {
			check = "empty-list"
		}
		meant, fix := o.advice(field, message)
		c.add(o, severity, check, field, message, meant, fix)
	}
}

// advice is what to do about problems of the reader, known by their words (a regular expression): the first that matches.
// $1, $2, … are what the groups found, {last} is the last part of the field.
var advice = []struct{ message, meant, fix string }{
	{`^an empty list restricts nothing`, `deny all {last}, as {last}: [] does in a NetworkPolicy`, `{last}: [{}]`},
	{`^rule must have one of EndpointSelector`, `all pods of the namespace`, `endpointSelector: {}`},
	{`^rule cannot have NodeSelector`, `a policy of the whole cluster`, `kind: CiliumClusterwideNetworkPolicy, without a namespace`},
	{`^rule cannot have both`, ``, `write two rules: specs: [{endpointSelector: …}, {nodeSelector: …}]`},
	{`^combining (\w+) and (\w+) is not supported`, `peers of either kind`, `write two entries, one with each, with the same toPorts`},
	{`^the ICMPs block may only be present without ToPorts`, `these ports, and these ICMP types`, `write two entries, one with each, with the same peers`},
	{`^port must be specified`, `all ports`, `port: "0"`},
	{`^unable to parse port: .*parsing "(\d+)-(\d+)"`, `ports $1 to $2`, `port: "$1", endPort: $2`},
	{`^unable to parse port: .*parsing "(\d+),\s*(\d+)`, `ports $1 and $2`, `ports: [{port: "$1"}, {port: "$2"}], each with its protocol`},
	{`^unable to parse port: .*value out of range`, ``, `port: a number from 1 to 65535, or "0" for all`},
	{`^(\d+) is below port (\d+)`, `ports $1 to $2`, `port: "$1", endPort: $2`},
	{`^ports (\d+) to (\d+) are not a range`, ``, `port and endPort from 1 to 65535, the lower one first`},
	{`^L7 rules can only apply to TCP`, ``, `protocol: TCP`},
	{`is ignored: a \w+ is for its own namespace`, `a policy in that namespace`, `set metadata.namespace to it, or use a CiliumClusterwideNetworkPolicy`},
	{`^unable to parse CIDR.*ParsePrefix\("([^"/]+)"\): no '/'`, `the address $1 alone`, `$1/32 (IPv6: /128)`},
	{`does not contain exclude CIDR prefix`, `part of the prefix`, `name a prefix inside cidr, or leave it out: only what cidr contains is meant at all`},
	{`^protocol ICMP(V6)? `, `ping and its kin`, `icmps: [{fields: [{type: EchoRequest, family: IPv4}]}], in an entry without toPorts`},
	{`^must specify a peer`, `every pod of the namespace`, `podSelector: {}`},
	{`^ICMP type must be specified`, `ping`, `type: EchoRequest`},
}

var adviceMessages = sync.OnceValue(func() (out []*regexp.Regexp) {
	for _, a := range advice {
		out = append(out, regexp.MustCompile(a.message))
	}
	return out
})

func (o *object) advice(field, message string) (meant, fix string) {
	last := field[strings.LastIndexByte(field, '.')+1:]
	if strings.HasPrefix(message, "rule must have at least one of") {
		return o.nothingAt(field)
	}
	for i, a := range advice {
		expression := adviceMessages()[i]
		at := expression.FindStringSubmatchIndex(message)
		if at == nil {
			continue
		}
		expand := func(template string) string {
			return string(expression.ExpandString(nil, strings.ReplaceAll(template, "{last}", last), message, at))
		}
		return expand(a.meant), expand(a.fix)
	}
	return "", ""
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
			e.peers = struct{ a, b any }{in.EgressPeer, in.ToFQDNs}
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
	e.direction, e.prefix, e.endpoints, e.peers = "ingress", "from", p.FromEndpoints, p
	e.cidrs = cidrsAt(e.field+".from", p.FromCIDR, p.FromCIDRSet)
	for _, there := range []bool{p.FromEndpoints != nil, p.FromCIDR != nil, p.FromCIDRSet != nil, p.FromEntities != nil, p.FromGroups != nil, p.FromNodes != nil, p.FromRequires != nil} {
		e.members += map[bool]int{true: 1}[there]
	}
	return e
}

func (e entry) to(p v2.EgressPeer) entry {
	e.direction, e.prefix, e.endpoints, e.peers = "egress", "to", p.ToEndpoints, p
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
