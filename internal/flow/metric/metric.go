// Package metric reads what key hubble-metrics asks for: which metrics of flows there are to be, and with which labels.
//
// # The world it models
//
// The value is a list, parted by spaces or lines: `dns:query;ignoreAAAA drop tcp httpV2:exemplars=true;labelsContext=source_pod`. An element
// is a metric's name, and behind a colon its options, parted by semicolons. An option may have values: of contexts parted by |, of
// which the first that is known of a flow counts; of labelsContext parted by commas. Lines may begin with a dash, as lists of YAML do,
// and names without options may be parted by commas. Names of options are the same in any case of letters, as they are upstream.
//
// # Invariants
//
//   - Pure. What makes no sense is left out and named; the rest counts.
//   - A metric is in the result once.
//
// # Example
//
//	list, err := metric.Parse("drop:sourceContext=workload-name|ip tcp")
//	list[0].Values("sourcecontext") // workload-name, ip
package metric

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Metric is an element of the list.
type Metric struct {
	Name    string
	Options []Option
}

// Option is one of a metric. Its name is in lower case.
type Option struct {
	Name   string
	Values []string
}

// Has tells whether a metric has an option.
func (m Metric) Has(option string) bool {
	return slices.ContainsFunc(m.Options, func(o Option) bool { return o.Name == option })
}

// Values are those of an option; nil: it has not that one.
func (m Metric) Values(option string) []string {
	for _, o := range m.Options {
		if o.Name == option {
			return o.Values
		}
	}
	return nil
}

// String is the metric as it is written.
func (m Metric) String() string {
	text := m.Name
	for i, o := range m.Options {
		text += [...]string{":", ";"}[min(i, 1)] + o.Name
		if len(o.Values) > 0 {
			text += "=" + strings.Join(o.Values, [...]string{"|", ","}[btoi(o.Name == Labels)])
		}
	}
	return text
}

func btoi(is bool) int {
	if is {
		return 1
	}
	return 0
}

// Labels is the option that lists labels.
const Labels = "labelscontext"

// own are the metrics, and the options that only they have.
var own = map[string][]string{
	"dns": {"query", "ignoreaaaa"}, "drop": nil, "flow": nil, "flows-to-world": {"any-drop", "port", "syn-only"}, "http": {"exemplars"},
	"httpV2": {"exemplars"}, "icmp": nil, "kafka": nil, "policy": nil, "port-distribution": nil, "sctp": nil, "tcp": nil,
}

// ends are the options that say which words name an end of a flow.
var ends = []string{
	"sourcecontext", "sourceegresscontext", "sourceingresscontext", "destinationcontext", "destinationegresscontext", "destinationingresscontext",
}

// Contexts are the words that name an end of a flow.
var Contexts = []string{
	"identity", "namespace", "pod", "pod-name", "dns", "ip", "reserved-identity", "workload", "workload-name", "app",
}

// LabelNames are those that labelsContext may list, in the order in which series have them.
var LabelNames = []string{
	"source_ip", "source_pod", "source_namespace", "source_workload", "source_workload_kind", "source_app",
	"destination_ip", "destination_pod", "destination_namespace", "destination_workload", "destination_workload_kind", "destination_app",
	"traffic_direction",
}

// Parse reads a list. An error names all that makes no sense; the metrics beside it are valid.
func Parse(text string) (list []Metric, err error) {
	var wrong []error
	for word := range strings.FieldsSeq(text) {
		for _, one := range elements(word) {
			m, err := parse(one)
			switch {
			case err != nil:
				wrong = append(wrong, err)
			case slices.ContainsFunc(list, func(o Metric) bool { return o.Name == m.Name }):
				wrong = append(wrong, fmt.Errorf("%s is there twice: the first one counts", m.Name))
			case slices.ContainsFunc(list, func(o Metric) bool { return conflict(o.Name, m.Name) }):
				wrong = append(wrong, fmt.Errorf("%s and %s count the same: the first one counts", "http", "httpV2"))
			default:
				list = append(list, m)
			}
		}
	}
	return list, errors.Join(wrong...)
}

func conflict(a, b string) bool { return a == "http" && b == "httpV2" || a == "httpV2" && b == "http" }

// elements parts a word at commas that belong to no option.
func elements(word string) []string {
	word = strings.Trim(word, `[]`)
	if word == "-" {
		return nil
	}
	var out []string
	for {
		head, tail, more := strings.Cut(word, ",")
		if !more || strings.Contains(head, ":") && !strings.HasSuffix(head, `"`) {
			break
		}
		out, word = append(out, head), tail
	}
	out = append(out, word)
	for i, w := range out {
		out[i] = strings.Trim(w, `"'`)
	}
	return slices.DeleteFunc(out, func(w string) bool { return w == "" })
}

func parse(word string) (Metric, error) {
	name, options, _ := strings.Cut(word, ":")
	m := Metric{Name: name}
	allowed, known := own[name]
	if !known {
		return m, fmt.Errorf("%q is no metric: there are %s", name, strings.Join(names(), ", "))
	}
	for option := range strings.SplitSeq(options, ";") {
		if option == "" {
			continue
		}
		key, values, _ := strings.Cut(option, "=")
		o := Option{Name: strings.ToLower(key)}
		by := "|"
		if o.Name == Labels {
			by = ","
		}
		for v := range strings.SplitSeq(values, by) {
			if v != "" {
				o.Values = append(o.Values, v)
			}
		}
		switch {
		case slices.Contains(ends, o.Name):
			for i, v := range o.Values {
				o.Values[i] = strings.ToLower(v)
			}
			if err := among(o.Values, Contexts); err != nil {
				return m, fmt.Errorf("%s: %s %w", name, key, err)
			}
		case o.Name == Labels:
			if err := among(o.Values, LabelNames); err != nil {
				return m, fmt.Errorf("%s: %s %w", name, key, err)
			}
		case !slices.Contains(allowed, o.Name):
			return m, fmt.Errorf("%s has no option %q", name, key)
		}
		if m.Has(o.Name) {
			return m, fmt.Errorf("%s has %s twice", name, key)
		}
		m.Options = append(m.Options, o)
	}
	return m, nil
}

func among(values, allowed []string) error {
	if len(values) == 0 {
		return fmt.Errorf("has no value: it takes %s", strings.Join(allowed, ", "))
	}
	for _, v := range values {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("has %q: it takes %s", v, strings.Join(allowed, ", "))
		}
	}
	return nil
}

func names() (out []string) {
	for name := range own {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
