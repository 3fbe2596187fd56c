package config

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Source is what one feature tells programs: which variable of theirs, the tables that its value depends on beside Configs, whose
// rows name table.ProgramsKey, and the value, a struct of internal/bpf/abi. Programs are not loaded while it is nil: not known.
type Source func(t *table.Tables) (variable string, inputs []state.Input, value func(r state.Reader) any)

// join makes one function of all sources, which knows nothing before it knows all.
func join(t *table.Tables, sources []Source) (inputs []state.Input, constants func(r state.Reader) (map[string]any, bool)) {
	values := map[string]func(r state.Reader) any{}
	for _, source := range sources {
		variable, more, value := source(t)
		inputs = append(inputs, more...)
		values[variable] = value
	}
	return inputs, func(r state.Reader) (map[string]any, bool) {
		all := map[string]any{}
		for variable, value := range values {
			if all[variable] = value(r); all[variable] == nil {
				return nil, false
			}
		}
		return all, true
	}
}
