package policy

import (
	"fmt"
	"slices"
	"strings"

	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/reference"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// newFindings computes Findings: the problems of policy objects, and references that stand for nothing.
func newFindings(t *table.Tables) Runner {
	key := func(kind, namespace, name string) state.Key {
		return t.Policies.Key(table.PolicyObject{Kind: kind, Namespace: namespace, Name: name})
	}
	f := &findings{t}
	return &state.Derivation[table.Finding]{
		Name:  "policy-findings",
		Out:   t.Findings,
		KeyOf: func(f table.Finding) state.Key { return key(f.Kind, f.Namespace, f.Name) },
		Inputs: []state.Input{
			state.On(t.Policies, func(_ state.Reader, p table.PolicyObject) []state.Key { return []state.Key{t.Policies.Key(p)} }),
			state.On(t.CIDRGroups, func(r state.Reader, g table.CIDRGroup) []state.Key {
				return f.asking(r, func(ref engine.Reference) bool { return reference.IsGroup(ref, g) })
			}),
			state.On(t.Settings, func(r state.Reader, s table.Setting) (keys []state.Key) {
				if s.Name == "enable-node-selector-labels" {
					keys = f.asking(r, func(ref engine.Reference) bool { return ref.Kind == engine.Nodes })
				}
				if s.Name == "enable-extended-ip-protocols" {
					for p := range t.Policies.All(r) {
						if slices.ContainsFunc(p.Rules, func(rule engine.Rule) bool { return len(extended(rule)) > 0 }) {
							keys = append(keys, t.Policies.Key(p))
						}
					}
				}
				return keys
			}),
		},
		Compute: f.compute,
	}
}

type findings struct{ t *table.Tables }

func (f *findings) compute(r state.Reader, key state.Key) (out []table.Finding) {
	p, ok := f.t.Policies.One(r, key)
	if !ok {
		return nil
	}
	add := func(field, message string) {
		out = append(out, table.Finding{Kind: p.Kind, Namespace: p.Namespace, Name: p.Name, UID: p.UID, Field: field, Message: message})
	}
	for _, problem := range p.Problems {
		field, message, _ := strings.Cut(problem, ": ")
		if !p.Valid {
			message = "rejected: " + message
		}
		add(field, message)
	}
	f.references(r, p, add)
	if s, _ := f.t.Settings.One(r, state.Join("enable-extended-ip-protocols")); s.Value != "true" {
		for _, rule := range p.Rules {
			for _, path := range extended(rule) {
				add(path, "a protocol without ports is named, and setting enable-extended-ip-protocols is not true: a rule that allows allows nothing, one that denies denies all ports")
			}
		}
	}
	return out
}

// extended lists where a rule is about protocols without ports, or stands beside one that is.
func extended(rule engine.Rule) (paths []string) {
	for _, t := range rule.Terms() {
		if t.Extended {
			paths = append(paths, t.Path)
		}
	}
	return paths
}

// asking lists the policies with a reference that a function says yes to.
func (f *findings) asking(r state.Reader, yes func(engine.Reference) bool) (keys []state.Key) {
	for p := range f.t.Policies.All(r) {
		if slices.ContainsFunc(p.Rules, func(rule engine.Rule) bool { return slices.ContainsFunc(rule.References(), yes) }) {
			keys = append(keys, f.t.Policies.Key(p))
		}
	}
	return keys
}

// references says which objects that a policy names do not stand for anybody.
func (f *findings) references(r state.Reader, p table.PolicyObject, add func(field, message string)) {
	nodes, _ := f.t.Settings.One(r, state.Join("enable-node-selector-labels"))
	for _, rule := range p.Rules {
		for _, t := range rule.Terms() {
			for _, b := range t.Blocks {
				group, known := f.t.CIDRGroups.One(r, state.Join(b.Of.Name))
				switch {
				case b.Of.Kind == engine.Nodes && nodes.Value != "true":
					add(t.Path, "peers by labels of nodes choose nobody as long as setting enable-node-selector-labels is not true")
				case b.Of.Kind != engine.CIDRGroups || b.Of.Name == "":
				case !known:
					add(t.Path, fmt.Sprintf("there is no CiliumCIDRGroup %s, so it stands for no address; create it, or correct cidrGroupRef", b.Of.Name))
				default:
					for _, problem := range group.Problems {
						add(t.Path, fmt.Sprintf("CiliumCIDRGroup %s: %s", group.Name, problem))
					}
				}
			}
		}
	}
}
