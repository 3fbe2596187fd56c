package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	if err := k.syntax.check(value); err != nil {
		l.State, l.Message = Invalid, fmt.Sprintf("%v; using %q", err, k.Default)
		if k.syntax == patterns {
			l.Message = err.Error() // the others are in use
		}
		return l
	}
	if !k.works(value) {
		l.State, l.Message = NotImplemented, cmp.Or(k.Instead, "does nothing yet")
	}
	return l
}

// Key is an element of the catalogue.
type Key struct {
	Name       string
	Default    string
	Concern    Concern
	Holds      When   // when a change of an effective value takes hold
	Text       string // what it is about, for docs
	Needs      string // what a value needs of the kernel or of other keys
	Instead    string // what happens while a value is not implemented
	Protection bool
	syntax     syntax
	have       []string // the values that are implemented; nil: all
	none       bool     // no value is implemented
	read       read     // puts it into a Config; nil: nothing reads it
	newer      string   // the name that this key has now, which wins
}

// When says when a change of a key takes hold. None needs a restart of the agent.
type When string

// Values of When.
const (
	AtOnce         When = "at once"
	NewConnections When = "new connections"
	NewAttachments When = "new pods"
	NewNodes       When = "new nodes"
)

// Effective tells whether the default, or any other value, does something.
func (k Key) Effective() bool { return !k.none && k.read != nil }

// Type is what values of the key look like, in words.
func (k Key) Type() string { return k.syntax.String() }

// Values are those that are implemented; nil: all of the type.
func (k Key) Values() []string { return k.have }

func (k Key) works(value string) bool {
	switch {
	case k.none:
		return false
	case k.have == nil:
		return true
	}
	return slices.ContainsFunc(k.have, func(v string) bool { return same(v, value) })
}

// same compares values; "1", "t" and "True" are all "true".
func same(a, b string) bool {
	x, errX := strconv.ParseBool(a)
	y, errY := strconv.ParseBool(b)
	if errX == nil && errY == nil {
		return x == y
	}
	return strings.EqualFold(a, b)
}

// Keys lists the catalogue in the order of names.
func Keys() []Key {
	keys := make([]Key, 0, len(catalogue))
	for _, k := range catalogue {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return keys
}
