package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	kubeyaml "sigs.k8s.io/yaml"

	"weftnet.io/weftnet/deploy"
	"weftnet.io/weftnet/internal/kind"
)

// schema is what the API server holds an object against: the part of OpenAPI that our CRDs use.
type schema struct {
	Type        string             `json:"type"`
	Properties  map[string]*schema `json:"properties"`
	Values      *schema            `json:"additionalProperties"`
	Items       *schema            `json:"items"`
	Required    []string           `json:"required"`
	Enum        []string           `json:"enum"`
	Pattern     *pattern           `json:"pattern"`
	Minimum     *float64           `json:"minimum"`
	Maximum     *float64           `json:"maximum"`
	MinLength   *int               `json:"minLength"`
	MaxLength   *int               `json:"maxLength"`
	MinItems    int                `json:"minItems"`
	MaxItems    *int               `json:"maxItems"`
	MinFields   int                `json:"minProperties"`
	MaxFields   *int               `json:"maxProperties"`
	IntOrString bool               `json:"x-kubernetes-int-or-string"`
	ListType    string             `json:"x-kubernetes-list-type"`
}

// pattern is a regular expression, compiled when the schema is read.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalText(text []byte) (err error) {
	p.Regexp, err = regexp.Compile(string(text))
	return err
}

// schemas are those of the kinds that are checked.
var schemas = func() map[string]func() *schema {
	out := map[string]func() *schema{}
	for k := range kind.ReadBy(kind.Lint) {
		out[k.Name] = sync.OnceValue(func() *schema {
			if file := k.CRD(); file != "" {
				return fromCRD(file)
			}
			return fromType(reflect.TypeOf(k.New()).Elem())
		})
	}
	return out
}()

// fromCRD reads a CRD of the chart, which is part of this program: one that cannot be read is a mistake of ours.
func fromCRD(file string) *schema {
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI *schema `json:"openAPIV3Schema"`
				}
			}
		}
	}
	text, err := deploy.Chart.ReadFile(path.Join("chart/crds", file))
	if err == nil {
		err = kubeyaml.Unmarshal(text, &crd)
	}
	if err != nil || len(crd.Spec.Versions) == 0 || crd.Spec.Versions[0].Schema.OpenAPI == nil {
		panic(fmt.Sprintf("read the embedded CRD %s: %v", file, err))
	}
	s := crd.Spec.Versions[0].Schema.OpenAPI
	s.Properties["metadata"] = fromType(reflect.TypeFor[metav1.ObjectMeta]())
	return s
}

// enums are the values of string types that the API server checks.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[corev1.Protocol]():              {"TCP", "UDP", "SCTP"},
	reflect.TypeFor[networkingv1.PolicyType]():      {"Ingress", "Egress"},
	reflect.TypeFor[metav1.LabelSelectorOperator](): {"In", "NotIn", "Exists", "DoesNotExist"},
}

// fromType makes the schema of a Go type that Kubernetes serves.
func fromType(t reflect.Type) *schema {
	switch {
	case t == reflect.TypeFor[intstr.IntOrString]():
		return &schema{IntOrString: true}
	case t == reflect.TypeFor[metav1.Time]():
		return &schema{Type: "string"}
	case t == reflect.TypeFor[metav1.FieldsV1]():
		return &schema{Type: "object"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return fromType(t.Elem())
	case reflect.Slice:
		return &schema{Type: "array", Items: fromType(t.Elem())}
	case reflect.Map:
		return &schema{Type: "object", Values: fromType(t.Elem())}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.String:
		return &schema{Type: "string", Enum: enums[t]}
	case reflect.Int32:
		low, high := float64(math.MinInt32), float64(math.MaxInt32)
		return &schema{Type: "integer", Minimum: &low, Maximum: &high}
	case reflect.Struct:
		s := &schema{Type: "object", Properties: map[string]*schema{}}
		for field := range t.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if inner := fromType(field.Type); name == "" {
				maps.Copy(s.Properties, inner.Properties)
			} else if name != "-" {
				s.Properties[name] = inner
			}
		}
		return s
	default:
		return &schema{Type: "integer"}
	}
}

// fits32 tells whether a number is one of 32 bits, as intstr.IntOrString holds it.
func fits32(value float64) bool { return value >= math.MinInt32 && value <= math.MaxInt32 }

// Kind says what a violation is about.
type Kind string

// Kinds of violations.
const (
	Unknown Kind = "unknown-field"
	Shape   Kind = "schema" // a type, a value of an enumeration, something required
	Format  Kind = "format" // a pattern, a length, a range
)

// Violation is one field in which an object is not as its schema asks.
type Violation struct {
	Kind  Kind
	Field string
	Does  string // what is there, and what comes of it
	Meant string // what was probably meant, if that can be guessed
	Fix   string // the line that says so
	Quote bool   // quotes around what is written would mend it
}

// Check holds an object's JSON against what the API server asks of its kind, which is one that
// is checked. Text that is no JSON has no violations: decoding it
// says so.
func Check(kind string, text []byte) []Violation {
	var value any
	read := schemas[kind]
	if read == nil || json.Unmarshal(text, &value) != nil {
		return nil
	}
	v := &validation{kind: kind}
	v.check(read(), value, nil)
	v.served(text)
	return v.found
}

// validation walks an object and its schema side by side.
type validation struct {
	kind  string
	found []Violation
}

func (v *validation) add(kind Kind, field, does, meant, fix string) {
	v.found = append(v.found, Violation{Kind: kind, Field: field, Does: does, Meant: meant, Fix: fix})
}

// level is one step of the way to a value.
type level struct {
	schema *schema
	field  string // path to here
}

func (v *validation) check(s *schema, value any, above []level) {
	field := ""
	if len(above) > 0 {
		field = above[len(above)-1].field
	}
	if value == nil {
		return // null is as good as absent
	}
	if !v.typed(s, value, field) {
		return
	}
	switch value := value.(type) {
	case map[string]any:
		v.object(s, value, above, field)
	case []any:
		if len(value) < s.MinItems {
			v.add(Format, field, fmt.Sprintf("it has %d elements, the min is %d", len(value), s.MinItems), "", "")
		}
		if s.MaxItems != nil && len(value) > *s.MaxItems {
			v.add(Format, field, fmt.Sprintf("it has %d elements, the max is %d", len(value), *s.MaxItems), "", "")
		}
		for i, item := range value {
			if s.ListType == "set" && slices.ContainsFunc(value[:i], func(before any) bool { return reflect.DeepEqual(before, item) }) {
				v.add(Format, fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("%v stands twice%s", item, refused), "", "leave it out")
			}
			v.check(s.Items, item, append(slices.Clone(above), level{s.Items, fmt.Sprintf("%s[%d]", field, i)}))
		}
	case string:
		v.text(s, value, field)
	case float64:
		if s.Minimum != nil && value < *s.Minimum || s.Maximum != nil && value > *s.Maximum {
			v.add(Format, field, fmt.Sprintf("%v is not between %v and %v", value, *s.Minimum, *s.Maximum), "", "")
		}
	}
}

func (v *validation) object(s *schema, value map[string]any, above []level, field string) {
	if s.Properties == nil && s.Values == nil {
		return // anything goes
	}
	for _, key := range slices.Sorted(maps.Keys(value)) {
		at := strings.TrimPrefix(field+"."+key, ".")
		next := s.Properties[key]
		if next == nil {
			next = s.Values
		}
		if next == nil {
			v.unknown(s, key, value[key], above, at)
			continue
		}
		v.check(next, value[key], append(slices.Clone(above), level{next, at}))
	}
	there := 0 // the API server takes out null before it counts
	for _, inner := range value {
		if inner != nil {
			there++
		}
	}
	if there < s.MinFields || s.MaxFields != nil && there > *s.MaxFields {
		v.fields(s, value, field)
	}
	for _, key := range s.Required {
		if value[key] == nil {
			v.add(Shape, field, fmt.Sprintf("%s is missing, so the API server refuses the object", key), "", "")
		}
	}
}

// fields notes that a mapping has not as many of its fields as it must.
func (v *validation) fields(s *schema, value map[string]any, field string) {
	for key := range value {
		if s.Properties[key] == nil && s.Values == nil {
			return // that is the finding
		}
	}
	names := strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
	if s.MaxFields != nil && *s.MaxFields == s.MinFields {
		v.add(Shape, field, fmt.Sprintf("it must have exactly %d of %s, so the API server refuses the object", s.MinFields, names), "", "")
		return
	}
	v.add(Shape, field, fmt.Sprintf("it must have at least %d of %s, so the API server refuses the object", s.MinFields, names), "", "")
}

// typed tells whether a value has the type that the schema asks for.
func (v *validation) typed(s *schema, value any, field string) bool {
	have, fix := "", ""
	switch value := value.(type) {
	case map[string]any:
		have = "object"
	case []any:
		have = "array"
	case string:
		have = "string"
	case bool:
		have, fix = "boolean", fmt.Sprintf("%q", fmt.Sprint(value))
	case float64:
		have, fix = "number", fmt.Sprintf(`"%v"`, value)
		if value == math.Trunc(value) && (!s.IntOrString || fits32(value)) {
			have = "integer"
		}
	}
	switch {
	case s.IntOrString && (have == "string" || have == "integer"), s.Type == have, s.Type == "" && !s.IntOrString:
		return true
	}
	last := field[strings.LastIndexByte(field, '.')+1:]
	quote := s.Type == "string" && fix != ""
	switch {
	case quote:
		fix = last + ": " + fix
	case s.Type == "array" && have != "array":
		fix = fmt.Sprintf("write a list: %s: [ … ], or a line that begins with a dash", last)
	case s.Type == "object" && have == "array":
		fix = "leave out the dash: one mapping, no list"
	default:
		fix = ""
	}
	want := s.Type
	if s.IntOrString {
		want = "string or an integer"
	}
	names := map[string]string{"object": "a mapping", "array": "a list", "string": "a string", "boolean": "true or false", "number": "a number", "integer": "a whole number", "string or an integer": "a whole number or a string"}
	v.add(Shape, field, fmt.Sprintf("it is %s and must be %s, so the API server refuses the object", names[have], names[want]), "", fix)
	v.found[len(v.found)-1].Quote = quote
	return false
}

func (v *validation) text(s *schema, value, field string) {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		meant, fix := entity(value, s.Enum)
		v.add(Shape, field, fmt.Sprintf("%q is not one of %s", value, strings.Join(s.Enum, ", ")), meant, fix)
	}
	if n := utf8.RuneCountInString(value); s.MaxLength != nil && n > *s.MaxLength || s.MinLength != nil && n < *s.MinLength {
		v.add(Format, field, fmt.Sprintf("%d characters are too many or too few", n), "", "")
	}
	if s.Pattern != nil && !s.Pattern.MatchString(value) {
		v.add(Format, field, fmt.Sprintf("%q is not of the form that the API server asks for", value), "", "")
	}
}
