package policy

import (
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// refer marks the sets to compute anew that refer to an object: by its name, or by labels, if yes says so of the reference.
func (d *sets) refer(kind engine.ReferenceKind, name string, yes func(engine.Reference) bool) []state.Key {
	keys := d.references.askers(referenceAt(kind, ""), yes, nil)
	if name != "" {
		keys = d.references.askers(referenceAt(kind, name), yes, keys)
	}
	return d.anew(keys)
}

func (d *sets) ofGroup(_ state.Reader, g table.CIDRGroup) []state.Key {
	return d.refer(engine.CIDRGroups, g.Name, func(ref engine.Reference) bool { return policyinput.IsGroup(ref, g) })
}

func (d *sets) ofService(_ state.Reader, s table.Service) []state.Key {
	return d.refer(engine.Services, s.Name, func(ref engine.Reference) bool { return policyinput.IsService(ref, s) })
}

func (d *sets) ofSlice(r state.Reader, e table.EndpointSlice) (keys []state.Key) {
	if len(d.references) == 0 {
		return nil
	}
	if s, known := d.t.Services.One(r, table.ObjectKey(e.Namespace, e.Service)); known && len(s.Selector) == 0 {
		keys = d.ofService(r, s)
	}
	if policyinput.IsAPI(e) {
		keys = append(keys, d.refer(engine.APIServer, "", func(engine.Reference) bool { return true })...)
	}
	return keys
}

func (d *sets) ofNode(_ state.Reader, n table.Node) []state.Key {
	return d.refer(engine.Nodes, n.Name, func(ref engine.Reference) bool { return policyinput.IsNode(ref, n) })
}
