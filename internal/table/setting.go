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
