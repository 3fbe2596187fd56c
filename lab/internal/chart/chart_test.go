package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weftnet.io/weftnet/lab/internal/kube"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "Chart.yaml", "apiVersion: v2\nname: sample\nversion: 0.1.0\n")
	write(t, dir, "values.yaml", "routingMode: tunnel\n")
	write(t, dir, "crds/a.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\n")
	write(t, dir, "templates/b.yaml", "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d, namespace: {{ .Release.Namespace }}}\n---\n"+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {mode: {{ .Values.routingMode }}}\n")
	write(t, dir, "templates/off.yaml", "{{ if .Values.extra }}\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n{{ end }}\n")
	return dir
}

func TestObjectsComeInInstallOrderWithCustomResourcesFirst(t *testing.T) {
	objects, err := Render(sample(t), "v1.36.3", Values{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, kube.Name(o))
	}
	want := "CustomResourceDefinition things.example.org, ConfigMap c, DaemonSet kube-system/d"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %v", got)
	}
}

func TestSetReplacesAChartValue(t *testing.T) {
	v := Values{}
	if err := Set(v, []string{"routingMode=native,extra=true"}); err != nil {
		t.Fatal(err)
	}
	objects, err := Render(sample(t), "v1.36.3", v)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.GetKind() == "ConfigMap" && o.Object["data"].(map[string]any)["mode"] != "native" {
			t.Errorf("got %v", o.Object["data"])
		}
	}
	if len(objects) != 4 {
		t.Errorf("%d objects, want 4", len(objects))
	}
}

func TestAMistakeNamesTheTemplate(t *testing.T) {
	dir := sample(t)
	write(t, dir, "templates/bad.yaml", "{{ .Values.a.b.c }}")
	if _, err := Render(dir, "v1.36.3", Values{}); err == nil || !strings.Contains(err.Error(), "bad.yaml") {
		t.Errorf("got %v", err)
	}
	if err := Set(Values{}, []string{"nonsense"}); err == nil {
		t.Error("--set nonsense was accepted")
	}
}
