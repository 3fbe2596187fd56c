package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/remote/remotetest"
)

// cluster has two agents, of which that of cilium-b is not ready.
func cluster(t *testing.T) (kubeconfig string) {
	t.Helper()
	a := remotetest.New(t)
	a.Answer = func(pod string, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case agentv1.PathNodeStatus:
			_ = json.NewEncoder(w).Encode(agentv1.NodeStatus{Node: pod, Cluster: "c", Version: "v", Ready: pod == "cilium-a"})
		case agentv1.PathTables + "/pods":
			_ = json.NewEncoder(w).Encode(agentv1.Table{TableInfo: agentv1.TableInfo{Name: "pods", Synced: true}, Header: []string{"Pod"}, Cells: [][]string{{"of " + pod}}})
		default:
			http.Error(w, "no such path", http.StatusNotFound)
		}
	}
	return a.Kubeconfig(t, clientcmdapi.AuthInfo{Token: "t"})
}

func TestACommandAsksEachAgentOfAClusterAndFailsIfItDoesForAny(t *testing.T) {
	file := cluster(t)
	out, errs, code := run(t, nil, "status", "--kubeconfig", file)
	for _, want := range []string{"== node n1\nAgent  ready ", "\n== node n2\nAgent  NOT READY"} {
		if !strings.Contains(out, want) {
			t.Errorf("have %s, want %s", out, want)
		}
	}
	if want := "weft status: node n2: the agent is not ready: pods that start on this node wait for it\n"; errs != want || code != 1 {
		t.Errorf("%d: %s", code, errs)
	}
	for _, c := range []struct{ args, out, errs string }{
		{"table pods", "== node n1\nPod\nof cilium-a\n\n== node n2\nPod\nof cilium-b\n", ""},
		{"table pods --node n1", "Pod\nof cilium-a\n", ""},
		{"table pods --pod shop/web", "Pod\nof cilium-b\n", ""},
		{"table none --node n1", "", "weft table: node n1: weft-agent has no /v1/tables/none (no such path)\n"},
		{"status --node n9", "", "weft status: no agent runs on node n9: kubectl -n kube-system get pods -l k8s-app=cilium -o wide\n"},
	} {
		out, errs, _ := run(t, nil, append(strings.Fields(c.args), "--kubeconfig", file)...)
		if out != c.out || errs != c.errs {
			t.Errorf("%s: have\n%s%s", c.args, out, errs)
		}
	}
	// What programs read has no headers in it.
	if out, errs, _ := run(t, nil, "table", "pods", "-o", "json", "--kubeconfig", file); strings.Contains(out, "==") || !strings.Contains(errs, "== node n2") || strings.Count(out, `"name": "pods"`) != 2 {
		t.Errorf("have %s%s", out, errs)
	}
}

func TestAClusterIsAskedWhereNoAgentRuns(t *testing.T) {
	t.Setenv("KUBECONFIG", cluster(t))
	if out, errs, code := run(t, nil, "table", "pods", "--node", "n1"); out != "Pod\nof cilium-a\n" || code != 0 {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if out, errs, code := run(t, nil, "table", "pods"); code != 0 || !strings.Contains(out, "== node n2") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if out, errs, code := run(t, nil, "observe", "--last", "1", "-o", "json"); code != 0 || !strings.Contains(out, "relay Bearer t") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	for _, c := range []struct{ args, errs string }{
		{"status --socket /nowhere --node n1", "--socket says which agent of this node is asked"},
		{"observe --server localhost:1 --node n1", "leave one of them away"},
		{"table a b", "weft table --help"},
	} {
		if _, errs, code := run(t, nil, strings.Fields(c.args)...); code != 2 || !strings.Contains(errs, c.errs) {
			t.Errorf("%s: %d: %s", c.args, code, errs)
		}
	}
	if _, errs, code := run(t, nil, "observe", "--node", "n1", "--context", "other"); code != 1 || !strings.Contains(errs, "no flows from the cluster of the kubeconfig") {
		t.Errorf("%d: %s", code, errs)
	}
}

// Whatever keeps a person from what the agents say is said, with what to do, and the command fails.
func TestACommandSaysWhyItHasNothingFromAfar(t *testing.T) {
	api := remotetest.New(t)
	api.None = true
	file := api.Kubeconfig(t, clientcmdapi.AuthInfo{Token: "t"})
	away := filepath.Join(t.TempDir(), "away")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(away, regexp.MustCompile(`https://127.0.0.1:\d+`).ReplaceAll(text, []byte("https://127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := []string{"observe --last 1", "observe flows --since 1m", "observe agent-events --last 1", "status", "table pods", "service list"}
	for _, c := range []struct{ forbidden, args, want string }{
		{"/exec", "--kubeconfig " + file, "cannot do that"},
		{"/exec", "--node n1 --kubeconfig " + file, "cannot do that"},
		{"/pods", "--kubeconfig " + file, "cannot do that"},
		{"", "--kubeconfig /nowhere", "/nowhere"},
		{"", "--kubeconfig " + away, "connection refused"},
		{"", "--node n9 --kubeconfig " + file, "no agent runs on node n9"},
	} {
		api.Forbidden = c.forbidden
		for _, command := range commands {
			out, errs, code := run(t, nil, append(strings.Fields(command), strings.Fields(c.args)...)...)
			if code != 1 || !strings.Contains(errs, c.want) {
				t.Errorf("%s %s: exit status %d\n%s%s", command, c.args, code, out, errs)
			}
		}
	}
}
