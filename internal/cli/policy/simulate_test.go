package policy

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/goldentest"
)

func TestRecordedTrafficIsHeldAgainstANewPolicy(t *testing.T) {
	out, err := run(t, "", nil, "simulate", "-f", "testdata/simulate/new.yaml", "--current", "testdata/shop", "--flows", "testdata/simulate/flows.json")
	if err == nil || err.Error() != "2 connections would be newly denied" {
		t.Error(err)
	}
	goldentest.Equal(t, "testdata/simulate.txt", out)

	// Lines in another order, and from standard input, say the same.
	text, err := os.ReadFile("testdata/simulate/flows.json")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
		lines[i], lines[j] = lines[j], lines[i]
	}
	again, _ := run(t, strings.Join(lines, "\n"), nil, "simulate", "-f", "testdata/simulate/new.yaml", "--current", "testdata/shop", "--flows", "-")
	if again != out {
		t.Errorf("%s\nis not\n%s", again, out)
	}
}

func TestANewPolicyThatIsStagedIsSimulatedAsEnforced(t *testing.T) {
	text, err := os.ReadFile("testdata/simulate/new.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/simulate.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"audit", "stage"} {
		file := filepath.Join(t.TempDir(), "new.yaml")
		staged := strings.Replace(string(text), "namespace: shop}", "namespace: shop, annotations: {policy.weftnet.io/mode: "+mode+"}}", 1)
		if err := os.WriteFile(file, []byte(staged), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := run(t, "", nil, "simulate", "-f", file, "--current", "testdata/shop", "--flows", "testdata/simulate/flows.json")
		note := "CiliumNetworkPolicy shop/db is not enforced by its annotation policy.weftnet.io/mode: simulated as if it were\n"
		if out != string(want)+note {
			t.Errorf("%s:\n%s", mode, out)
		}
	}
}

func TestTheSamePoliciesChangeNothing(t *testing.T) {
	out, err := run(t, "", nil, "simulate", "-f", "testdata/shop/policies.yaml", "--current", "testdata/shop", "--flows", "testdata/simulate/flows.json", "-o", "json")
	var r result
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || len(r.NewlyDenied)+len(r.NewlyAllowed) != 0 || r.Allowed == 0 || r.Denied == 0 {
		t.Errorf("%v %s", err, out)
	}
}

func TestFlowsComeFromTheAgentWithSince(t *testing.T) {
	asked := ""
	env := Environment{Out: &strings.Builder{}, Err: &strings.Builder{}, Flows: func(_ context.Context, server, _, since string, each func(*flowpb.Flow) error) error {
		asked = server + " " + since
		return each(&flowpb.Flow{})
	}}
	c := Command(env)
	c.SetArgs([]string{"simulate", "-f", "testdata/simulate/new.yaml", "--current", "testdata/shop", "--since", "1h"})
	if err := c.ExecuteContext(t.Context()); err != nil || asked != "unix:///var/run/cilium/hubble.sock 1h" {
		t.Error(err, asked)
	}
	for _, line := range []string{"simulate --since 1h", "simulate -f x --current y", "simulate -f x --current y --kubeconfig z --since 1h", "simulate -f x --current y --flows z --since 1h", "simulate x"} {
		if _, err := run(t, "", nil, strings.Fields(line)...); !mistake.Is(err) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := run(t, "{\"flow\": 7}\n", nil, "simulate", "-f", "testdata/simulate/new.yaml", "--current", "testdata/shop", "--flows", "-"); err == nil || !strings.HasPrefix(err.Error(), "-:1: not a flow") {
		t.Error(err)
	}
}
