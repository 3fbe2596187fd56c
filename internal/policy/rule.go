package policy

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
)

// Origin names a rule, or a part of one, to people: the policy object and the path inside it.
type Origin struct {
	Kind      string // CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy
	Namespace string
	Name      string
	UID       string
	Log       string // what people want to read in flows that the rule decided; may be empty
	Path      string // e.g. ingress[0].toPorts[1], specs[2].egressDeny[0]; empty: the object as a whole
}

var shortKinds = map[string]string{
	"CiliumNetworkPolicy": "cnp", "CiliumClusterwideNetworkPolicy": "ccnp", "NetworkPolicy": "netpol",
}

// String is e.g. "cnp web/allow-db ingress[0].toPorts[1]".
func (o Origin) String() string {
	var text strings.Builder
	if short, ok := shortKinds[o.Kind]; ok {
		text.WriteString(short)
	} else {
		text.WriteString(o.Kind)
	}
	text.WriteByte(' ')
	if o.Namespace != "" {
		text.WriteString(o.Namespace)
		text.WriteByte('/')
	}
	text.WriteString(o.Name)
	if o.Path != "" {
		text.WriteByte(' ')
		text.WriteString(o.Path)
	}
	return text.String()
}

// Compare orders origins by object, then by path.
func (o Origin) Compare(p Origin) int {
	return cmp.Or(
		cmp.Compare(o.Kind, p.Kind), cmp.Compare(o.Namespace, p.Namespace), cmp.Compare(o.Name, p.Name),
		cmp.Compare(o.UID, p.UID), cmp.Compare(o.Path, p.Path), cmp.Compare(o.Log, p.Log),
	)
}

// ListNumber is a number for a list of origins: FNV-1a of its text, never 0. Two lists may share one; whoever hands out
// numbers resolves that.
func ListNumber(rules []Origin) uint32 {
	h := fnv.New32a()
	for _, o := range rules {
		for _, part := range []string{o.Kind, o.Namespace, o.Name, o.UID, o.Path, o.Log} {
			_, _ = h.Write([]byte(part))
			_, _ = h.Write([]byte{0})
		}
	}
	return max(h.Sum32(), 1)
}

// unite sorts origins and removes duplicates, in place.
func unite(origins []Origin) []Origin {
	slices.SortFunc(origins, Origin.Compare)
	return slices.Compact(origins)
}

// Rule is one rule of any policy language: whom it is for and what it lets them do. Rules add up; their order is
// without meaning.
type Rule struct {
	Origin  Origin
	Subject Selector

	Ingress     []Term // allowed to come in
	IngressDeny []Term
	Egress      []Term // allowed to go out
	EgressDeny  []Term

	// Isolation: whether what no rule allows is denied to the subjects.
	DefaultDenyIngress bool
	DefaultDenyEgress  bool
}

// Term is one alternative of a rule: any of the peers on any of the ports. Without peers, or without ports, it matches
// nothing.
type Term struct {
	Path    string     // inside the object, e.g. ingress[0].toPorts[1]
	AnyPeer bool       // whoever it is, known or not
	Peers   []Selector // alternatives
	Blocks  []Block    // alternatives beside Peers: peers by address
	Ports   []Port     // alternatives; AnyPort for all
}

// Uses tells whether a rule asks for a label with this key, whatever its source.
func (r Rule) Uses(key string) bool {
	if r.Subject.Uses(key) {
		return true
	}
	for _, terms := range [4][]Term{r.Ingress, r.IngressDeny, r.Egress, r.EgressDeny} {
		for _, t := range terms {
			if slices.ContainsFunc(t.Peers, func(s Selector) bool { return s.Uses(key) }) {
				return true
			}
		}
	}
	return false
}
