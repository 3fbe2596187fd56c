package policy

import (
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/labelindex"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/dependent"
)

// dependencies are the sets that are known, filed under what they depend on.
type dependencies struct {
	subjects   *dependent.Keys[labelindex.Key] // by the labels of rules that may select them
	peers      filed[identity.Selector]        // by label
	references filed[engine.Reference]         // by kind and name; those by labels have none
	ports      *dependent.Keys[portNaming]     // those with an egress rule that names a port
}

func newDependencies() dependencies {
	return dependencies{
		subjects: dependent.New[labelindex.Key](), peers: filed[identity.Selector]{}, references: filed[engine.Reference]{},
		ports: dependent.New[portNaming](),
	}
}

// portNaming says for which peers a set has an egress rule that names a port.
type portNaming int

const (
	ofSome portNaming = iota // for peers that it chooses
	ofAny                    // for any
)

// asking is what a set's rules depend on beside the rules themselves.
type asking struct {
	peers       []identity.Selector // distinct
	references  []engine.Reference
	networks    []string // definitions that rules are narrowed to
	named, open bool     // an egress rule names a port; it does so for any peer
}

// asks reads rules: `written`, for the objects that they refer to; `resolved`, those with references resolved and selectors bound to the
// subject, for the peers that they choose.
func asks(written, resolved []engine.Rule) (a asking) {
	seen := map[string]bool{}
	for _, rule := range written {
		a.networks = append(a.networks, rule.Networks...)
		for _, ref := range rule.References() {
			if text := "reference " + ref.String(); !seen[text] {
				seen[text] = true
				a.references = append(a.references, ref)
			}
		}
	}
	for _, rule := range resolved {
		for direction, t := range rule.Terms() {
			if direction == engine.Egress && slices.ContainsFunc(t.Ports, func(p engine.Port) bool { return p.Name != "" }) {
				a.named, a.open = true, a.open || t.AnyPeer
			}
			if t.AnyPeer {
				continue // it chooses all peers
			}
			for _, s := range t.Peers {
				if !seen[s.String()] {
					seen[s.String()] = true
					a.peers = append(a.peers, s)
				}
			}
		}
	}
	return a
}

// file puts a set under what it depends on.
func (d *dependencies) file(set state.Key, k *known) {
	d.subjects.Set(set, labelindex.Selecting(k.subject.Labels)...)
	for _, s := range k.ask.peers {
		for _, a := range labelindex.OfSelector(s) {
			d.peers.add(string(a), s, set)
		}
	}
	for _, ref := range k.ask.references {
		d.references.add(referenceAt(ref.Kind, ref.Name), ref, set)
	}
	switch {
	case k.ask.open:
		d.ports.Set(set, ofAny)
	case k.ask.named:
		d.ports.Set(set, ofSome)
	}
}

// drop undoes file.
func (d *dependencies) drop(set state.Key, k *known) {
	if k == nil {
		return
	}
	d.subjects.Set(set)
	d.ports.Set(set)
	for _, s := range k.ask.peers {
		for _, a := range labelindex.OfSelector(s) {
			d.peers.remove(string(a), s, set)
		}
	}
	for _, ref := range k.ask.references {
		d.references.remove(referenceAt(ref.Kind, ref.Name), ref, set)
	}
}

func referenceAt(kind engine.ReferenceKind, name string) string { return fmt.Sprint(kind, " ", name) }

// filed are values that sets ask for, by where a change looks for them, and by their text.
type filed[V fmt.Stringer] map[string]map[string]*asked[V]

type asked[V fmt.Stringer] struct {
	value V
	sets  map[state.Key]bool
}

func (f filed[V]) add(at string, v V, set state.Key) {
	if f[at] == nil {
		f[at] = map[string]*asked[V]{}
	}
	a := f[at][v.String()]
	if a == nil {
		a = &asked[V]{v, map[state.Key]bool{}}
		f[at][v.String()] = a
	}
	a.sets[set] = true
}

func (f filed[V]) remove(at string, v V, set state.Key) {
	a := f[at][v.String()]
	delete(a.sets, set)
	if len(a.sets) > 0 {
		return
	}
	if delete(f[at], v.String()); len(f[at]) == 0 {
		delete(f, at)
	}
}

// askers appends the sets that ask for a value of which yes is true.
func (f filed[V]) askers(at string, yes func(V) bool, keys []state.Key) []state.Key {
	for _, a := range f[at] {
		if yes(a.value) {
			for set := range a.sets {
				keys = append(keys, set)
			}
		}
	}
	return keys
}
