package identity

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var genLabels = rapid.MapOf(
	rapid.OneOf(rapid.SampledFrom([]string{"k8s:a", "k8s:a-b", "k8s:a.b", "reserved:a", "a", "k8s:a=b", "k8s:x;k8s:a", "k8s:%3B"}), rapid.StringN(1, 8, -1)),
	rapid.OneOf(rapid.SampledFrom([]string{"", "v", "k8s:a=1", "1;k8s:a=2;", "%", "%25", "=", ";"}), rapid.String()))

func TestLabelsAreTheirMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genLabels.Draw(t, "labels")
		l := NewLabels(m)
		if !maps.Equal(l.Map(), m) {
			t.Fatalf("%q has map %v, made from %v", l, l.Map(), m)
		}
		if l.Len() != len(m) {
			t.Fatalf("%q has length %d, made from %v", l, l.Len(), m)
		}
		var keys []string
		for key := range l.All() {
			keys = append(keys, key)
		}
		if !slices.Equal(keys, slices.Sorted(maps.Keys(m))) {
			t.Fatalf("%q yields %q, not in order", l, keys)
		}
		for _, key := range append(keys, "k8s:a", "a", "", "=", ";") {
			have, ok := l.Value(key)
			if want, wantOK := m[key]; have != want || ok != wantOK {
				t.Fatalf("%q has %q=%q (%v), made from %v", l, key, have, ok, m)
			}
		}
		for _, key := range []string{"a", "a-b", "b", "a=b"} {
			var want []string
			for _, full := range keys {
				if source, name, ok := strings.Cut(full, ":"); ok && name == key && !strings.Contains(source, ":") {
					want = append(want, m[full])
				}
			}
			if have := slices.Collect(l.ValuesOf(key)); !slices.Equal(have, want) {
				t.Fatalf("%q has values %q of %s, want %q", l, have, key, want)
			}
		}
		again, err := ParseLabels(l.String())
		if err != nil || again != l || l != NewLabels(maps.Clone(m)) {
			t.Fatalf("%q parses as %q: %v", l, again, err)
		}
		if (l == Labels{}) != (len(m) == 0) {
			t.Fatalf("%v: empty is not zero", m)
		}
	})
}

func FuzzParseLabels(f *testing.F) {
	f.Add("")
	f.Add(";")
	f.Add("k8s:app=web;k8s:io.kubernetes.pod.namespace=default;")
	f.Add("k8s:b=1;k8s:a=%3B%25")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLabels(text)
		if err != nil {
			return
		}
		if again, err := ParseLabels(l.String()); err != nil || again != l {
			t.Errorf("%q is %q, which parses as %q: %v", text, l, again, err)
		}
		if NewLabels(l.Map()) != l {
			t.Errorf("%q is %q, but not the labels of its map", text, l)
		}
	})
}

func TestBadLabelTextIsRefusedWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"k8s:app":              `"k8s:app" is not of the form`,
		"k8s:a=1;;":            `"" is not of the form`,
		"=1":                   `"=1" is not of the form`,
		"k8s:a=1;b=2;k8s:a=2;": `key "k8s:a" occurs twice`,
	} {
		if _, err := ParseLabels(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAPodIsItsLabelsAndWhereItLives(t *testing.T) {
	pod := map[string]string{
		"app": "web", "app.kubernetes.io/name": "web", "pod-template-hash": "5d4", "controller-uid": "1",
		"kubernetes.io/arch": "amd64", "topology.beta.kubernetes.io/zone": "a", "statefulset.kubernetes.io/pod-name": "web-0",
		"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": "uid", "kubevirt.io/nodeName": "n1", "kubevirt.io/migrationJobUID": "uid",
		"kubevirt.io/domain": "vm", "vm.kubevirt.io/name": "vm", "vmi.kubevirt.io/id": "vm",
		// Lies about where it lives.
		"io.kubernetes.pod.namespace": "kube-system", "io.cilium.k8s.policy.cluster": "other",
		"io.cilium.k8s.namespace.labels.admin": "yes", "io.cilium.k8s.policy.serviceaccount": "root",
	}
	namespace := map[string]string{"team": "blue", "kubernetes.io/metadata.name": "shop"}
	tests := []struct {
		patterns string
		want     string
	}{
		{"", `k8s:app=web k8s:app.kubernetes.io/name=web k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop
			k8s:io.cilium.k8s.namespace.labels.team=blue k8s:io.cilium.k8s.policy.cluster=default k8s:io.cilium.k8s.policy.serviceaccount=sa
			k8s:io.kubernetes.pod.namespace=shop k8s:kubevirt.io=virt-launcher k8s:kubevirt.io/domain=vm`},
		{`!kubevirt k8s:!app !io\.cilium\.k8s\.namespace\.labels\.kubernetes`, `k8s:io.cilium.k8s.namespace.labels.team=blue
			k8s:io.cilium.k8s.policy.cluster=default k8s:io.cilium.k8s.policy.serviceaccount=sa
			k8s:io.kubernetes.pod.namespace=shop k8s:app.kubernetes.io/name=web`},
		{`k8s:kubevirt\.io/domain reserved:x`, `k8s:app.kubernetes.io/name=web k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop
			k8s:io.cilium.k8s.namespace.labels.team=blue k8s:io.cilium.k8s.policy.cluster=default k8s:io.cilium.k8s.policy.serviceaccount=sa
			k8s:io.kubernetes.pod.namespace=shop k8s:kubevirt.io/domain=vm`},
	}
	for _, test := range tests {
		f, err := NewFilter(strings.Fields(test.patterns))
		if err != nil {
			t.Fatal(err)
		}
		have := ForPod(f, "default", "shop", "sa", pod, namespace)
		want, err := ParseLabels(strings.Join(strings.Fields(test.want), ";"))
		if err != nil {
			t.Fatal(err)
		}
		if have != want {
			t.Errorf("labels %q\nhave %s\nwant %s", test.patterns, have, want)
		}
	}
}

func TestABadPatternIsRefused(t *testing.T) {
	for _, pattern := range []string{"k8s:", "!", "k8s:!", "k8s:("} {
		if _, err := NewFilter([]string{pattern}); err == nil {
			t.Errorf("%q is accepted", pattern)
		}
	}
}

func TestProbingVisitsEveryNumberOfItsCluster(t *testing.T) {
	start := Candidate(NewLabels(map[string]string{"k8s:app": "web"}), 7)
	seen := map[Number]bool{}
	for n := start; !seen[n]; n = Next(n, 7) {
		if n>>16 != 7 || n&0xffff < 256 {
			t.Fatalf("%d is not a number of cluster 7", n)
		}
		seen[n] = true
	}
	if len(seen) != 65280 || !seen[start] {
		t.Errorf("%d numbers", len(seen))
	}
	if Next(0, 0) != 256 || Next(65535, 0) != 256 {
		t.Error("probing leaves its range")
	}
}

func TestReservedNumbersHaveNamesAndLabels(t *testing.T) {
	for _, n := range ReservedNumbers() {
		if !n.IsReserved() || n.Name() == "" || Reserved(n).String() != "reserved:"+n.Name()+"=;" {
			t.Errorf("%d %q %s", n, n.Name(), Reserved(n))
		}
	}
	if len(ReservedNumbers()) != 10 || World.Name() != "world" || Number(300).Name() != "" || Number(300).IsReserved() || Number(0).IsReserved() {
		t.Error("wrong reserved numbers")
	}
	if (Reserved(300) != Labels{}) {
		t.Error("300 has reserved labels")
	}
}

func BenchmarkValue(b *testing.B) {
	l := ForPod(Filter{}, "default", "shop", "default", map[string]string{"app": "web", "tier": "front"}, map[string]string{"kubernetes.io/metadata.name": "shop"})
	for b.Loop() {
		l.Value("k8s:io.kubernetes.pod.namespace")
	}
}

func BenchmarkForPod(b *testing.B) {
	for b.Loop() {
		ForPod(Filter{}, "default", "shop", "default", map[string]string{"app": "web", "pod-template-hash": "5d"}, map[string]string{"kubernetes.io/metadata.name": "shop"})
	}
}
