package explain

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/further"
	"weftnet.io/weftnet/internal/explain/notation"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// question is what answers are read from.
type question struct {
	r       state.Reader
	t       *table.Tables
	rules   []policy.Rule // as written: what their references stand for depends on the node, see rulesOn
	options policy.Options
	config  settings.Config
	ranges  []policy.Range // of the subject, for names of its classes

	network  further.Network          // that the connection is in
	resolved map[string][]policy.Rule // what rulesOn has worked out, by node
}

func ask(r state.Reader, t *table.Tables, in further.Network) question {
	q := question{r: r, t: t, rules: in.Rules(), network: in, resolved: map[string][]policy.Rule{}}
	q.options, q.config = policyinput.Options(r, t)
	return q
}

// Answers answers many questions from one state of the tables, one after the other.
type Answers struct{ q question }

// New prepares answers.
func New(r state.Reader, t *table.Tables) Answers {
	pods, _ := further.Named(r, t, "") // that of pods is always there
	return Answers{ask(r, t, pods)}
}

// Known is an end of a connection that is in a recorded flow.
type Known struct {
	Name    string // namespace/name of a workload, or what to call it
	Number  identity.Number
	Labels  identity.Labels
	Address netip.Addr
	Node    string // if it is a node, and known which
}

// Connection says what policies make of a connection between such ends. Its port is that of the end that serves; of ICMP it
// is type<<8. Named ports of an end are those that the tables have for its name.
func (a Answers) Connection(from, to Known, protocol uint8, number uint16) agentv1.Explanation {
	ends := [2]end{}
	for i, k := range [...]Known{from, to} {
		_, governed := k.Labels.Value(identity.SourceK8s + ":" + identity.LabelNamespace)
		isNode := k.Number == identity.Host || k.Number == identity.RemoteNode
		ends[i] = end{name: k.Name, address: k.Address, number: k.Number, labels: k.Labels, governed: governed, node: k.Node, isNode: isNode}
		if namespace, name, ok := strings.Cut(k.Name, "/"); ok {
			if e, known := a.q.pod(namespace, name); known {
				ends[i].ports, ends[i].node, ends[i].labels = e.ports, e.node, asked(k.Labels, e.labels)
			}
		}
	}
	return a.q.explain(ends[0], ends[1], port{Protocol: protocol, Number: number})
}

// asked gives labels of a pod that were seen those that identities have only where a policy asks for them: as the tables
// have them, whose policies may ask for more or less than those of that time.
func asked(seen, now identity.Labels) identity.Labels {
	labels := seen.Map()
	for key, value := range now.All() {
		if source, name, _ := strings.Cut(key, ":"); !(identity.Filter{}).Keeps(source, name) {
			labels[key] = value
		}
	}
	return identity.NewLabels(labels)
}

// NodeAt is the name of the node that has an address; empty: none that is known has.
func (a Answers) NodeAt(address netip.Addr) string { return a.q.nodeAt(address) }

// Explain says what policies make of a connection from one end to another, which has a port. To a service it has an answer
// for each kind of backend. In is the network, by the name of a definition or a wire; empty: that of pods.
func Explain(r state.Reader, t *table.Tables, in, from, to string) ([]agentv1.Explanation, error) {
	network, err := further.Named(r, t, in)
	if err != nil {
		return nil, err
	}
	q := ask(r, t, network)
	fromName, _ := notation.Cut(from)
	sources, err := q.find(fromName, port{})
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	toName, asked := notation.Cut(to)
	if asked == "" {
		return nil, notation.NoPort(to)
	}
	p, err := notation.Parse(asked)
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	targets, err := q.find(toName, p)
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	if targets[0].isNode && targets[0].backend == nil {
		node := q.hostOf(targets[0], sources[0])
		if targets, err = q.behind(q.hostOf(sources[0], node), node, p); err != nil {
			return nil, err
		}
	}
	if targets[0].backend != nil {
		if targets, err = q.entered(sources[0], toName, p, targets); err != nil {
			return nil, err
		}
		if targets, err = serving(targets, q.hostOf(sources[0], end{}), toName); err != nil {
			return nil, err
		}
	}
	var out []agentv1.Explanation
	for _, target := range targets {
		x, err := q.one(sources[0], target, p)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// one is the answer about one target.
func (q question) one(source, target end, p port) (x agentv1.Explanation, err error) {
	if target.backend != nil {
		p = *target.backend
	}
	if isOther(source.address, target.address) {
		return x, fmt.Errorf("to: %s is of another family than %s: no packet goes from one to the other", target.address, source.address)
	}
	if p, err = portOf(p, source, target); err != nil {
		return x, err
	}
	source, target = q.hostOf(source, target), q.hostOf(target, source)
	if err := errors.Join(q.which(source), q.which(target)); err != nil {
		return x, err
	}
	if target.nodePort != nil {
		return q.enter(source, target, p), nil
	}
	x = q.explain(source, target, p)
	x.Notes = append(append(x.Notes, q.unknown(target)...), q.elsewhere(source, target, p, x)...)
	return x, nil
}

func (q question) explain(from, to end, p port) agentv1.Explanation {
	from, to = meet(from.seen(to), to.seen(from), p)
	from.governed, _ = q.governs(from)
	to.governed, _ = q.governs(to)
	x := agentv1.Explanation{From: from.party(), To: to.party(), Port: p.String()}
	x.Egress = q.side(from, to, policy.Packet{Direction: policy.Egress, Protocol: p.Protocol, Port: p.Number})
	x.Ingress = q.side(to, from, policy.Packet{Direction: policy.Ingress, Protocol: p.Protocol, Port: p.Number})
	x.Allowed = passes(x.Egress) && passes(x.Ingress)
	if from.name == to.name && from.isSeveral() {
		x.Notes = append(x.Notes, "this is about two pods of it; what a pod says to itself always passes")
	}
	return x
}

func passes(s agentv1.PolicySide) bool {
	return s.Verdict == policy.Allow.String() || s.Verdict == policy.Audit.String()
}

// side is the verdict of the policies of one end.
func (q question) side(subject, peer end, packet policy.Packet) (s agentv1.PolicySide) {
	governed, reason := q.governs(subject)
	switch {
	case governed && subject.isItself(peer):
		reason = "a workload always reaches itself"
	case governed:
		reason = q.exempt(subject, peer, packet)
	}
	if reason != "" {
		return agentv1.PolicySide{Verdict: policy.Allow.String(), Reason: reason}
	}
	asked := inquiry{q.rulesOn(subject.node), q.subject(subject), peer.peer(), packet, q.optionsFor(subject)}
	verdict, rules := policy.Judge(asked.rules, asked.subject, asked.peer, packet, asked.options)
	s.Verdict, s.Rules, s.Staged = verdict.String(), texts(rules), asked.staged()
	s.Passed = texts(policy.Passed(asked.rules, asked.subject, asked.peer, packet, asked.options))
	switch {
	case len(rules) > 0:
	case asked.options.Enforcement == policy.EnforceNever:
		s.Reason = "policies are without effect (policy-enforcement-mode: never)"
	case verdict == policy.DenyImplicit && asked.options.Enforcement == policy.EnforceAlways:
		s.Reason = "what no rule allows is denied (policy-enforcement-mode: always)"
	case verdict == policy.DenyImplicit:
		s.Reason = "what no rule allows is denied while its labels are not known"
	case asked.isolated():
		s.Reason = "the node itself may always reach its own workloads (allow-localhost)"
	default:
		s.Reason = fmt.Sprintf("no policy isolates it in %s", packet.Direction)
	}
	if verdict == policy.DenyImplicit {
		s.Near = append(asked.near(peer.name), dhcp(subject, packet)...)
	}
	return s
}

// rulesOn are the rules with what their references stand for on a node: of its own addresses it is the host.
func (q question) rulesOn(node string) []policy.Rule {
	rules, known := q.resolved[node]
	if !known {
		rules = policyinput.ResolveOn(node, q.r, q.t, q.rules, q.config)
		q.resolved[node] = rules
	}
	return rules
}

// inquiry is what is asked of the engine.
type inquiry struct {
	rules   []policy.Rule
	subject policy.Subject
	peer    policy.Peer
	packet  policy.Packet
	options policy.Options
}

// isolated tells whether what no rule names would be denied: a packet of a protocol that no rule can name.
func (i inquiry) isolated() bool {
	verdict, _ := policy.Judge(i.rules, i.subject, policy.Peer{}, policy.Packet{Direction: i.packet.Direction, Protocol: 255}, i.options)
	return verdict == policy.DenyImplicit
}

// staged is what staged policies would make of the packet; nil: none of them selects the subject.
func (i inquiry) staged() *agentv1.Staged {
	if !slices.ContainsFunc(i.rules, func(r policy.Rule) bool { return r.Mode == policy.Staged && r.Subject.Matches(i.subject.Labels) }) {
		return nil
	}
	verdict, rules := policy.Foresee(i.rules, i.subject, i.peer, i.packet, i.options)
	return &agentv1.Staged{Verdict: verdict.String(), Rules: texts(rules)}
}

// allows tells whether a term alone would allow the packet to the subject of its rule.
func (i inquiry) allows(r policy.Rule, t policy.Term) bool {
	alone := policy.Rule{Origin: r.Origin, Subject: r.Subject, Ingress: []policy.Term{t}}
	if i.packet.Direction == policy.Egress {
		alone.Ingress, alone.Egress = nil, alone.Ingress
	}
	_, by := policy.Judge([]policy.Rule{alone}, i.subject, i.peer, i.packet, i.options)
	return len(by) > 0
}

// near lists rules that almost allow a packet: the peer on other ports, or the port to other peers.
func (i inquiry) near(peer string) (out []string) {
	for _, r := range i.rules {
		for _, t := range r.In(i.packet.Direction) {
			if t.Action != policy.ActionAccept || r.Mode == policy.Staged {
				continue
			}
			onAnyPort, forAnybody := t, t
			onAnyPort.Ports, forAnybody.AnyPeer = []policy.Port{policy.AnyPort}, true
			origin := r.Origin
			origin.Path = t.Path
			switch {
			case i.allows(r, onAnyPort):
				out = append(out, fmt.Sprintf("%s allows %s, but only on %s", origin, peer, portsText(t.Ports)))
			case len(t.Peers)+len(t.Blocks) > 0 && i.allows(r, forAnybody):
				out = append(out, fmt.Sprintf("%s allows this port, but only for %s", origin, peersText(t)))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func texts(origins []policy.Origin) (out []string) {
	for _, o := range origins {
		out = append(out, o.String())
	}
	return out
}

func portsText(ports []policy.Port) string {
	var text []string
	for _, p := range ports {
		if p.Name != "" {
			text = append(text, port{Protocol: p.Protocol, Name: p.Name}.String())
			continue
		}
		text = append(text, notation.Text(p.Protocol, p.First, p.Last))
	}
	return strings.Join(text, ", ")
}

func peersText(t policy.Term) string {
	var text []string
	for _, s := range t.Peers {
		text = append(text, s.String())
	}
	for _, b := range t.Blocks {
		text = append(text, b.String())
	}
	return strings.Join(text, " or ")
}
