package network

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

// silences are the NICs that must not send, since another node may have their addresses.
func silences(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[grant.Silence]{
		Name: "silences", Out: grant.Silences, KeyOf: grant.Silences.Key,
		Inputs: []state.Input{
			state.On(network.Finished, func(_ state.Reader, m network.Made) []state.Key { return []state.Key{network.Finished.Key(m)} }),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key {
				if a.Overlay.Terms == "" {
					return nil
				}
				return []state.Key{t.Attachments.Key(a)}
			}),
			state.On(grant.Lapses, func(r state.Reader, l grant.Lapse) (keys []state.Key) {
				if l.ContainerID != "" {
					return []state.Key{grant.Lapses.Key(l)}
				}
				for m := range network.Finished.All(r) {
					keys = append(keys, network.Finished.Key(m))
				}
				for a := range t.Attachments.All(r) {
					if a.Overlay.Terms != "" {
						keys = append(keys, t.Attachments.Key(a))
					}
				}
				return keys
			}),
		},
		Compute: func(r state.Reader, key state.Key) []grant.Silence {
			m, ok := network.Finished.One(r, key)
			if a, there := t.Attachments.One(r, key); there && !ok { // in an overlay network
				m, ok = network.Made{Want: own(a), MAC: a.MAC}, true
			}
			if !ok || !m.Want.Terms.Moves() {
				return nil
			}
			_, all := grant.Lapses.One(r, grant.Lapses.Key(grant.Lapse{}))
			if _, own := grant.Lapses.One(r, key); !all && !own {
				return nil
			}
			return []grant.Silence{m.Silence()}
		},
	}
}
