package policy

import (
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
)

// unnumbered stands for the number of an overlay network that has none yet.
const unnumbered = overlay.Last

// newFindings computes Findings: what keeps policy objects from being in force as they stand.
func newFindings(t *table.Tables) state.AnyDerivation {
	f := &findings{t: t}
	f.world = state.NewMemo(f.readWorld, t.Configs)
	f.audited = state.NewMemo(f.readAudited, t.Namespaces)
	f.naming = state.NewMemo(f.readNaming, t.Policies)
	return &state.Derivation[table.Finding]{
		Name: "policy-findings",
		Out:  t.Findings,
		KeyOf: func(f table.Finding) state.Key {
			return t.Policies.Key(table.PolicyObject{Kind: f.Kind, Namespace: f.Namespace, Name: f.Name})
		},
		Inputs: []state.Input{
			state.On(t.Policies, func(_ state.Reader, p table.PolicyObject) []state.Key { return []state.Key{t.Policies.Key(p)} }),
			state.On(t.CIDRGroups, func(r state.Reader, g table.CIDRGroup) []state.Key {
				return f.naming.Of(r)[named{engine.CIDRGroups, "", g.Name}]
			}),
			state.On(t.Services, func(r state.Reader, s table.Service) []state.Key {
				return f.naming.Of(r)[named{engine.Services, s.Namespace, s.Name}]
			}),
			state.On(t.Namespaces, func(r state.Reader, n table.Namespace) []state.Key { return f.all(r, n.Audit) }),
			state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key {
				return f.all(r, c.Concern == settings.OfPolicy || c.Concern == settings.OfNetworks)
			}),
			state.On(network.Definitions, func(r state.Reader, n network.Definition) []state.Key {
				return f.naming.Of(r)[named{ofNetworks, "", n.Namespace + "/" + n.Name}]
			}),
		},
		Compute: f.compute,
	}
}

type findings struct {
	t       *table.Tables
	world   *state.Memo[gap.World]
	audited *state.Memo[[]identity.Labels]
	naming  *state.Memo[naming]
}

// all are the keys of all policies, if a change matters to them.
func (f *findings) all(r state.Reader, matters bool) (keys []state.Key) {
	if matters {
		for p := range f.t.Policies.All(r) {
			keys = append(keys, f.t.Policies.Key(p))
		}
	}
	return keys
}

func (f *findings) readAudited(r state.Reader) []identity.Labels {
	return policyinput.AuditedNamespaces(r, f.t)
}

func (f *findings) readWorld(r state.Reader) gap.World {
	return gap.World{Config: f.t.Config(r)}
}

func (f *findings) compute(r state.Reader, key state.Key) (out []table.Finding) {
	p, ok := f.t.Policies.One(r, key)
	if !ok {
		return nil
	}
	w := f.world.Of(r)
	w.Audited = f.audited.Of(r)
	w.Group = func(name string) ([]string, bool) {
		g, there := f.t.CIDRGroups.One(r, state.Join(name))
		return g.Problems, there
	}
	w.Service = func(namespace, name string) bool {
		_, there := f.t.Services.One(r, table.ObjectKey(namespace, name))
		return there
	}
	w.Network = func(name string) (uint32, bool) {
		namespace, short, _ := strings.Cut(name, "/")
		d, there := network.Definitions.One(r, table.ObjectKey(namespace, short))
		if number, known := policyinput.Number(r, f.t, d); known || !there {
			return number, there
		}
		return unnumbered, true
	}
	for _, g := range append(slices.Clone(p.Problems), gap.Of(p.Rules, w)...) {
		if !p.Valid {
			g.Message = "rejected: " + g.Message
		}
		out = append(out, table.Finding{Kind: p.Kind, Namespace: p.Namespace, Name: p.Name, UID: p.UID, Field: g.Field, Reason: g.Reason, Message: g.Message})
	}
	return out
}

// naming says which policies name an object.
type naming map[named][]state.Key

// ofNetworks is the kind of NetworkAttachmentDefinitions, which no rule refers to for its peers.
const ofNetworks engine.ReferenceKind = 0xff

// named is an object as policies name it.
type named struct {
	kind            engine.ReferenceKind
	namespace, name string
}

func (f *findings) readNaming(r state.Reader) naming {
	out := naming{}
	for p := range f.t.Policies.All(r) {
		for _, rule := range p.Rules {
			for _, name := range rule.Networks {
				at := named{ofNetworks, "", name}
				out[at] = append(out[at], f.t.Policies.Key(p))
			}
			for _, of := range rule.References() {
				if of.Name != "" {
					at := named{of.Kind, of.Namespace, of.Name}
					out[at] = append(out[at], f.t.Policies.Key(p))
				}
			}
		}
	}
	return out
}
