package policy

import (
	"iter"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy/named"
	"weftnet.io/weftnet/internal/policy/span"
)

// Subject is the workload that a set of entries is for.
type Subject struct {
	Labels     identity.Labels
	NamedPorts NamedPorts
}

// Enforcement is the daemon-wide mode (setting enable-policy).
type Enforcement uint8

// Enforcement modes.
const (
	EnforceByRule Enforcement = iota // subjects are isolated by the rules that select them
	EnforceAlways                    // every subject is isolated in both directions
	EnforceNever                     // rules are without effect
)

func (e Enforcement) String() string {
	return name("enforcement", uint8(e), "default", "always", "never")
}

// Options are what the daemon's configuration has to say.
type Options struct {
	Enforcement  Enforcement
	HostByPolicy bool // traffic from this node to its workloads needs a rule too (setting allow-localhost: policy)
	CIDRNodes    bool // each block is about nodes, too (setting policy-cidr-match-mode)
	CIDRPods     bool // … about pods, too
	Extended     bool // policies may name protocols of Extended (setting enable-extended-ip-protocols)
	Audit        bool // nothing is denied, what would be has verdict Audit (settings policy-audit-mode)
}

// Compiled is the policy of one subject, ready to be asked about any peer. It does not change.
type Compiled struct {
	builders []*builder // of each view, tier and direction
	classes  classes
	names    named.Names
}

// Compile reads the rules that select a subject. Cost: those rules.
func Compile(rules []Rule, subject Subject, options Options) *Compiled {
	c := &Compiled{classes: divide(blocksOf(rules, subject, options), nil)}
	rounds := tiersOf(rules, subject, options)
	for _, view := range views(rules, subject, options) {
		seen := view.seeAll(rules, subject, options)
		for i, tier := range rounds {
			for _, direction := range [...]Direction{Ingress, Egress} {
				c.builders = append(c.builders, newBuilder(seen, subject, layer{view, tier, direction}, i < len(rounds)-1, options))
			}
		}
	}
	c.names.Asked = c.asked()
	return c
}

// Entries are all entries, of any peer, of the classes of Ranges, and of these peers. Cost: terms times identities, as
// identities that the same terms choose are worked out once.
func (c *Compiled) Entries(peers iter.Seq2[identity.Number, identity.Labels]) []Entry {
	var entries []Entry
	for _, b := range c.builders {
		entries = b.anyPeer.settle(cells{}).entries(b.layer, 0, entries)
		for class, blocks := range c.classes.members {
			entries = b.class(blocks, c.names.Kinds).settle(b.anyPeer).entries(b.layer, class, entries)
		}
		entries = b.entries(peers, c.names.Ports, entries)
	}
	slices.SortFunc(entries, Entry.Compare)
	return entries
}

// Named is the policy that knows the named ports of peers, for egress. Without it they have none.
func (c *Compiled) Named(peers iter.Seq2[identity.Number, identity.Labels], of Holders) *Compiled {
	if len(c.names.Asked) == 0 {
		return c
	}
	out := *c
	out.names = named.Of(c.names.Asked, func(yield func(identity.Number, identity.Labels) bool) {
		for number, labels := range peers {
			if c.asks(labels) && !yield(number, labels) {
				return
			}
		}
	}, of)
	out.classes = divide(c.classes.blocks, out.names.Members)
	return &out
}

// asks tells whether egress asks a peer with these labels for a port by name.
func (c *Compiled) asks(labels identity.Labels) bool {
	return slices.ContainsFunc(c.builders, func(b *builder) bool {
		if !b.named {
			return false
		}
		chosen := b.choose(labels, nil)
		return slices.ContainsFunc(b.terms, func(t boundTerm) bool { return len(t.names) > 0 && t.chooses(chosen) })
	})
}

// Differ tells whether workloads of an identity mean different ports by a name, or did: when one of them changes, all of the
// policy is to be computed again, and not the entries of the identity alone.
func (c *Compiled) Differ(number identity.Number, labels identity.Labels, of Holders) bool {
	return c.names.Differed(number) || c.asks(labels) && c.names.Differ(of(number))
}

// asked are the names of ports that the subject's egress asks for.
func (c *Compiled) asked() (names []Port) {
	for _, b := range c.builders {
		for _, t := range b.terms {
			for _, p := range t.names {
				if !slices.Contains(names, p) {
					names = append(names, p)
				}
			}
		}
	}
	return names
}

// Of are the entries of these peers alone, whose workloads may have changed. None of them may Differ.
func (c *Compiled) Of(peers iter.Seq2[identity.Number, identity.Labels], of Holders) (entries []Entry) {
	n := named.Of(c.names.Asked, peers, of)
	for _, b := range c.builders {
		entries = b.entries(peers, n.Ports, entries)
	}
	slices.SortFunc(entries, Entry.Compare)
	return entries
}

// tiersOf lists the tiers that a subject's rules are in, and Normal, in the order in which they are asked.
func tiersOf(rules []Rule, subject Subject, options Options) (out []Tier) {
	for _, tier := range tiers {
		if tier == Normal || options.Enforcement != EnforceNever && slices.ContainsFunc(rules, func(r Rule) bool {
			return r.Tier == tier && r.Subject.Matches(subject.Labels)
		}) {
			out = append(out, tier)
		}
	}
	return out
}

// isolation tells whether what no rule allows is denied, and the rules, of those that select the subject, that make it so.
func isolation(rules []Rule, subject identity.Labels, l layer, options Options) (bool, []Origin) {
	if l.tier != Normal {
		return false, nil
	}
	_, initial := subject.Value(identity.SourceReserved + ":" + identity.Init.Name())
	isolated := (initial || options.Enforcement == EnforceAlways) && (l.view == AsMeant || !options.Audit)
	var by []Origin
	for _, r := range rules {
		if l.direction == Ingress && r.DefaultDenyIngress || l.direction == Egress && r.DefaultDenyEgress {
			isolated = true
			by = append(by, r.Origin)
		}
	}
	return isolated, unite(by)
}

// fromHost lets this node reach its own workloads whatever their rules allow: kubelet's probes. In tier Normal that is
// for isolated subjects, and a rule may deny it; the other tiers do not see such packets at all.
func fromHost(subject identity.Labels, l layer, isolated bool, options Options) (Term, bool) {
	_, isHost := subject.Value(identity.SourceReserved + ":" + identity.Host.Name())
	if l.direction != Ingress || isHost || options.HostByPolicy || l.tier == Normal && !isolated {
		return Term{}, false
	}
	t := Term{
		Peers: []identity.Selector{identity.NewSelector(identity.Requirement{Key: identity.SourceReserved + ":" + identity.Host.Name(), Operator: identity.Exists})},
		Ports: []Port{AnyPort},
	}
	switch l.tier {
	case Admin:
		t.Action, t.Rank = ActionPass, MaxRank
	case Baseline:
		t.Rank = MaxRank
	}
	return t, true
}

// builder makes the entries of one subject and layer.
type builder struct {
	layer     layer
	terms     []boundTerm
	selectors []identity.Selector // distinct ones of all terms
	known     map[string]int      // text of a selector -> its place in selectors
	options   Options
	more      bool // tiers follow
	named     bool // some term has a port whose number depends on the peer
	anyPeer   cells
}

// boundTerm is a term with what is known of it before a peer is.
type boundTerm struct {
	cell      cell
	anyPeer   bool
	selectors []int
	blocks    []string // keys
	prefixes  []span.Prefix
	names     []Port // ports whose number depends on the peer
}

// newBuilder takes the rules that select the subject. If more tiers follow, what this one says nothing of is theirs.
func newBuilder(rules []Rule, subject Subject, l layer, more bool, options Options) *builder {
	b := &builder{layer: l, more: more, options: options, known: map[string]int{}, anyPeer: cells{}}
	base := cell{precedence: PrecedenceDefault, verdict: Allow}
	if more {
		base.verdict = Pass
	}
	if options.Enforcement != EnforceNever {
		isolated, by := isolation(rules, subject.Labels, l, options)
		if isolated {
			base = cell{precedence: PrecedenceDefault, verdict: DenyImplicit, rules: by}
		}
		for _, r := range rules {
			if r.Tier == l.tier {
				b.bindRule(r, subject)
			}
		}
		if t, applies := fromHost(subject.Labels, l, isolated, options); applies {
			b.bind(t, nil, subject)
		}
	}
	b.anyPeer.add(span.Prefix{}, base)
	for _, t := range b.terms {
		if t.anyPeer {
			b.anyPeer.addAll(t.prefixes, t.cell)
		}
	}
	return b
}

func (b *builder) bindRule(r Rule, subject Subject) {
	for _, t := range r.In(b.layer.direction) {
		origin := r.Origin
		origin.Path = t.Path
		b.bind(t, []Origin{origin}, subject)
	}
}

func (b *builder) bind(t Term, rules []Origin, subject Subject) {
	bound := boundTerm{cell: cell{t.precedence(), t.Action.verdict(), rules}, anyPeer: t.AnyPeer}
	if t.Action == ActionPass && !b.more {
		bound.cell.verdict, bound.cell.rules = Allow, nil // no tier is left that could deny
	}
	for _, p := range t.Ports {
		if p.Name != "" && b.layer.direction == Egress {
			bound.names = append(bound.names, p)
			b.named = true
			continue
		}
		for _, resolved := range p.Resolve(subject.NamedPorts, nil) {
			bound.prefixes = resolved.Prefixes(bound.prefixes)
		}
	}
	if !t.AnyPeer {
		for _, s := range t.Peers {
			s = s.For(subject.Labels)
			at, ok := b.known[s.String()]
			if !ok {
				at = len(b.selectors)
				b.known[s.String()] = at
				b.selectors = append(b.selectors, s)
			}
			bound.selectors = append(bound.selectors, at)
		}
		for _, block := range t.Blocks {
			bound.blocks = append(bound.blocks, block.under(b.options).String())
		}
	}
	b.terms = append(b.terms, bound)
}

// entries appends those of peers, whose named ports these are.
func (b *builder) entries(peers iter.Seq2[identity.Number, identity.Labels], ports map[identity.Number]NamedPorts, entries []Entry) []Entry {
	if len(b.selectors) == 0 && !b.named {
		return entries
	}
	groups := map[string]cells{} // by which selectors a peer matches and its named ports
	chosen := make([]byte, len(b.selectors))
	for number, labels := range peers {
		chosen = b.choose(labels, chosen)
		group := string(chosen)
		if b.named {
			group += ports[number].String()
		}
		own, ok := groups[group]
		if !ok {
			own = b.peer(chosen, ports[number]).settle(b.anyPeer)
			groups[group] = own
		}
		entries = own.entries(b.layer, number, entries)
	}
	return entries
}

// choose marks the selectors that choose a peer with these labels.
func (b *builder) choose(labels identity.Labels, chosen []byte) []byte {
	chosen = chosen[:0]
	for _, s := range b.selectors {
		one := byte(0)
		if s.Matches(labels) {
			one = 1
		}
		chosen = append(chosen, one)
	}
	return chosen
}

// chooses tells whether a term is for a peer that these selectors choose.
func (t boundTerm) chooses(chosen []byte) bool {
	return t.anyPeer || slices.ContainsFunc(t.selectors, func(i int) bool { return chosen[i] == 1 })
}

// class collects what terms say of the addresses that these blocks choose, and no others, or at which such workloads are.
func (b *builder) class(keys map[string]bool, kinds map[string]named.Kind) cells {
	own := cells{}
	for _, t := range b.terms {
		if slices.ContainsFunc(t.blocks, func(key string) bool { return keys[key] }) {
			own.addAll(t.prefixes, t.cell)
		}
	}
	for key := range keys {
		if k, ok := kinds[key]; ok {
			chosen := b.choose(k.Labels, nil)
			for _, t := range b.terms {
				if t.chooses(chosen) {
					t.addNamed(k.Ports, own)
				}
			}
		}
	}
	return own
}

// peer collects what terms say of a peer that these selectors choose and that has these named ports, other than what
// they say of everybody.
func (b *builder) peer(chosen []byte, ports NamedPorts) cells {
	own := cells{}
	for _, t := range b.terms {
		if !t.chooses(chosen) {
			continue
		}
		if !t.anyPeer {
			own.addAll(t.prefixes, t.cell)
		}
		t.addNamed(ports, own)
	}
	return own
}

// addNamed adds the ports that the names of a term stand for.
func (t boundTerm) addNamed(ports NamedPorts, own cells) {
	for _, p := range t.names {
		for _, resolved := range p.Resolve(ports, nil) {
			own.addAll(resolved.Prefixes(nil), t.cell)
		}
	}
}
