//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// system is where the agents and the relay run.
const system = "kube-system"

// fromAfar runs weft as a person does with a kubeconfig, on a machine that is no node.
func fromAfar(t *testing.T, kubeconfig string, args ...string) (out, errs string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir(), "bin/weft"), append(args, "--weft-namespace", system)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	var said strings.Builder
	cmd.Stderr = &said
	text, err := cmd.Output()
	return string(text), said.String(), err
}

// as makes a kubeconfig of the administrator's, for the holder of a token.
func as(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := kubectl(t, "", "config", "view", "--minify", "--raw", "-o", "json")
	var config map[string]any
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	config["users"].([]any)[0].(map[string]any)["user"] = map[string]string{"token": token}
	if text, err := json.Marshal(config); err != nil || os.WriteFile(file, text, 0o600) != nil {
		t.Fatal("the kubeconfig cannot be written")
	}
	return file
}

// The API server says what a token may see: flows of one namespace, and of the others that it speaks with their names.
func TestATenantSeesFlowsOfItsNamespaceAlone(t *testing.T) {
	if kubectl(t, "", "-n", system, "get", "services", "hubble-relay", "--ignore-not-found", "-o", "name") == "" {
		t.Fatal("this cluster has no relay: weft-lab up --set hubble.relay.enabled=true")
	}
	for _, n := range []string{"e2e-a", "e2e-b"} {
		kubectl(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+n+`"}}`, "apply", "-f", "-")
		t.Cleanup(func() { kubectlAfter(t, "delete", "namespace", n, "--wait=false", "--ignore-not-found") })
		kubectl(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"`+n+`"},"spec":{"terminationGracePeriodSeconds":0,
			"containers":[{"name":"main","image":"`+image+`","args":["netexec","--http-port=8080"]}]}}`, "apply", "-f", "-")
		kubectl(t, "", "-n", n, "wait", "--for=condition=Ready", "pod/web", "--timeout=2m")
	}
	kubectl(t, "", "-n", "e2e-a", "create", "serviceaccount", "reader")
	kubectl(t, "", "-n", "e2e-a", "create", "rolebinding", "flows", "--clusterrole=weftnet-flow-reader", "--serviceaccount=e2e-a:reader")
	// The way to the relay through the API server.
	kubectl(t, `{"apiVersion":"v1","kind":"List","items":[
		{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"e2e-relay","namespace":"`+system+`"},"rules":[
			{"apiGroups":[""],"resources":["services"],"resourceNames":["hubble-relay"],"verbs":["get"]},
			{"apiGroups":[""],"resources":["pods"],"verbs":["list"]},
			{"apiGroups":[""],"resources":["pods/portforward"],"verbs":["create","get"]}]},
		{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"e2e-relay","namespace":"`+system+`"},
			"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"e2e-relay"},
			"subjects":[{"kind":"ServiceAccount","name":"reader","namespace":"e2e-a"}]}]}`, "apply", "-f", "-")
	t.Cleanup(func() { kubectlAfter(t, "-n", system, "delete", "role/e2e-relay", "rolebinding/e2e-relay") })
	address := func(n string) string {
		return kubectl(t, "", "-n", n, "get", "pod", "web", "-o", "jsonpath={.status.podIP}")
	}
	call := func(from, to string) {
		kubectl(t, "", "-n", from, "exec", "web", "--", "curl", "-sS", "-m", "10", "http://"+address(to)+":8080/hostname")
	}
	call("e2e-a", "e2e-b")
	call("e2e-b", "e2e-b")

	user := as(t, kubectl(t, "", "-n", "e2e-a", "create", "token", "reader"))
	type end struct {
		Namespace string
		PodName   string `json:"pod_name"`
		Labels    []string
	}
	eventually(t, "the tenant sees its call", func() (string, bool) {
		out, errs, err := fromAfar(t, user, "observe", "--all", "-o", "json")
		if err != nil {
			return errs, false
		}
		seen := false
		for line := range strings.Lines(out) {
			var r struct {
				Flow *struct {
					IP                  struct{ Source, Destination string }
					Source, Destination end
				}
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.Flow == nil {
				continue
			}
			ends := []end{r.Flow.Source, r.Flow.Destination}
			if !slices.ContainsFunc(ends, func(e end) bool { return e.Namespace == "e2e-a" }) {
				t.Fatalf("it sees %s", line)
			}
			for i, e := range ends {
				if e.Namespace == "e2e-b" {
					seen = true
					if e.PodName != "" || len(e.Labels) > 0 || []string{r.Flow.IP.Source, r.Flow.IP.Destination}[i] != "" {
						t.Fatalf("of another tenant it sees %s", line)
					}
				}
			}
		}
		return out, seen
	})
	if _, errs, err := fromAfar(t, as(t, "no-such-token"), "observe"); err == nil || errs == "" {
		t.Error("a token that the cluster does not know is served")
	}
	if _, errs, err := fromAfar(t, user, "status"); err == nil || !strings.Contains(errs, "forbidden") {
		t.Errorf("a tenant asks the agents: %s", errs)
	}
}

func TestAPersonWithAKubeconfigAsksAllNodes(t *testing.T) {
	admin := filepath.Join(dir(), "run/admin.kubeconfig")
	out, errs, err := fromAfar(t, admin, "table", "workloads")
	if err != nil || strings.Count(out, "== node ") != strings.Count(kubectl(t, "", "get", "nodes", "-o", "name"), "node/") {
		t.Errorf("have %s%s, %v", out, errs, err)
	}
	if out, errs, err := fromAfar(t, admin, "status", "--node", "node1"); err != nil || !strings.Contains(out, " on node1, ") {
		t.Errorf("have %s%s, %v", out, errs, err)
	}
	// Its certificate is nothing that a relay could be shown: the agents are asked.
	if out, errs, err := fromAfar(t, admin, "observe", "--last", "5", "-o", "json"); err != nil || strings.Count(out, "\n") < 5 || !strings.Contains(errs, "by exec") {
		t.Errorf("have %s%s, %v", out, errs, err)
	}
}
