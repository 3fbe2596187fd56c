package explain

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/further"
	"weftnet.io/weftnet/internal/explain/notation"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Effective says what a workload may talk with in a network (see Explain), in both directions.
func Effective(r state.Reader, t *table.Tables, in, of string) (agentv1.Effective, error) {
	network, err := further.Named(r, t, in)
	if err != nil {
		return agentv1.Effective{}, err
	}
	q := ask(r, t, network)
	ends, err := q.find(of, port{})
	if err != nil {
		return agentv1.Effective{}, err
	}
	e := ends[0]
	e = q.hostOf(e, end{})
	if err := q.which(e); err != nil {
		return agentv1.Effective{}, err
	}
	governed, reason := q.governs(e)
	if !governed {
		return agentv1.Effective{}, fmt.Errorf("%s: %s", e.name, reason)
	}
	rules, subject, options := q.rulesOn(e.node), q.subject(e), q.optionsFor(e)
	compiled := policy.Compile(rules, subject, options).Named(policyinput.Peers(r, t), policyinput.Holders(r, t))
	entries := compiled.Entries(policyinput.Peers(r, t))
	q.ranges = compiled.Ranges()
	e.governed = governed
	e.labels = subject.Labels
	out := agentv1.Effective{Of: e.party(), Audited: options.Audit}
	for _, r := range rules {
		into := map[policy.Mode]*[]string{policy.Audited: &out.Audits, policy.Staged: &out.Staged}[r.Mode]
		if name := r.Origin.String(); into != nil && r.Subject.Matches(subject.Labels) && !slices.Contains(*into, name) {
			*into = append(*into, name)
		}
	}
	for _, side := range []struct {
		direction policy.Direction
		into      *agentv1.EffectiveSide
	}{{policy.Ingress, &out.Ingress}, {policy.Egress, &out.Egress}} {
		own := slices.DeleteFunc(slices.Clone(entries), func(e policy.Entry) bool {
			return e.View != policy.InForce || e.Direction != side.direction
		})
		*side.into = q.effective(flatten(own))
		if side.into.Isolated || slices.ContainsFunc(side.into.Peers, func(p agentv1.EffectivePeer) bool { return p.Verdict != policy.Allow.String() }) {
			side.into.Peers = append(side.into.Peers, q.exemptions(e)...)
		}
	}
	return out, nil
}

// effective groups entries: first by peer, verdict and rules, which gives ports; then peers that have the same.
func (q question) effective(entries []policy.Entry) (side agentv1.EffectiveSide) {
	type key struct {
		peer    identity.Number
		verdict policy.Verdict
		rules   string
	}
	spans, rules := map[key][]notation.Span{}, map[string][]string{}
	for _, e := range entries {
		if e.Peer == 0 && e.Protocol == 0 {
			side.Isolated = e.Verdict == policy.DenyImplicit
			if side.Isolated {
				side.By = texts(e.Rules)
				continue
			}
			if len(e.Rules) == 0 {
				continue
			}
		}
		k := key{e.Peer, e.Verdict, strings.Join(texts(e.Rules), "\n")}
		rules[k.rules] = texts(e.Rules)
		s := notation.Span{Protocol: e.Protocol, First: e.Port, Last: e.Port | uint16(0xffff>>e.PortBits)}
		spans[k] = append(spans[k], s)
	}
	type group struct{ verdict, ports, rules string }
	groups := map[group][]identity.Number{}
	for k, s := range spans {
		g := group{verdictText(k.verdict), strings.Join(notation.Merge(s), "\n"), k.rules}
		groups[g] = append(groups[g], k.peer)
	}
	side.Peers = []agentv1.EffectivePeer{}
	for g, numbers := range groups {
		p := agentv1.EffectivePeer{Verdict: g.verdict, Names: q.names(numbers), Ports: strings.Split(g.ports, "\n"), Rules: rules[g.rules]}
		if len(p.Rules) == 0 {
			p.Reason = "the node itself reaches its own workloads (allow-localhost)"
		}
		side.Peers = append(side.Peers, p)
	}
	slices.SortFunc(side.Peers, func(a, b agentv1.EffectivePeer) int {
		return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), slices.Compare(a.Names, b.Names), slices.Compare(a.Ports, b.Ports), slices.Compare(a.Rules, b.Rules))
	})
	return side
}

// verdictText is allow or deny: why it is denied, the rules say.
func verdictText(v policy.Verdict) string {
	if v == policy.Allow {
		return "allow"
	}
	return "deny"
}

// names are those of the workloads of identities, of reserved ones their names.
func (q question) names(numbers []identity.Number) []string {
	found := map[string]bool{}
	for _, n := range numbers {
		if n == 0 {
			found["anyone"] = true
			continue
		}
		if n.Name() != "" {
			found[n.Name()] = true
			continue
		}
		if q.namesOfClass(n, found) {
			continue
		}
		key := state.Join(uint32(n))
		before := len(found)
		for e := range q.t.Endpoints.By(q.r, table.ByIdentity, key) {
			found[q.ofEndpoint(e).name] = true
		}
		for w := range q.t.Workloads.By(q.r, table.ByIdentity, key) {
			found[q.ofWorkload(w).name] = true
		}
		if len(found) == before {
			i, _ := q.t.Identities.One(q.r, key)
			found[cmp.Or(i.Labels.String(), fmt.Sprint("identity ", n))] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// namesOfClass are the prefixes of a class of addresses, and which of their places are meant if not what is outside.
func (q question) namesOfClass(n identity.Number, found map[string]bool) (is bool) {
	for _, r := range q.ranges {
		if r.Class != n {
			continue
		}
		is = true
		if who := q.podAt(r); who != "" {
			found[who] = true
			continue
		}
		name := r.Prefix.String() + q.exceptions(r)
		if r.Place != policy.Outside {
			name = fmt.Sprintf("%s (%ss)", name, r.Place)
		}
		found[name] = true
	}
	return is
}

// podAt is the workload that a range is the address of: it has a class of its own where others of its identity mean another
// port by a name. Empty: there is none.
func (q question) podAt(r policy.Range) string {
	if r.Place != policy.Pod || !r.Prefix.IsSingleIP() {
		return ""
	}
	if who := q.who(r.Prefix.Addr()); who.governed {
		return who.name
	}
	for e := range q.t.Endpoints.All(q.r) {
		if slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool { return a.WithZone("") == r.Prefix.Addr() }) {
			return q.ofEndpoint(e).name
		}
	}
	return ""
}

// exceptions are the longer ranges that are in another class, of those the widest.
func (q question) exceptions(r policy.Range) string {
	var list []netip.Prefix
	for _, s := range q.ranges { // sorted: a wider one comes before those in it
		inside := func(p netip.Prefix) bool { return p.Bits() < s.Prefix.Bits() && p.Contains(s.Prefix.Addr()) }
		if s.Place == r.Place && s.Class != r.Class && inside(r.Prefix) && !slices.ContainsFunc(list, inside) {
			list = append(list, s.Prefix)
		}
	}
	text := ""
	for i, p := range list {
		text += [...]string{" except ", " "}[min(i, 1)] + p.String()
	}
	return text
}
