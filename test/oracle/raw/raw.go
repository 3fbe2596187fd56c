// Package raw reads objects as people wrote them: members of decoded JSON, and label selectors.
//
// # The world it models
//
// An Object is what encoding/json makes of text. A selector is a list of requirements, all of which labels must meet; a
// label has its source before its name:
//
//	{"matchLabels": {"app": "web"}}   Requirements      app in [web]         of whatever source
//	                                  Prefixed "k8s:"   k8s:app in [web]     of source k8s
//
// # Invariants
//
//   - A member that is absent, null or of another type is as good as empty.
//   - It shares no code with the project.
//
// # Example
//
//	spec := raw.Sub(policy, "spec")
//	raw.All(raw.Prefixed(raw.Sub(spec, "podSelector"), "k8s:"), labels)
package raw

import "strconv"

// Object is an object as JSON has it: map[string]any, []any, string, float64, bool, nil.
type Object = map[string]any

// Sub is a member that is an object.
func Sub(o Object, key string) Object {
	inner, _ := o[key].(Object)
	return inner
}

// Text is a member that is a string.
func Text(o Object, key string) string {
	value, _ := o[key].(string)
	return value
}

// Number is a member that is a number, without what stands behind its point.
func Number(o Object, key string) int {
	value, _ := o[key].(float64)
	return int(value)
}

// Objects is a member that is a list of objects.
func Objects(o Object, key string) []Object { return list[Object](o, key) }

// Texts is a member that is a list of strings.
func Texts(o Object, key string) []string { return list[string](o, key) }

func list[T any](o Object, key string) (out []T) {
	items, _ := o[key].([]any)
	for _, item := range items {
		inner, _ := item.(T)
		out = append(out, inner)
	}
	return out
}

// There tells whether a member is neither absent nor null.
func There(o Object, key string) bool { return o[key] != nil }

// At is the path of an element of a list.
func At(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// Labels are those of an object's metadata.
func Labels(o Object) map[string]string { return texts(Sub(Sub(o, "metadata"), "labels")) }

// Annotations are those of an object's metadata.
func Annotations(o Object) map[string]string { return texts(Sub(Sub(o, "metadata"), "annotations")) }

func texts(o Object) map[string]string {
	out := map[string]string{}
	for key, value := range o {
		out[key], _ = value.(string)
	}
	return out
}
