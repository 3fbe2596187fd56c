package table

import (
	"weftnet.io/weftnet/internal/state"
)

// Setting is one key of ConfigMap kube-system/cilium-config (or of a flag of the same name, which wins).
type Setting struct {
	Name  string
	Value string
}

func (Setting) Header() []string { return []string{"Name", "Value"} }

func (s Setting) Row() []string { return []string{s.Name, s.Value} }

var _ = declare(&tables.Settings, "settings", func(r Setting) state.Key { return state.Join(r.Name) })

// Given looks up what a key of the configuration is set to, and whether it is: what settings.Parse reads. What a derivation
// needs of it stands in Configs.
func (t *Tables) Given(r state.Reader) func(name string) (value string, set bool) {
	return func(name string) (string, bool) {
		s, ok := t.Settings.One(r, state.Join(name))
		return s.Value, ok
	}
}
