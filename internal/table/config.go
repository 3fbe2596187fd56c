package table

import (
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
)

// Config is what ConfigMap kube-system/cilium-config says of one concern. A concern of which it says nothing has no row.
type Config struct {
	Concern  settings.Concern
	Settings settings.Config // the part of that concern; the rest is zero
}

func (Config) Header() []string { return []string{"Concern", "Settings"} }
func (c Config) Row() []string  { return []string{string(c.Concern), c.Settings.Text(c.Concern)} }

// ConfigKey is the key of a concern's row.
func ConfigKey(of settings.Concern) state.Key { return state.Join(string(of)) }

var defaults, _ = settings.Parse(func(string) (string, bool) { return "", false })

// Config puts the rows of all concerns together; the default stands for one that has none.
func (t *Tables) Config(r state.Reader) settings.Config {
	c := defaults
	for row := range t.Configs.All(r) {
		c.Add(row.Concern, row.Settings)
	}
	return c
}

var _ = declare(&tables.Configs, "configs", func(r Config) state.Key { return ConfigKey(r.Concern) })
