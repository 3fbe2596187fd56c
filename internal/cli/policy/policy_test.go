package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/goldentest"
)

// run runs a command line.
func run(t *testing.T, in string, get func(ctx context.Context, socket, path string, into any) error, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	c := Command(Environment{In: strings.NewReader(in), Out: &out, Err: &errs, Get: get})
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(t.Context())
	return out.String() + errs.String(), err
}

func TestCheckPrintsFindingsAndFailsOnErrors(t *testing.T) {
	out, err := run(t, "", nil, "check", "-f", "testdata/check", "--pod-cidr", "10.244.0.0/16")
	if err == nil || mistake.Is(err) {
		t.Error(err)
	} else {
		out += err.Error() + "\n"
	}
	goldentest.Equal(t, "testdata/check.txt", out)

	text, readErr := os.ReadFile("testdata/check/deny.yaml")
	if readErr != nil {
		t.Fatal(readErr)
	}
	out, err = run(t, string(text), nil, "check", "-f", "-", "-q", "-o", "json")
	if err != nil {
		t.Error(err)
	}
	goldentest.Equal(t, "testdata/check.json", out)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Policies != 1 || len(r.Findings) != 1 {
		t.Error(err, r)
	}
	if _, err = run(t, string(text), nil, "check", "-f", "-", "--fail-on", "warning"); err == nil || err.Error() != "1 warning about 1 policy" {
		t.Error(err)
	}
	if out, err = run(t, "# nothing\n", nil, "check", "-f", "-", "--fail-on", "hint"); err != nil || out != "nothing to say about 0 policies\n" {
		t.Error(out, err)
	}
}

func TestAFolderMayHoldWhatIsNoObject(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"kustomization.yaml":         "resources: [a.yaml]\n",
		"values.yaml":                "image: {tag: 1}\n",
		"config.json":                `{"a": [1]}`,
		"tsconfig.json":              "{\n  // of another tool\n  \"a\": 1,\n}",
		"list.json":                  `[1, 2]`,
		"a.yaml":                     "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: shop}\nspec: {endpointSelector: {}, ingress: [{fromEntities: [all]}]}\n",
		"chart/Chart.yaml":           "name: chart\n",
		"chart/templates/a.yaml":     "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{ .Values.meta }}\n",
		"no-chart/templates/ok.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n",
	} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := run(t, "", nil, "check", "-f", folder, "--fail-on", "hint"); err != nil || out != "nothing to say about 1 policy\n" {
		t.Error(out, err)
	}
	// Who names a file says that it has objects.
	for _, name := range []string{"values.yaml", "config.json", "list.json", "tsconfig.json"} {
		if out, err := run(t, "", nil, "check", "-f", filepath.Join(folder, name)); err == nil {
			t.Error(name, out)
		}
	}
	// What is nearly an object is told wherever it is found.
	for _, text := range []string{"apiVersion: cilium.io/v2\nmetadata: {name: a}\n", "kind: CiliumNetworkPolicy\nspec: {}\n", "apiVersion: cilium.io/v2\nkind: [\n"} {
		if err := os.WriteFile(filepath.Join(folder, "b.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, "", nil, "check", "-f", folder); err == nil || !strings.Contains(out, "b.yaml:") {
			t.Error(text, out, err)
		}
	}
}

func TestCommandLinesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, line := range []string{"check", "check file.yaml", "check -f - -o yaml", "check -f - --pod-cidr x", "check -f - --fail-on never", "chek"} {
		if _, err := run(t, "", nil, strings.Fields(line)...); !mistake.Is(err) {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range []string{"check -f nowhere.yaml", "check -f " + t.TempDir()} {
		if _, err := run(t, "", nil, strings.Fields(line)...); err == nil || mistake.Is(err) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
