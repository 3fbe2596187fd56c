// Package config derives table Configs from table Settings: ConfigMap cilium-config, read once, with a row for each concern. A key that
// changes nothing in its concern changes no row, and nothing that follows from the row.
//
//	Settings                  Configs
//	routing-mode = native  →  routing {Routing:native …}
//	mtu = 9000
//	labels = k8s:app       →  identity {Labels:[k8s:app] …}
//
// From Configs, this node's addresses and its tunnel device follows table Programs: what programs are told when they are loaded.
package config

import (
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Problems are the values of keys that make no sense.
func Problems(t *table.Tables, r state.Reader) []settings.Problem {
	_, problems := parse(t, r)
	return problems
}

func parse(t *table.Tables, r state.Reader) (settings.Config, []settings.Problem) {
	return settings.Parse(func(key string) (string, bool) {
		s, ok := t.Settings.One(r, state.Join(key))
		return s.Value, ok
	})
}

// New makes the derivation that fills t.Configs.
func New(t *table.Tables) *state.Derivation[table.Config] {
	whole := state.NewMemo(func(r state.Reader) settings.Config {
		c, _ := parse(t, r)
		return c
	}, t.Settings)
	return &state.Derivation[table.Config]{
		Name:  "config",
		Out:   t.Configs,
		KeyOf: func(c table.Config) state.Key { return table.ConfigKey(c.Concern) },
		Inputs: []state.Input{
			state.On(t.Settings, func(_ state.Reader, s table.Setting) []state.Key {
				if of := settings.ConcernOf(s.Name); of != "" {
					return []state.Key{table.ConfigKey(of)}
				}
				return nil
			}),
		},
		Compute: func(r state.Reader, key state.Key) []table.Config {
			of := settings.Concern(key.String())
			for s := range t.Settings.All(r) {
				if settings.ConcernOf(s.Name) == of {
					return []table.Config{{Concern: of, Settings: whole.Of(r).Part(of)}}
				}
			}
			return nil
		},
	}
}
