package identity

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unique"
)

// Sources of labels: what stands before the colon of a label key.
const (
	SourceK8s      = "k8s"
	SourceReserved = "reserved"
	SourceAny      = "any" // in selectors only: whatever the source
)

// Labels is an immutable set of labels, each a key with source ("k8s:app") and a value. The zero value is the empty
// set. It is one pointer wide: == compares in one instruction, and equal sets share their memory.
type Labels struct {
	text unique.Handle[string] // canonical text; the zero handle stands for the empty set
}

// The canonical text is key=value; for each label, sorted by key. What would end a key or a value early is written as
// %XX, so a semicolon always ends a label and the first equals sign in it always ends its key.
var (
	escapeKey   = strings.NewReplacer("%", "%25", ";", "%3B", "=", "%3D")
	escapeValue = strings.NewReplacer("%", "%25", ";", "%3B")
	unescape    = strings.NewReplacer("%25", "%", "%3B", ";", "%3D", "=")
)

// NewLabels makes a set of labels from keys with source ("k8s:app") and values. A label without a key is left out.
func NewLabels(labels map[string]string) Labels {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if key == "" {
			continue
		}
		text.WriteString(escapeKey.Replace(key))
		text.WriteByte('=')
		text.WriteString(escapeValue.Replace(labels[key]))
		text.WriteByte(';')
	}
	return fromText(text.String())
}

func fromText(text string) Labels {
	if text == "" {
		return Labels{}
	}
	return Labels{text: unique.Make(text)}
}

// ParseLabels reads what String prints. Order is free and the last semicolon may be missing.
func ParseLabels(text string) (Labels, error) {
	labels := make(map[string]string)
	for part := range strings.SplitSeq(strings.TrimSuffix(text, ";"), ";") {
		if part == "" && text == "" {
			break
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok || key == "" {
			return Labels{}, fmt.Errorf("parse labels: %q is not of the form source:key=value", part)
		}
		key, value = unescape.Replace(key), unescape.Replace(value)
		if _, twice := labels[key]; twice {
			return Labels{}, fmt.Errorf("parse labels: key %q occurs twice", key)
		}
		labels[key] = value
	}
	return NewLabels(labels), nil
}

// String is the canonical text: "k8s:app=web;k8s:io.kubernetes.pod.namespace=default;", empty for no labels.
func (l Labels) String() string {
	if l == (Labels{}) {
		return ""
	}
	return l.text.Value()
}

// All yields each key with its value, in order of keys.
func (l Labels) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := l.String(); rest != ""; {
			var part string
			part, rest, _ = strings.Cut(rest, ";")
			key, value, _ := strings.Cut(part, "=")
			if !yield(unescape.Replace(key), unescape.Replace(value)) {
				return
			}
		}
	}
}

// Len is the number of labels.
func (l Labels) Len() int { return strings.Count(l.String(), ";") }

// Map is a copy of the labels as a map.
func (l Labels) Map() map[string]string {
	labels := make(map[string]string, l.Len())
	for key, value := range l.All() {
		labels[key] = value
	}
	return labels
}

// Value is the value of the label with this key ("k8s:app"), and whether there is one.
func (l Labels) Value(key string) (string, bool) {
	key = escapedKey(key)
	for rest := l.String(); rest != ""; rest = rest[strings.IndexByte(rest, ';')+1:] {
		if len(rest) > len(key) && rest[len(key)] == '=' && rest[:len(key)] == key {
			return valueAt(rest, len(key)+1), true
		}
	}
	return "", false
}

// ValuesOf yields the values of a key without its source ("app"), of every source, in order of sources.
func (l Labels) ValuesOf(key string) iter.Seq[string] {
	key = escapedKey(key)
	return func(yield func(string) bool) {
		for rest := l.String(); rest != ""; rest = rest[strings.IndexByte(rest, ';')+1:] {
			from := strings.IndexByte(rest, ':') + 1 // of a key without source, this is in its value or in the next label
			to := from + len(key)
			if from > 0 && to < len(rest) && rest[to] == '=' && rest[from:to] == key && !strings.ContainsAny(rest[:from], "=;") {
				if !yield(valueAt(rest, to+1)) {
					return
				}
			}
		}
	}
}

// Keys and values seldom need escapes, and policies look labels up by the million: a look before each replacement.
func escapedKey(key string) string {
	if strings.ContainsAny(key, "%;=") {
		return escapeKey.Replace(key)
	}
	return key
}

func valueAt(text string, at int) string {
	value, _, _ := strings.Cut(text[at:], ";")
	if strings.IndexByte(value, '%') >= 0 {
		return unescape.Replace(value)
	}
	return value
}
