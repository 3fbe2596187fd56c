package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/settings/key"
)

// State says what a key does in this version.
type State uint8

// Values of State.
const (
	_              State = iota
	Effective            // does what it says
	NotImplemented       // is known, and this value does nothing yet
	Unknown              // no version up to this one has this key: a spelling mistake, or a version that is newer than this one
	Invalid              // the value makes no sense, the default is in use
)

func (s State) String() string {
	return [...]string{"", "effective", "not implemented", "unknown", "invalid"}[s]
}

// Line says what became of one key.
type Line struct {
	Key, Value string
	State      State
	Protection bool   // the key asks for something that keeps attackers out
	Message    string // why it is not effective; empty if it is
}

// Alarm tells whether a cluster that relies on this key is less protected than it asked for.
func (l Line) Alarm() bool { return l.Protection && l.State != Effective }

// Report says what becomes of each key that is set, in the order of the keys.
func Report(values map[string]string) []Line {
	lines := make([]Line, 0, len(values))
	for name, value := range values {
		lines = append(lines, line(name, strings.TrimSpace(value)))
	}
	_, problems := Parse(func(key string) (string, bool) { v, ok := values[key]; return v, ok })
	for _, p := range problems { // of values that make no sense beside each other
		if i := slices.IndexFunc(lines, func(l Line) bool { return l.Key == p.Key && l.State == Effective }); i >= 0 {
			lines[i].State, lines[i].Message = Invalid, p.Message
		}
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Key, b.Key) })
	return lines
}

func line(name, value string) Line {
	l := Line{Key: name, Value: value, State: Effective}
	k, known := catalogue[name]
	if !known {
		l.State, l.Message = Unknown, "no such key; is it spelled right?"
		return l
	}
	l.Protection = k.Protection
	if err := k.Syntax.Check(value); err != nil {
		l.State, l.Message = Invalid, fmt.Sprintf("%v; using %q", err, k.Default)
		if k.Syntax == key.Patterns || k.Syntax == key.FlowMetrics {
			l.Message = err.Error() // the others are in use
		}
		return l
	}
	if !k.Works(value) {
		l.State, l.Message = NotImplemented, cmp.Or(k.Instead, "does nothing yet")
	}
	return l
}

// Key is an element of the catalogue.
type Key = key.Of[Config]

// Problem is a value that makes no sense.
type Problem = key.Problem

// Keys lists the catalogue in the order of names.
func Keys() []Key {
	keys := make([]Key, 0, len(catalogue))
	for _, k := range catalogue {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return keys
}
