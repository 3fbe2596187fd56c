package schema

import (
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/language"
)

func TestNullIsAsGoodAsAbsentAndCharactersAreNotBytes(t *testing.T) {
	const before = `{"metadata":{"name":"a"},"spec":{"tier":"Admin","priority":1,"subject":{"namespaces":{}},"ingress":[`
	for _, test := range []struct{ rule, field, word string }{
		{`{"action":"Deny","from":[{"namespaces":null,"pods":{"podSelector":{}}}]}`, "", ""},
		{`{"action":"Deny","from":[{"pods":null}]}`, "spec.ingress[0].from[0]", "exactly 1 of namespaces, pods"},
		{`{"action":"Deny","from":null}`, "spec.ingress[0]", "from is missing"},
		{`{"action":"Deny","name":"` + strings.Repeat("é", 100) + `","from":[{"namespaces":{}}]}`, "", ""},
		{`{"action":"Deny","name":"` + strings.Repeat("é", 101) + `","from":[{"namespaces":{}}]}`, "spec.ingress[0].name", "101 characters"},
	} {
		found := Check(language.KindClusterNetwork, []byte(before+test.rule+`]}}`))
		if test.word == "" && len(found) > 0 || test.word != "" && (len(found) != 1 || found[0].Field != test.field || !strings.Contains(found[0].Does, test.word)) {
			t.Errorf("%s: %+v", test.rule, found)
		}
	}
}

func TestMisspellingsAreRecognised(t *testing.T) {
	for _, test := range []struct {
		word, want string
		candidates []string
	}{
		{"matchLabel", "matchLabels", []string{"matchExpressions", "matchLabels"}},
		{"toports", "toPorts", []string{"toPorts", "toNodes"}},
		{"wrld", "world", []string{"world", "all"}},
		{"xyz", "", []string{"abc"}},
		{"a", "", []string{"b"}},
		{"", "", []string{"b"}},
	} {
		if have := Closest(test.word, test.candidates); have != test.want {
			t.Errorf("%s: %q, want %q", test.word, have, test.want)
		}
	}
}

func TestWhatIsAsItsSchemaAsksHasNoViolations(t *testing.T) {
	for kind, text := range map[string]string{
		language.KindCilium:      `{"apiVersion":"cilium.io/v2","kind":"CiliumNetworkPolicy","metadata":{"name":"a","labels":{"any":"thing"},"creationTimestamp":null},"spec":{"endpointSelector":{"matchLabels":{"any":"thing"}},"ingress":[{"icmps":[{"fields":[{"type":8},{"type":"EchoReply"}]}]}]},"status":{}}`,
		language.KindClusterwide: `{"specs":[{"nodeSelector":{},"egress":[{"toEntities":["world"]}]}],"metadata":{"name":"a"}}`,
		language.KindKubernetes:  `{"metadata":{"generateName":"a-"},"spec":{"podSelector":{},"ingress":[{"ports":[{"port":"http"},{"port":80,"protocol":"TCP"}],"from":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}],"policyTypes":["Ingress"]}}`,
		"Pod":                    `{"a":1}`,
	} {
		if found := Check(kind, []byte(text)); len(found) > 0 {
			t.Errorf("%s: %+v", kind, found)
		}
	}
}

func TestViolationsNameTheirField(t *testing.T) {
	for _, test := range []struct{ text, field, word string }{
		{`{"spec":{"ingress":[{"fromEndpoints":[{"matchLabel":{}}]}]}}`, "spec.ingress[0].fromEndpoints[0].matchLabel", "no field matchLabel"},
		{`{"spec":{"ingress":{}}}`, "spec.ingress", "must be a list"},
		{`{"spec":{"endpointSelector":{"matchLabels":{"a":true}}}}`, "spec.endpointSelector.matchLabels.a", "must be a string"},
		{`{"spec":{"ingress":[{"authentication":{}}]}}`, "spec.ingress[0].authentication", "mode is missing"},
		{`{"spec":{"ingress":[{"toPorts":[{"ports":[{"port":"1","endPort":70000}]}]}]}}`, "spec.ingress[0].toPorts[0].ports[0].endPort", "not between"},
	} {
		found := Check(language.KindCilium, []byte(strings.Replace(test.text, "{", `{"metadata":{"name":"a"},`, 1)))
		if len(found) != 1 || found[0].Field != test.field || !strings.Contains(found[0].Does, test.word) {
			t.Errorf("%s: %+v", test.text, found)
		}
	}
}
