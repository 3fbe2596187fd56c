package cli

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
)

const denyAll = `{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a", "namespace": "shop"}, "spec": {"podSelector": {}, "ingress": []}}`

func TestPolicyCommandsAreReachable(t *testing.T) {
	stdin := func(text string) func(*Environment) { return func(e *Environment) { e.In = strings.NewReader(text) } }
	for _, c := range []struct {
		in, args  string
		code      int
		out, errs string
	}{
		{denyAll, "policy check -f -", 0, "nothing to say about 1 policy\n", ""},
		{"a: [", "policy check -f -", 1, "stdin:1:1: error: not YAML: did not find expected node content\n", "weft policy check: 1 error about 0 policies\n"},
		{"", "policy check", 2, "", "weft policy check: which files? -f FILE, -f FOLDER or -f -\nsee 'weft policy check --help'\n"},
		{"", "policy chekc", 2, "", "weft policy: there is no command \"chekc\"\nsee 'weft policy --help'\n"},
		{"", "policy check -x", 2, "", "weft policy check: unknown shorthand flag: 'x' in -x\nsee 'weft policy check --help'\n"},
	} {
		out, errs, code := run(t, stdin(c.in), strings.Fields(c.args)...)
		if out != c.out || errs != c.errs || code != c.code {
			t.Errorf("%s: exit status %d\n%s%s", c.args, code, out, errs)
		}
	}
	socket := agent(t, map[string]any{agentv1.PathEffective: agentv1.Effective{Of: agentv1.Party{Name: "shop/web"}}})
	out, errs, code := run(t, nil, "policy", "effective", "shop/web", "--socket", socket)
	if code != 0 || !strings.HasPrefix(out, "shop/web: \n\nWho may reach it\n  everything: no policy isolates it\n") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

func TestRecordedFlowsOfATimeAreAskedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(denyAll), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &hubble{}
	out, errs, code := run(t, nil, "policy", "simulate", "-f", file, "--current", file, "--since", "1h", "--server", serve(t, h))
	if code != 0 || !strings.Contains(out, "the flows do not say who shop/web is") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if since := h.asked.GetSince().AsTime(); !since.Equal(now.Add(-time.Hour)) || h.asked.GetNumber() != 0 && h.asked.GetNumber() != math.MaxUint64 {
		t.Error(h.asked)
	}
	if _, errs, code = run(t, nil, "policy", "simulate", "-f", file, "--current", file, "--since", "yesterday"); code != 2 {
		t.Errorf("%d %s", code, errs)
	}
}
