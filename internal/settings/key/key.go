// Package key is what a key of a configuration is: its name, what its values look like, and where in a Config they go.
//
// # The world it models
//
// A configuration is a map of text. A key is one element of a list: Of[C], where C is the struct into which it is read. Lists
// for a part of a larger struct are written for that part, and joined with those of others by Within; so each concern of a
// program may have its keys in a package of its own. A Reader reads values, and collects a Problem for each that makes no
// sense; such a value counts as absent.
//
// # Invariants
//
//   - Pure: nothing is looked at but the values that are given.
//   - A Reader gives a value of the key's syntax, or its default.
//
// # Example
//
//	var Keys = []key.Of[Observation]{{
//		Name: "enable-hubble", Default: "true", Concern: "observation", Holds: key.AtOnce, Syntax: key.Boolean,
//		Text: "flows are served", Read: key.Flag(func(o *Observation) *bool { return &o.Hubble }),
//	}}
//
//	all := key.Within(Keys, func(c *Config) *Observation { return &c.Observation })
package key

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Of is a key that is read into a C.
type Of[C any] struct {
	Name       string
	Default    string
	Concern    Concern
	Holds      When   // when a change of an effective value takes hold
	Text       string // what it is about, for docs
	Needs      string // what a value needs of the kernel or of other keys
	Instead    string // what happens while a value is not implemented
	Protection bool   // a value other than the default asks for something that keeps attackers out
	Syntax     Syntax
	Have       []string // the values that are implemented; nil: all
	None       bool     // no value is implemented
	Newer      string   // the name that this key has now, which wins
	Read       Read[C]  // puts it into a C; nil: nothing reads it
}

// Concern is what a key is about.
type Concern string

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
func (k Of[C]) Effective() bool { return !k.None && k.Read != nil }

// Type is what values of the key look like, in words.
func (k Of[C]) Type() string { return k.Syntax.String() }

// Values are those that are implemented; nil: all of the type.
func (k Of[C]) Values() []string { return k.Have }

// Works tells whether a value, which its syntax allows, does something.
func (k Of[C]) Works(value string) bool {
	switch {
	case k.None:
		return false
	case k.Have == nil:
		return true
	}
	return slices.ContainsFunc(k.Have, func(v string) bool { return same(v, value) })
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

// Within gives keys of a part as keys of the whole.
func Within[Part, Whole any](keys []Of[Part], part func(*Whole) *Part) []Of[Whole] {
	out := make([]Of[Whole], 0, len(keys))
	for _, k := range keys {
		w := Of[Whole]{
			Name: k.Name, Default: k.Default, Concern: k.Concern, Holds: k.Holds, Text: k.Text, Needs: k.Needs, Instead: k.Instead,
			Protection: k.Protection, Syntax: k.Syntax, Have: k.Have, None: k.None, Newer: k.Newer,
		}
		if k.Read != nil {
			w.Read = func(r *Reader, c *Whole, name string) { k.Read(r, part(c), name) }
		}
		out = append(out, w)
	}
	return out
}

// Problem is a value that makes no sense.
type Problem struct {
	Key, Value string
	Message    string // what is wrong and what is done instead
}

func (p Problem) String() string { return fmt.Sprintf("%s: %q %s", p.Key, p.Value, p.Message) }
