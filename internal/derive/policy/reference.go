package policy

import (
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/reference"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// asked is a reference of some set's rules.
type asked struct {
	reference engine.Reference
	sets      []state.Key
}

// askers lists the sets with a reference that a function says yes to.
func (l *local) askers(yes func(engine.Reference) bool) (keys []state.Key) {
	for _, a := range l.asked {
		if yes(a.reference) {
			keys = append(keys, a.sets...)
		}
	}
	return keys
}

func (d *sets) ofGroup(r state.Reader, g table.CIDRGroup) []state.Key {
	l := d.local.Of(r)
	return l.askers(func(ref engine.Reference) bool { return reference.IsGroup(ref, g) })
}

func (d *sets) ofService(r state.Reader, s table.Service) []state.Key {
	l := d.local.Of(r)
	return l.askers(func(ref engine.Reference) bool { return reference.IsService(ref, s) })
}

func (d *sets) ofSlice(r state.Reader, e table.EndpointSlice) []state.Key {
	l := d.local.Of(r)
	if len(l.asked) == 0 {
		return nil
	}
	s, known := d.t.Services.One(r, table.ObjectKey(e.Namespace, e.Service))
	return l.askers(func(ref engine.Reference) bool {
		return known && len(s.Selector) == 0 && reference.IsService(ref, s) || ref.Kind == engine.APIServer && reference.IsAPI(e)
	})
}

func (d *sets) ofNode(r state.Reader, n table.Node) []state.Key {
	l := d.local.Of(r)
	return l.askers(func(ref engine.Reference) bool { return reference.IsNode(ref, n) })
}
