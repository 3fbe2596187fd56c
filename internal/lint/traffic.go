package lint

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/lint/cover"
	"weftnet.io/weftnet/internal/lint/element"
	"weftnet.io/weftnet/internal/lint/schema"
	"weftnet.io/weftnet/internal/policy"
)

// closes notes what a policy closes by the way, ping and DNS, in one line of an object, and only where the files show that
// their author thinks of it: some policy here lets it pass.
func (c *checker) closes(o *object) {
	var what, fixes []string
	field := ""
	note := func(at, says, fix string) {
		if field == "" {
			field = at
		}
		what, fixes = append(what, says), append(fixes, fix)
	}
	if at := c.unresolved(o); at != "" {
		fix := "an element {toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: kube-system, k8s-app: kube-dns}}], toPorts: [{ports: [{port: \"53\", protocol: ANY}]}]}"
		if o.kubernetes != nil {
			fix = "an element {to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}"
		}
		note(at, "nothing here lets these pods ask DNS (port 53 of kube-dns), so names do not resolve", fix)
	}
	if c.thinksOfPing() {
		for _, direction := range []string{"ingress", "egress"} {
			if at, prefix := c.unpinged(o, direction); at != "" {
				note(at, "ping may not "+verb(direction), fmt.Sprintf("an element {%sEntities: [all], icmps: [{fields: [{type: EchoRequest, family: IPv4}, {type: EchoRequest, family: IPv6}]}]}", prefix))
			}
		}
	}
	if len(what) > 0 {
		c.add(o, Hint, "closes", field, strings.Join(what, "; "), "", "to let it: "+strings.Join(fixes, "; "))
	}
}

// thinksOfPing tells whether some policy here names ICMP.
func (c *checker) thinksOfPing() bool {
	return slices.ContainsFunc(c.objects, func(o *object) bool {
		return slices.ContainsFunc(o.rules, func(r element.Rule) bool {
			return slices.ContainsFunc(r.Elements(), func(e element.Element) bool { return !e.Deny && len(e.ICMPs) > 0 })
		})
	})
}

// unpinged gives a direction whose elements all name ports, so that what is left over is closed, and ping with it.
func (c *checker) unpinged(o *object, direction string) (field, prefix string) {
	for _, r := range o.rules {
		elements := slices.DeleteFunc(r.Elements(), func(e element.Element) bool { return e.Deny || e.Direction != direction })
		names := func(e element.Element) bool { return len(e.Ports) > 0 && len(e.ICMPs) == 0 }
		if len(elements) > 0 && !r.KeepsOpen(direction) && !slices.ContainsFunc(elements, func(e element.Element) bool { return !names(e) }) && !c.pings(o, direction) {
			return fmt.Sprintf("%s.%s", r.Field, direction), elements[0].Prefix
		}
	}
	return "", ""
}

// pings tells whether some policy lets ICMP through in a direction for all subjects of this one.
func (c *checker) pings(o *object, direction string) bool {
	return c.somewhere(o, direction, func(t policy.Term) bool {
		return slices.ContainsFunc(t.Ports, func(p policy.Port) bool { return p == policy.AnyPort || p.Protocol == policy.ICMP })
	})
}

// somewhere tells whether some policy has such a term that allows in a direction, for all subjects of an object's rules.
func (c *checker) somewhere(o *object, direction string, such func(policy.Term) bool) bool {
	for _, mine := range o.row.Rules {
		found := false
		for _, other := range c.objects {
			for _, r := range other.row.Rules {
				terms := r.Ingress
				if direction == "egress" {
					terms = r.Egress
				}
				found = found || r.Tier != policy.Baseline && cover.Implies(mine.Subject, r.Subject) && slices.ContainsFunc(terms, func(t policy.Term) bool {
					return t.Action == policy.ActionAccept && such(t)
				})
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// isDNS tells whether a port is one at which names are resolved.
func isDNS(p policy.Port) bool {
	return p.Protocol == policy.UDP && p.Name == "" && p.First <= 53 && 53 <= p.Last || strings.HasPrefix(p.Name, "dns")
}

// opensDNS tells whether a term lets DNS pass: at its port, or at any port of peers who may be its servers.
func opensDNS(t policy.Term) bool {
	if slices.ContainsFunc(t.Ports, isDNS) {
		return true
	}
	return slices.Contains(t.Ports, policy.AnyPort) && (t.AnyPeer || len(t.Blocks) > 0 || slices.ContainsFunc(t.Peers, func(s identity.Selector) bool {
		namespace, scoped := ownNamespace(s)
		return !scoped || namespace == metav1.NamespaceSystem
	}))
}

func writesDNS(r v2.PortRule) bool {
	return slices.ContainsFunc(r.Ports, func(p v2.PortProtocol) bool { return p.Port == "53" })
}

// unresolved gives the place of an object that closes egress, if nothing here opens port 53 for its pods, and something speaks
// for it: they connect to names, or another policy opens it for others.
func (c *checker) unresolved(o *object) string {
	isolated := slices.ContainsFunc(o.row.Rules, func(r policy.Rule) bool {
		return r.DefaultDenyEgress && slices.ContainsFunc(r.Egress, func(t policy.Term) bool { return t.Action == policy.ActionAccept })
	})
	field, named := "spec.egress", false
	for i := len(o.rules) - 1; i >= 0; i-- {
		for _, e := range o.rules[i].Egress {
			field = o.rules[i].Field + ".egress"
			named = named || len(e.ToFQDNs) > 0
			if slices.ContainsFunc(e.ToPorts, writesDNS) {
				return "" // if that is not enforced, it is said there
			}
		}
	}
	elsewhere := slices.ContainsFunc(c.objects, func(other *object) bool {
		return slices.ContainsFunc(other.row.Rules, func(r policy.Rule) bool {
			return slices.ContainsFunc(r.Egress, func(t policy.Term) bool {
				return t.Action == policy.ActionAccept && slices.ContainsFunc(t.Ports, isDNS)
			})
		})
	})
	if !(isolated && elsewhere || named) || c.somewhere(o, "egress", opensDNS) || slices.ContainsFunc(o.rules, func(r element.Rule) bool { return r.KeepsOpen("egress") }) {
		return ""
	}
	return field
}

var (
	octal = regexp.MustCompile(`^0[0-7]+$`)
	hexa  = regexp.MustCompile(`^0[xX][0-9a-fA-F]+$`)
)

// portNumbers notes ports that are read otherwise than they look, and names that no container port has.
func (c *checker) portNumbers(o *object) {
	for _, r := range o.rules {
		for _, e := range r.Elements() {
			for i, t := range e.Ports {
				for j, p := range t.Ports {
					c.portNumber(o, p, fmt.Sprintf("%s.toPorts[%d].ports[%d].port", e.Field, i, j))
				}
			}
		}
	}
}

func (c *checker) portNumber(o *object, p v2.PortProtocol, field string) {
	_, err := strconv.ParseUint(p.Port, 0, 16)
	switch {
	case octal.MatchString(p.Port) && err == nil:
		n, _ := strconv.ParseUint(p.Port, 0, 16)
		plain := strings.TrimLeft(p.Port, "0")
		c.add(o, Warning, "port", field, fmt.Sprintf("a leading 0 makes it octal: this is port %d", n), "port "+plain, fmt.Sprintf("port: %q", plain))
	case hexa.MatchString(p.Port):
		c.add(o, Warning, "port", field, fmt.Sprintf("%q has a letter, so it is the name of a container port and no number", p.Port), "", "write the number in decimal")
	case err != nil && len(c.ports) > 0 && !c.ports[strings.ToLower(p.Port)] && p.Port != "":
		c.add(o, Warning, "port", field, fmt.Sprintf("no container port here has the name %q, so it stands for no port", p.Port), schema.Closest(p.Port, keys(c.ports)), "")
	}
}

func keys(m map[string]bool) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// addresses notes CIDRs that match nothing, or less than they seem to, because pods and nodes are never chosen by address:
// not in the language of Cilium, that is. An ipBlock of a NetworkPolicy chooses every end that has such an address.
func (c *checker) addresses(o *object) {
	for _, r := range o.rules {
		for _, e := range r.Elements() {
			for _, cidr := range e.CIDRs {
				c.address(o, cidr, e.Prefix+"Endpoints: [{matchLabels: …}]", e.Prefix+"Entities")
			}
		}
	}
	if o.kubernetes == nil {
		return
	}
	block := func(p networkingv1.NetworkPolicyPeer, field string) {
		if p.IPBlock != nil {
			c.canonical(o, element.CIDR{Field: field + ".ipBlock", Text: p.IPBlock.CIDR, Except: p.IPBlock.Except})
		}
	}
	for i, in := range o.kubernetes.Spec.Ingress {
		for j, p := range in.From {
			block(p, fmt.Sprintf("spec.ingress[%d].from[%d]", i, j))
		}
	}
	for i, in := range o.kubernetes.Spec.Egress {
		for j, p := range in.To {
			block(p, fmt.Sprintf("spec.egress[%d].to[%d]", i, j))
		}
	}
}

// canonical notes what a CIDR really says. An ipBlock has no more to it: it is about pods and nodes, too.
func (c *checker) canonical(o *object, cidr element.CIDR) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(cidr.Text)
	if a, single := netip.ParseAddr(cidr.Text); single == nil {
		prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		return prefix, false // the reader says so
	}
	if prefix != prefix.Masked() {
		c.add(o, Hint, "cidr", cidr.Field, fmt.Sprintf("%s has bits behind its prefix: it means %s", cidr.Text, prefix.Masked()), "", fmt.Sprintf("%s, or %s/%d for the one address", prefix.Masked(), prefix.Addr(), prefix.Addr().BitLen()))
	}
	return prefix, true
}

func (c *checker) address(o *object, cidr element.CIDR, endpoints, entities string) {
	prefix, ok := c.canonical(o, cidr)
	if !ok {
		return
	}
	var holds, fixes []string
	for _, known := range []struct {
		prefixes []netip.Prefix
		who, fix string
	}{{c.PodCIDRs, "pods", endpoints}, {c.NodeCIDRs, "nodes", entities + ": [host, remote-node]"}} {
		held := 0
		for _, p := range known.prefixes {
			switch {
			case p.Bits() <= prefix.Bits() && p.Contains(prefix.Addr()):
				c.add(o, Warning, "cidr", cidr.Field, fmt.Sprintf("%s lies in %s, where %s live, and a CIDR never matches %s: it chooses no peer", cidr.Text, p, known.who, known.who), "these "+known.who, known.fix)
			case prefix.Bits() < p.Bits() && prefix.Contains(p.Addr()) && !excepted(cidr.Except, p):
				if held++; held == 1 {
					holds, fixes = append(holds, fmt.Sprintf("%s of %s", p, known.who)), append(fixes, known.fix)
				}
			}
		}
	}
	if len(holds) > 0 {
		c.add(o, Hint, "cidr", cidr.Field, fmt.Sprintf("%s holds addresses in the cluster (%s); they are not matched, as a CIDR is for what is outside", cidr.Text, strings.Join(holds, ", ")),
			"", "if they are meant, too: another element, "+strings.Join(fixes, "; "))
	}
}

func excepted(except []string, p netip.Prefix) bool {
	return slices.ContainsFunc(except, func(text string) bool {
		e, err := netip.ParsePrefix(text)
		return err == nil && e.Bits() <= p.Bits() && e.Contains(p.Addr())
	})
}

// requests notes rules for requests (L7) beside an element that opens the same port to the same peers for any request.
func (c *checker) requests(o *object) {
	for _, r := range o.rules {
		elements := r.Elements()
		for _, e := range elements {
			for i, t := range e.Ports {
				if t.Rules == nil || len(t.Rules.HTTP)+len(t.Rules.DNS)+len(t.Rules.Kafka)+len(t.Rules.L7) == 0 {
					continue
				}
				for _, by := range elements {
					if at := by.Opens(e, t.Ports); at != "" {
						c.add(o, Warning, "l7-beside-l4", fmt.Sprintf("%s.toPorts[%d].rules", e.Field, i),
							fmt.Sprintf("%s opens the same port to the same peers without rules, so every request passes", at),
							"only the requests that rules lists", "leave the other element out, or give it the same rules")
						break
					}
				}
			}
		}
	}
}
