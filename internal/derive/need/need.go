// Package need derives what attachments wait for, and which of them have it all.
//
// # The world it models
//
// The ADD of an attachment is answered when everything is in place that the pod's first packet meets: its link, the
// routes to it, its policy, its programs. Each feature says what it needs (Source), as rows of table needs: which row of
// which table a sink has to put in place, and what that is in words. An attachment is ready when every such row has been
// in place once; what is in service stays there while a row is written again.
//
//	Attachment, and what Sources read -> Needs
//	Needs, statuses                   -> Ready
//
// A new feature that pods have to wait for is one more Source. Nothing here and nothing in the CNI server changes.
//
// # Invariants
//
//   - All needs of an attachment are written in one transaction, so it is never ready for a part of them.
//   - An attachment without needs is not ready.
//   - A status finds the attachments that wait for its row by an index.
//
// # Example
//
//	CONTAINERID  INTERFACE  WHAT                  TABLE        KEY
//	c1           eth0       link                  links        weft0123456789
//	c1           eth0       route 10.244.1.5/32   routes       10.244.1.5/32
//	c1           eth0       policy                policy-sets  4711/
package need

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Source is what one feature says that an attachment needs: the tables beside Attachments that this depends on (a change in them names
// keys of attachments), and the needs, with What, Table, Key, Lacks and Advice filled in.
type Source func(t *table.Tables) (inputs []state.Input, of func(r state.Reader, a table.Attachment) []table.Need)

// Needs makes the derivation that fills t.Needs, in the order of the sources.
func Needs(t *table.Tables, sources ...Source) state.AnyDerivation {
	inputs := []state.Input{state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key { return []state.Key{t.Attachments.Key(a)} })}
	var all []func(state.Reader, table.Attachment) []table.Need
	for _, source := range sources {
		more, of := source(t)
		inputs, all = append(inputs, more...), append(all, of)
	}
	return &state.Derivation[table.Need]{
		Name: "needs", Out: t.Needs, Inputs: inputs,
		KeyOf: func(n table.Need) state.Key { return table.AttachmentKey(n.ContainerID, n.Interface) },
		Compute: func(r state.Reader, key state.Key) (needs []table.Need) {
			a, ok := t.Attachments.One(r, key)
			if !ok {
				return nil
			}
			for _, of := range all {
				needs = append(needs, of(r, a)...)
			}
			for i := range needs {
				needs[i].ContainerID, needs[i].Interface, needs[i].HostName, needs[i].Number = a.ContainerID, a.Interface, a.HostName, uint32(i)
			}
			return needs
		},
	}
}

// Ready makes the derivation that fills t.Ready.
func Ready(t *table.Tables) state.AnyDerivation {
	attachment := func(_ state.Reader, n table.Need) []state.Key {
		return []state.Key{table.AttachmentKey(n.ContainerID, n.Interface)}
	}
	return &state.Derivation[table.Ready]{
		Name: "ready", Out: t.Ready, KeyOf: t.Ready.Key,
		Inputs: []state.Input{
			state.On(t.Needs, attachment),
			state.On(status.Statuses, func(r state.Reader, s status.Status) (keys []state.Key) {
				for n := range t.Needs.By(r, table.ByRow, state.Join(s.Table, s.Key)) {
					keys = append(keys, attachment(r, n)...)
				}
				return keys
			}),
		},
		Compute: func(r state.Reader, key state.Key) (ready []table.Ready) {
			for n := range t.Needs.Prefix(r, key) {
				if !met(r, n) {
					return nil
				}
				ready = []table.Ready{{ContainerID: n.ContainerID, Interface: n.Interface, HostName: n.HostName}}
			}
			return ready
		},
	}
}

// met tells whether some version of the row that is waited for is in place.
func met(r state.Reader, n table.Need) bool {
	if n.Lacks != "" || n.Key == "" {
		return false
	}
	s, ok := status.Statuses.One(r, n.Status())
	return ok && s.Rev != 0
}
