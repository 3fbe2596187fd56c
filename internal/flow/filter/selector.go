package filter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// labels takes Kubernetes label selectors; the labels of a flow are texts "source:key=value".
func labels(values []string, have func(*flowpb.Flow) []string) (Func, error) {
	var list []selector
	for _, value := range values {
		s, err := parseSelector(value)
		if err != nil {
			return nil, fmt.Errorf("selector %q: %w", value, err)
		}
		list = append(list, s)
	}
	return func(f *flowpb.Flow) bool {
		texts := have(f)
		return slices.ContainsFunc(list, func(s selector) bool { return s.matches(texts) })
	}, nil
}

// selector is a list of requirements, all of which must hold.
type selector []requirement

type requirement struct {
	source   string // empty: any
	key      string
	operator string // exists, absent, in, notin, gt, lt
	values   []string
}

func (s selector) matches(labels []string) bool {
	return !slices.ContainsFunc(s, func(r requirement) bool { return !r.holds(labels) })
}

// holds finds the key among the labels. As in Kubernetes, a label that is absent satisfies notin.
func (r requirement) holds(labels []string) bool {
	for _, text := range labels {
		name, value, _ := strings.Cut(text, "=")
		source, key := splitSource(name)
		if key != r.key || (r.source != "" && r.source != source) {
			continue
		}
		switch r.operator {
		case "exists":
			return true
		case "absent":
			return false
		case "in":
			return slices.Contains(r.values, value)
		case "notin":
			return !slices.Contains(r.values, value)
		}
		have, err := strconv.ParseInt(value, 10, 64)
		want, _ := strconv.ParseInt(r.values[0], 10, 64)
		return err == nil && (r.operator == "gt" && have > want || r.operator == "lt" && have < want)
	}
	return r.operator == "absent" || r.operator == "notin"
}

// splitSource takes "k8s:app" apart; "any:" is no source. A colon after a slash or a dot belongs to the key.
func splitSource(name string) (source, key string) {
	source, key, found := strings.Cut(name, ":")
	if !found || strings.ContainsAny(source, "./") {
		return "", name
	}
	if source == "any" {
		source = ""
	}
	return source, key
}

// parseSelector reads the syntax of kubectl -l: requirements separated by commas, each key, !key, key=value,
// key==value, key!=value, key in (a,b), key notin (a,b), key>n or key<n.
func parseSelector(text string) (selector, error) {
	var s selector
	for rest := text; ; {
		part, after, more, err := cutRequirement(rest)
		if err != nil {
			return nil, err
		}
		r, err := parseRequirement(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		s = append(s, r)
		if !more {
			return s, nil
		}
		rest = after
	}
}

// cutRequirement cuts at the first comma outside parentheses.
func cutRequirement(text string) (part, after string, more bool, err error) {
	depth := 0
	for i, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				return text[:i], text[i+1:], true, nil
			}
		}
		if depth < 0 || depth > 1 {
			return "", "", false, errors.New("parentheses do not match")
		}
	}
	if depth != 0 {
		return "", "", false, errors.New("parentheses do not match")
	}
	return text, "", false, nil
}

func parseRequirement(text string) (requirement, error) {
	if text == "" {
		return requirement{}, errors.New("an empty requirement")
	}
	if key, negated := strings.CutPrefix(text, "!"); negated {
		return finish(strings.TrimSpace(key), "absent")
	}
	if open := strings.IndexByte(text, '('); open >= 0 {
		head := strings.Fields(text[:open])
		if len(head) != 2 || (head[1] != "in" && head[1] != "notin") || !strings.HasSuffix(text, ")") {
			return requirement{}, fmt.Errorf("%q should be: key in (a, b) or key notin (a, b)", text)
		}
		var values []string
		for value := range strings.SplitSeq(text[open+1:len(text)-1], ",") {
			values = append(values, strings.TrimSpace(value))
		}
		return finish(head[0], head[1], values...)
	}
	for _, sign := range []struct{ text, operator string }{
		{"!=", "notin"}, {"==", "in"}, {"=", "in"}, {">", "gt"}, {"<", "lt"},
	} {
		key, value, found := strings.Cut(text, sign.text)
		if !found {
			continue
		}
		value = strings.TrimSpace(value)
		if _, err := strconv.ParseInt(value, 10, 64); err != nil && (sign.operator == "gt" || sign.operator == "lt") {
			return requirement{}, fmt.Errorf("%q is no whole number", value)
		}
		return finish(strings.TrimSpace(key), sign.operator, value)
	}
	return finish(text, "exists")
}

func finish(name, operator string, values ...string) (requirement, error) {
	source, key := splitSource(name)
	if key == "" || strings.ContainsAny(key, " \t()!=<>,") {
		return requirement{}, fmt.Errorf("%q is no label key", name)
	}
	for _, value := range values {
		if strings.ContainsAny(value, " \t()!=<>,") {
			return requirement{}, fmt.Errorf("%q is no label value", value)
		}
	}
	return requirement{source: source, key: key, operator: operator, values: values}, nil
}
