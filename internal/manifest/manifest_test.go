package manifest

import (
	"fmt"
	"strings"
	"testing"
)

const text = `# two objects and a list

apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {"app.kubernetes.io/name": web}}
---
---   # nothing here
apiVersion: v1
kind: List
items:
- apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata:
    name: a
  spec:
    endpointSelector:
      matchLabels:
        k8s:io.kubernetes.pod.namespace: shop
        app: web
    ingress:
    - fromEndpoints:
      - {}
--- {apiVersion: v1, kind: Pod, metadata: {name: two}}
`

func TestObjectsKnowWhereTheirFieldsStand(t *testing.T) {
	objects, problems := Read("f", []byte(text))
	if len(objects) != 3 || len(problems) != 0 {
		t.Fatal(objects, problems)
	}
	for _, test := range []struct {
		object         int
		path, position string
	}{
		{0, "", "f:3:1"},
		{0, "metadata.labels.app.kubernetes.io/name", "f:5:49"},
		{1, "", "f:11:3"},
		{1, "spec.endpointSelector.matchLabels.k8s:io.kubernetes.pod.namespace", "f:18:9"},
		{1, "spec.ingress[0]", "f:21:7"},
		{1, "spec.ingress[0].fromEndpoints[0]", "f:22:9"},
		{1, "spec.ingress[0].fromEndpoints[0].matchLabels.app", "f:22:9"},
		{1, "spec.ingress[7].toPorts", "f:20:5"},
		{1, "specs[0]", "f:11:3"},
		{2, "metadata.name", "f:23:44"},
	} {
		if have := objects[test.object].At(test.path).String(); have != test.position {
			t.Errorf("%s of object %d stands at %s, not at %s", test.path, test.object, have, test.position)
		}
	}
	if have := fmt.Sprint(objects[0].Title(), ", ", objects[1].Title()); have != "Pod shop/web, CiliumNetworkPolicy a" {
		t.Error(have)
	}
}

func TestABrokenDocumentTakesNoOtherAlong(t *testing.T) {
	objects, problems := Read("f", []byte("a: [1\nb: 2\n---\napiVersion: v1\nkind: Pod\nkind: Pod\nmetadata: {name: x}\n---\n- 1\n---\na: 1\n---\nkind: Pod\n\tx: 1\n"))
	if len(objects) != 1 || objects[0].Name != "x" {
		t.Error(objects)
	}
	var have []string
	for _, p := range problems {
		have = append(have, p.Position.String()+" "+p.Field+": "+p.Message)
	}
	want := []string{"f:6:1 kind: the key stands twice", "f:9:1 : the document is no object", "f:11:1 : the document is no object"}
	if len(have) != 5 {
		t.Fatal(strings.Join(have, "\n"))
	}
	for i, w := range want {
		if !strings.HasPrefix(have[i+1], w) {
			t.Errorf("%s: want %s", have[i+1], w)
		}
	}
	for _, i := range []int{0, 4} {
		if !strings.Contains(have[i], "not YAML: ") {
			t.Error(have[i])
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte("a: &x {b: *x}\n---\n{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [1, {\"kind\": \"a\"}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, problems := Read("f", text)
		for _, o := range objects {
			if p := o.At("metadata.name[0].a.b"); p.Line < 1 || p.Column < 1 {
				t.Fatalf("%s at %s", o.Title(), p)
			}
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 {
				t.Fatalf("%+v", p)
			}
		}
	})
}
