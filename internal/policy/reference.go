package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
)

// ReferenceKind is a kind of object that rules take peers from.
type ReferenceKind uint8

// Kinds of references.
const (
	NoReference ReferenceKind = iota
	CIDRGroups                // CiliumCIDRGroups: their prefixes
	Services                  // Services: the pods that they select, else the addresses of their endpoints
	Nodes                     // other nodes of the cluster: their addresses
	APIServer                 // what serves the Kubernetes API: its addresses
	AllNodes                  // nodes of the cluster, this one among them: their addresses
)

// Reference names objects, one by its name or all that have some labels. What they say may change while the rule stays.
type Reference struct {
	Kind      ReferenceKind
	Namespace string // of services; empty: any
	Name      string
	Labels    identity.Selector // if Name is empty
}

// String is the same for equal references.
func (r Reference) String() string {
	return fmt.Sprintf("%d %s/%s %s", r.Kind, r.Namespace, r.Name, r.Labels)
}

// Names tells whether an object is meant.
func (r Reference) Names(namespace, name string, labels identity.Labels) bool {
	return (r.Namespace == "" || r.Namespace == namespace) && (r.Name == name || r.Name == "" && r.Labels.Matches(labels))
}

// Found is what the objects of a reference say at a time.
type Found struct {
	Prefixes []netip.Prefix
	Peers    []identity.Selector
}

// References lists what the rule takes peers from.
func (r Rule) References() (list []Reference) {
	for _, t := range r.Terms() {
		for _, b := range t.Blocks {
			if b.Of.Kind != NoReference {
				list = append(list, b.Of)
			}
		}
	}
	return list
}

// Resolve is the rule with what its references stand for in their place. A rule without any stays as it is.
func (r Rule) Resolve(find func(Reference) Found) Rule {
	if len(r.References()) == 0 {
		return r
	}
	for _, terms := range [...]*[]Term{&r.Ingress, &r.Egress} {
		*terms = slices.Clone(*terms)
		for i := range *terms {
			t := &(*terms)[i]
			t.Peers, t.Blocks = slices.Clone(t.Peers), slices.Clone(t.Blocks)
			for j := range t.Blocks {
				if b := &t.Blocks[j]; b.Of.Kind != NoReference {
					found := find(b.Of)
					b.Within = canonical(found.Prefixes)
					t.Peers = append(t.Peers, found.Peers...)
				}
			}
		}
	}
	return r
}
