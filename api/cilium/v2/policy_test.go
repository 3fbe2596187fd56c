package v2_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/cilium/v2alpha1"
	cncf "weftnet.io/weftnet/api/cncf/v1"
)

const manifests = "../../../test/manifest"

func decodeRule(t *testing.T, text string) v2.Rule {
	t.Helper()
	var rule v2.Rule
	if err := yaml.UnmarshalStrict([]byte(text), &rule); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	return rule
}

// TestEmptyNilAndAbsentSurviveARoundTrip holds the rows of the table of
// meanings: each text must come back as it was, after decode, copy and encode.
func TestEmptyNilAndAbsentSurviveARoundTrip(t *testing.T) {
	for _, text := range []string{
		"{}",
		"endpointSelector: {}",
		"nodeSelector: {}",
		"ingress: []",
		"ingress:\n- {}",
		"ingressDeny: []",
		"egress: []",
		"egress:\n- {}",
		"egressDeny: []",
		"ingress:\n- fromEndpoints: []",
		"ingress:\n- fromEndpoints:\n  - {}",
		"ingress:\n- fromCIDR: []",
		"ingress:\n- fromCIDRSet: []",
		"ingress:\n- fromEntities: []",
		"ingress:\n- fromNodes: []",
		"ingress:\n- fromGroups: []",
		"ingress:\n- fromRequires: []",
		"ingress:\n- icmps: []",
		"ingress:\n- toPorts: []",
		"ingress:\n- toPorts:\n  - {}",
		"ingress:\n- toPorts:\n  - ports: []",
		"ingress:\n- toPorts:\n  - rules: {}",
		"ingress:\n- toPorts:\n  - rules:\n      http: []",
		"ingress:\n- toPorts:\n  - rules:\n      http:\n      - {}",
		"ingress:\n- toPorts:\n  - serverNames: []",
		"ingressDeny:\n- toPorts:\n  - ports: []",
		"egress:\n- toEndpoints: []",
		"egress:\n- toFQDNs: []",
		"egress:\n- toServices: []",
		"enableDefaultDeny: {}",
		"enableDefaultDeny:\n  ingress: false",
	} {
		rule := decodeRule(t, text)
		got, err := yaml.Marshal(rule.DeepCopy())
		if err != nil {
			t.Fatalf("encode %q: %v", text, err)
		}
		if strings.TrimSpace(string(got)) != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
}

func TestAbsentAndEmptyDifferInGo(t *testing.T) {
	absent, empty := decodeRule(t, "{}"), decodeRule(t, "ingress: []")
	if absent.Ingress != nil || empty.Ingress == nil {
		t.Errorf("absent ingress is %#v, empty is %#v", absent.Ingress, empty.Ingress)
	}
	peers := decodeRule(t, "ingress: [{}, {fromEndpoints: []}, {fromEndpoints: [{}]}]").Ingress
	if peers[0].FromEndpoints != nil || peers[1].FromEndpoints == nil || len(peers[2].FromEndpoints) != 1 {
		t.Errorf("fromEndpoints absent, [], [{}] are %#v", peers)
	}
}

func TestRulesAreThatOfSpecAndThoseOfSpecsInOrder(t *testing.T) {
	var policy v2.CiliumNetworkPolicy
	text := "spec: {description: a}\nspecs: [{description: b}, {description: c}]"
	if err := yaml.UnmarshalStrict([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rule := range policy.Rules() {
		got = append(got, rule.Description)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Error(diff)
	}
	if got := (&v2.CiliumClusterwideNetworkPolicy{}).Rules(); len(got) != 0 {
		t.Errorf("a policy without rules has %d", len(got))
	}
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v2.AddToScheme, v2alpha1.AddToScheme, cncf.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSchemeKnowsEachKindAndItsList(t *testing.T) {
	types := scheme(t).AllKnownTypes()
	ours := 0
	for gvk := range types {
		if !strings.Contains(gvk.Group, "cilium.io") && !strings.Contains(gvk.Group, "cncf.io") ||
			gvk.Version == runtime.APIVersionInternal || !strings.HasPrefix(types[gvk].PkgPath(), "weftnet.io/") {
			continue
		}
		ours++
		if kind, list := strings.CutSuffix(gvk.Kind, "List"); list {
			if _, ok := types[gvk.GroupVersion().WithKind(kind)]; !ok {
				t.Errorf("%v has no kind", gvk)
			}
		} else if _, ok := types[gvk.GroupVersion().WithKind(gvk.Kind+"List")]; !ok {
			t.Errorf("%v has no list", gvk)
		}
	}
	if ours != 28 {
		t.Errorf("%d kinds and lists, want 28", ours)
	}
}

func TestSampleManifestsDecodeStrictlyAndSurviveARoundTrip(t *testing.T) {
	s := scheme(t)
	decoder := serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDeserializer()
	decoded := 0
	err := filepath.WalkDir(manifests, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, doc := range bytes.Split(text, []byte("\n---\n")) {
			obj, _, err := decoder.Decode(doc, nil, nil)
			if runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) || runtime.IsMissingVersion(err) {
				continue
			}
			if err != nil {
				t.Errorf("%s: %v\n%s", path, err, doc)
				continue
			}
			decoded++
			again, err := yaml.Marshal(obj)
			if err != nil {
				t.Fatal(err)
			}
			var want, got map[string]any
			if err := yaml.Unmarshal(doc, &want); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal(again, &got); err != nil {
				t.Fatal(err)
			}
			// matchLabels: {} and no matchLabels mean the same.
			dropEmptyLabels(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s changed in a round trip:\n%s", path, diff)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if decoded < 20 {
		t.Errorf("only %d objects decoded", decoded)
	}
}

func dropEmptyLabels(v any) {
	switch v := v.(type) {
	case map[string]any:
		if labels, ok := v["matchLabels"]; ok && reflect.DeepEqual(labels, map[string]any{}) {
			delete(v, "matchLabels")
		}
		for _, child := range v {
			dropEmptyLabels(child)
		}
	case []any:
		for _, child := range v {
			dropEmptyLabels(child)
		}
	}
}
