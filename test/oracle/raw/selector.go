package raw

import (
	"slices"
	"strings"
)

// Requirement is one condition of a label selector. Without a source in its key it is about labels of any source.
type Requirement struct {
	Key, Operator string
	Values        []string
}

// In asks for one of some values.
func In(key string, values ...string) Requirement { return Requirement{key, "In", values} }

// Exists asks for any value.
func Exists(key string) Requirement { return Requirement{key, "Exists", nil} }

// Requirements reads matchLabels and matchExpressions, which are ANDed.
func Requirements(selector Object) (out []Requirement) {
	for key, value := range Sub(selector, "matchLabels") {
		wanted, _ := value.(string)
		out = append(out, In(key, wanted))
	}
	for _, e := range Objects(selector, "matchExpressions") {
		out = append(out, Requirement{Text(e, "key"), Text(e, "operator"), Texts(e, "values")})
	}
	return out
}

// Prefixed reads a selector whose keys are plain, as those of labels that begin so.
func Prefixed(selector Object, prefix string) []Requirement {
	out := Requirements(selector)
	for i := range out {
		out[i].Key = prefix + out[i].Key
	}
	return out
}

// Split parts a key into source and name.
func Split(key string) (source, name string) {
	source, name, ok := strings.Cut(key, ":")
	if !ok {
		return "any", key
	}
	if source == "" {
		return "any", name
	}
	return source, name
}

// All tells whether labels meet every requirement.
func All(requirements []Requirement, labels map[string]string) bool {
	for _, r := range requirements {
		source, name := Split(r.Key)
		var values []string
		for label, value := range labels {
			s, n := Split(label)
			if n == name && (source == "any" || source == s) {
				values = append(values, value)
			}
		}
		in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(r.Values, v) })
		holds := false
		switch r.Operator {
		case "In":
			holds = in
		case "NotIn":
			holds = !in
		case "Exists":
			holds = len(values) > 0
		case "DoesNotExist":
			holds = len(values) == 0
		}
		if !holds {
			return false
		}
	}
	return true
}

// Problems lists what is not valid about a selector of Kubernetes: values belong to In and NotIn, and to them alone.
func Problems(selector Object) (out []string) {
	for _, r := range Requirements(selector) {
		if r.Key == "" {
			out = append(out, "empty key")
		}
		switch r.Operator {
		case "In", "NotIn":
			if len(r.Values) == 0 {
				out = append(out, "no values")
			}
		case "Exists", "DoesNotExist":
			if len(r.Values) > 0 {
				out = append(out, "values")
			}
		default:
			out = append(out, "no such operator")
		}
	}
	return out
}

// Sourced gives labels a source.
func Sourced(source string, labels map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range labels {
		out[source+":"+key] = value
	}
	return out
}
