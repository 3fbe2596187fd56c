package config

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Source is what one feature tells programs: the name of a variable of theirs, the tables beside Configs that its value depends on (a
// change in them names table.ProgramsKey), and the value, a struct of internal/bpf/abi. A value of nil is not known yet, and no program
// is loaded before it is.
type Source func(t *table.Tables) (variable string, inputs []state.Input, value func(r state.Reader) any)

// join makes one function of all sources. It gives no value before it has all.
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
