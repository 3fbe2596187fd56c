package identity

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Operator is what a Requirement asks of a label.
type Operator uint8

// Operators, as in Kubernetes label selectors, and Same. NotIn also holds where the label is missing. Same holds for
// nothing until Selector.For says who the subject is.
const (
	OperatorNone Operator = iota
	In
	NotIn
	Exists
	DoesNotExist
	Same // the value is the subject's own, or both have none: "in the same cluster"
)

var operatorNames = [...]string{"none", "in", "notin", "exists", "missing", "same"}

func (o Operator) String() string {
	if int(o) < len(operatorNames) {
		return operatorNames[o]
	}
	return fmt.Sprintf("operator %d", uint8(o))
}

// Requirement is a condition on one label. Key is source:key; source any, or no source, means a label of whatever
// source.
type Requirement struct {
	Key      string
	Operator Operator
	Values   []string // of In and NotIn
}

// Selector chooses identities by labels: all requirements must hold. The zero value chooses none.
type Selector struct {
	requirements []Requirement
	text         string
	relative     bool // some requirement is Same
}

// NewSelector makes a selector; without requirements it chooses every identity. Equal requirements give equal
// selectors, whatever their order.
func NewSelector(requirements ...Requirement) Selector {
	own := make([]Requirement, len(requirements))
	for i, r := range requirements {
		if !strings.Contains(r.Key, ":") {
			r.Key = SourceAny + ":" + r.Key
		}
		r.Values = slices.Compact(slices.Sorted(slices.Values(r.Values)))
		own[i] = r
	}
	return selectorOf(own)
}

// selectorOf makes a selector of requirements that have sources and sorted values, and that it may keep.
func selectorOf(own []Requirement) Selector {
	compare := func(a, b Requirement) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), slices.Compare(a.Values, b.Values))
	}
	slices.SortFunc(own, compare)
	own = slices.CompactFunc(own, func(a, b Requirement) bool { return compare(a, b) == 0 })
	text := []byte{'{'}
	relative := false
	for i, r := range own {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = r.append(text)
		relative = relative || r.Operator == Same
	}
	return Selector{requirements: own, text: string(append(text, '}')), relative: relative}
}

// For is the selector as seen by a subject with these labels: Same has become what the subject's own label says.
func (s Selector) For(subject Labels) Selector {
	if !s.relative {
		return s
	}
	own := slices.Clone(s.requirements)
	for i, r := range own {
		if r.Operator != Same {
			continue
		}
		if values := r.valuesIn(subject); len(values) > 0 {
			own[i] = Requirement{Key: r.Key, Operator: In, Values: values}
		} else {
			own[i] = Requirement{Key: r.Key, Operator: DoesNotExist}
		}
	}
	return selectorOf(own)
}

// Relative tells whether what the selector chooses depends on who the subject is.
func (s Selector) Relative() bool { return s.relative }

// valuesIn lists the values, sorted, that a set of labels has for the requirement's key.
func (r Requirement) valuesIn(l Labels) []string {
	if source, key, _ := strings.Cut(r.Key, ":"); source == SourceAny {
		return slices.Compact(slices.Sorted(l.ValuesOf(key)))
	}
	if value, ok := l.Value(r.Key); ok {
		return []string{value}
	}
	return nil
}

// Requirements of the selector, sorted; not to be changed.
func (s Selector) Requirements() []Requirement { return s.requirements }

// String is the same for equal selectors, e.g. {any:app in ["web"], k8s:tier exists}; empty for the zero value.
func (s Selector) String() string { return s.text }

// IsZero tells that the selector is the zero value, which chooses none.
func (s Selector) IsZero() bool { return s.text == "" }

// Matches tells whether an identity with these labels is chosen.
func (s Selector) Matches(l Labels) bool {
	if s.IsZero() {
		return false
	}
	for _, r := range s.requirements {
		if !r.matches(l) {
			return false
		}
	}
	return true
}

// Admits tells whether what the selector asks about namespaces, their names and labels, holds for pods of one.
func (s Selector) Admits(namespace Labels) bool {
	return !s.IsZero() && !slices.ContainsFunc(s.requirements, func(r Requirement) bool {
		source, key, _ := strings.Cut(r.Key, ":")
		about := key == LabelNamespace || strings.HasPrefix(key, LabelNamespacePrefix)
		return about && (source == SourceK8s || source == SourceAny) && r.Operator != Same && !r.matches(namespace)
	})
}

// Uses tells whether a requirement is about this key, whatever the source.
func (s Selector) Uses(key string) bool {
	return slices.ContainsFunc(s.requirements, func(r Requirement) bool {
		_, name, _ := strings.Cut(r.Key, ":")
		return name == key
	})
}

// rank orders requirements by what they cost and sort out: the namespace first, what looks through all sources last.
func (r Requirement) rank() int {
	switch {
	case r.Key == SourceK8s+":"+LabelNamespace:
		return 0
	case strings.HasPrefix(r.Key, SourceAny+":"):
		return 2
	default:
		return 1
	}
}

func (r Requirement) String() string { return string(r.append(nil)) }

// append appends String.
func (r Requirement) append(text []byte) []byte {
	text = append(append(append(text, r.Key...), ' '), r.Operator.String()...)
	if len(r.Values) == 0 {
		return text
	}
	text = append(text, " ["...)
	for i, v := range r.Values {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendQuote(text, v)
	}
	return append(text, ']')
}

func (r Requirement) matches(l Labels) bool {
	source, key, _ := strings.Cut(r.Key, ":")
	found, in := false, false
	if source == SourceAny {
		for value := range l.ValuesOf(key) {
			found = true
			in = in || slices.Contains(r.Values, value)
		}
	} else {
		var value string
		if value, found = l.Value(r.Key); found {
			in = slices.Contains(r.Values, value)
		}
	}
	switch r.Operator {
	case In:
		return in
	case NotIn:
		return !in
	case Exists:
		return found
	case DoesNotExist:
		return !found
	default:
		return false
	}
}
