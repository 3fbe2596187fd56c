package policy

import (
	"iter"
	"slices"

	"weftnet.io/weftnet/internal/identity"
)

// Subject is whom a set of entries is for.
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
}

// Entries computes the policy of one subject against these peers. peerPorts gives the named ports of the workloads of
// an identity, for egress; nil: none have any. The classes of Ranges are peers, too. Cost: rules that select the subject times identities, as identities that
// the same terms choose are worked out once.
func Entries(
	rules []Rule, subject Subject, peers iter.Seq2[identity.Number, identity.Labels],
	peerPorts func(identity.Number) NamedPorts, options Options,
) []Entry {
	var entries []Entry
	c := classesOf(rules, subject, options)
	for _, direction := range [...]Direction{Ingress, Egress} {
		b := newBuilder(rules, subject, direction, options)
		entries = append(entries, b.entries(peers, peerPorts)...)
		for class, blocks := range c.members {
			entries = b.class(blocks).settle(b.anyPeer).entries(direction, class, entries)
		}
	}
	slices.SortFunc(entries, Entry.Compare)
	return entries
}

// isolation tells whether what no rule allows is denied, and the rules that make it so.
func isolation(rules []Rule, subject identity.Labels, direction Direction, options Options) (bool, []Origin) {
	_, initial := subject.Value(identity.SourceReserved + ":" + identity.Init.Name())
	isolated := initial || options.Enforcement == EnforceAlways
	var by []Origin
	for _, r := range rules {
		if r.Subject.Matches(subject) && (direction == Ingress && r.DefaultDenyIngress || direction == Egress && r.DefaultDenyEgress) {
			isolated = true
			by = append(by, r.Origin)
		}
	}
	return isolated, unite(by)
}

// fromHost lets this node reach its own workloads whatever their rules allow: kubelet's probes.
var fromHost = Term{
	Peers: []Selector{NewSelector(Requirement{Key: identity.SourceReserved + ":" + identity.Host.Name(), Operator: Exists})},
	Ports: []Port{AnyPort},
}

// hostPasses tells whether fromHost applies to an isolated subject.
func hostPasses(subject identity.Labels, direction Direction, options Options) bool {
	_, isHost := subject.Value(identity.SourceReserved + ":" + identity.Host.Name())
	return direction == Ingress && !isHost && !options.HostByPolicy
}

// builder makes the entries of one subject and direction.
type builder struct {
	direction Direction
	terms     []boundTerm
	selectors []Selector     // distinct ones of all terms
	known     map[string]int // text of a selector -> its place in selectors
	options   Options
	named     bool // some term has a port whose number depends on the peer
	anyPeer   cells
}

// boundTerm is a term with what is known of it before a peer is.
type boundTerm struct {
	cell      cell
	anyPeer   bool
	selectors []int
	blocks    []string // keys
	prefixes  []prefix
	names     []Port // ports whose number depends on the peer
}

func newBuilder(rules []Rule, subject Subject, direction Direction, options Options) *builder {
	b := &builder{direction: direction, options: options, known: map[string]int{}, anyPeer: cells{}}
	base := cell{precedence: PrecedenceDefault, verdict: Allow}
	if options.Enforcement != EnforceNever {
		isolated, by := isolation(rules, subject.Labels, direction, options)
		if isolated {
			base = cell{precedence: PrecedenceDefault, verdict: DenyImplicit, rules: by}
		}
		for _, r := range rules {
			if r.Subject.Matches(subject.Labels) {
				b.bindRule(r, subject)
			}
		}
		if isolated && hostPasses(subject.Labels, direction, options) {
			b.bind(fromHost, cell{precedence: PrecedenceAllow, verdict: Allow}, subject)
		}
	}
	b.anyPeer.add(prefix{}, base)
	for _, t := range b.terms {
		if t.anyPeer {
			b.anyPeer.addAll(t.prefixes, t.cell)
		}
	}
	return b
}

func (b *builder) bindRule(r Rule, subject Subject) {
	allow, deny := r.Ingress, r.IngressDeny
	if b.direction == Egress {
		allow, deny = r.Egress, r.EgressDeny
	}
	at := func(t Term) []Origin {
		origin := r.Origin
		origin.Path = t.Path
		return []Origin{origin}
	}
	for _, t := range allow {
		b.bind(t, cell{precedence: PrecedenceAllow, verdict: Allow, rules: at(t)}, subject)
	}
	for _, t := range deny {
		b.bind(t, cell{precedence: PrecedenceDeny, verdict: Deny, rules: at(t)}, subject)
	}
}

func (b *builder) bind(t Term, c cell, subject Subject) {
	bound := boundTerm{cell: c, anyPeer: t.AnyPeer}
	for _, p := range t.Ports {
		if p.Name != "" && b.direction == Egress {
			bound.names = append(bound.names, p)
			b.named = true
			continue
		}
		for _, resolved := range p.resolve(subject.NamedPorts, nil) {
			bound.prefixes = resolved.prefixes(bound.prefixes)
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

func (b *builder) entries(peers iter.Seq2[identity.Number, identity.Labels], peerPorts func(identity.Number) NamedPorts) []Entry {
	entries := b.anyPeer.settle(cells{}).entries(b.direction, 0, nil)
	if len(b.selectors) == 0 && !b.named {
		return entries
	}
	groups := map[string]cells{} // by which selectors a peer matches and its named ports
	chosen := make([]byte, len(b.selectors))
	for number, labels := range peers {
		for i, s := range b.selectors {
			chosen[i] = 0
			if s.Matches(labels) {
				chosen[i] = 1
			}
		}
		group := string(chosen)
		var named NamedPorts
		if b.named && peerPorts != nil {
			named = peerPorts(number)
			group += named.String()
		}
		own, ok := groups[group]
		if !ok {
			own = b.peer(chosen, named).settle(b.anyPeer)
			groups[group] = own
		}
		entries = own.entries(b.direction, number, entries)
	}
	return entries
}

// class collects what terms say of the addresses that these blocks choose, and no others.
func (b *builder) class(blocks map[string]bool) cells {
	own := cells{}
	for _, t := range b.terms {
		if slices.ContainsFunc(t.blocks, func(key string) bool { return blocks[key] }) {
			own.addAll(t.prefixes, t.cell)
		}
	}
	return own
}

// peer collects what terms say of a peer that these selectors choose and that has these named ports, other than what
// they say of everybody.
func (b *builder) peer(chosen []byte, named NamedPorts) cells {
	own := cells{}
	for _, t := range b.terms {
		if !t.anyPeer && !slices.ContainsFunc(t.selectors, func(i int) bool { return chosen[i] == 1 }) {
			continue
		}
		if !t.anyPeer {
			own.addAll(t.prefixes, t.cell)
		}
		for _, p := range t.names {
			for _, resolved := range p.resolve(named, nil) {
				own.addAll(resolved.prefixes(nil), t.cell)
			}
		}
	}
	return own
}
