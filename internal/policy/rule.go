package policy

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
)

// Origin names a rule, or a part of one, to people: the policy object and the path inside it.
type Origin struct {
	Kind      string // CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, ClusterNetworkPolicy, MultiNetworkPolicy
	Namespace string
	Name      string
	UID       string
	Log       string // what people want to read in flows that the rule decided; may be empty
	Path      string // e.g. ingress[0].toPorts[1], specs[2].egressDeny[0]; empty: the object as a whole
}

var shortKinds = map[string]string{
	"CiliumNetworkPolicy": "cnp", "CiliumClusterwideNetworkPolicy": "ccnp", "NetworkPolicy": "netpol",
	"ClusterNetworkPolicy": "cnetpol", "MultiNetworkPolicy": "mnp",
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

// unite sorts origins and removes duplicates, in place.
func unite(origins []Origin) []Origin {
	slices.SortFunc(origins, Origin.Compare)
	return slices.Compact(origins)
}

// Rule is one rule of any policy language: which pods it is for and what it lets them do. Rules add up; their order is
// without meaning.
type Rule struct {
	Origin  Origin
	Subject identity.Selector
	Tier    Tier
	Mode    Mode

	// Networks narrows it to NICs in the networks that these NetworkAttachmentDefinitions lead to, by namespace/name. Nil: it is for all NICs.
	Networks []string

	Ingress []Term // about what comes in
	Egress  []Term // about what goes out

	// Isolation: whether what no rule allows is denied to the subjects. Of tier Normal only.
	DefaultDenyIngress bool
	DefaultDenyEgress  bool
}

// Term is one alternative of a rule: any of the peers on any of the ports. Without peers, or without ports, it matches
// nothing.
type Term struct {
	Action  Action
	Rank    uint32              // the higher wins inside a tier, up to MaxRank; 0 in tier Normal
	Path    string              // inside the object, e.g. ingress[0].toPorts[1]
	AnyPeer bool                // any, known or not
	Peers   []identity.Selector // alternatives
	Blocks  []Block             // alternatives beside Peers: peers by address
	Ports   []Port              // alternatives; AnyPort for all
	// Extended: it, or what stands beside it, is about protocols that only Options.Extended lets policies name.
	Extended bool
}

// Terms are all of the rule's, with their direction.
func (r Rule) Terms() iter.Seq2[Direction, Term] {
	return func(yield func(Direction, Term) bool) {
		for _, t := range r.Ingress {
			if !yield(Ingress, t) {
				return
			}
		}
		for _, t := range r.Egress {
			if !yield(Egress, t) {
				return
			}
		}
	}
}

// In lists the terms of a direction.
func (r Rule) In(d Direction) []Term {
	if d == Egress {
		return r.Egress
	}
	return r.Ingress
}
