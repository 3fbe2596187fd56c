//go:build e2e

package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	refusedPolicy = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: refused, namespace: default}
spec:
  endpointSelector: {}
  ingress:
  - fromEndpoints: [{}]
    fromEntities: [world]
`
	doubtfulPolicy = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: doubtful, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: none-such}}
  ingress: []
  egress: [{toEntities: [all]}]
`
	refusedNetwork = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: refused, namespace: default}
spec: {config: '{"cniVersion": "1.0.0", "master": "ens1"}'}
`
	doubtfulNetwork = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: doubtful, namespace: default}
spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens1", "ipam": {"type": "static", "addresses": [{"address": "172.20.5.0/24"}]}}'}
`
)

// tried is what an API server says to a policy that it is shown and does not keep, and whether it would have taken it.
func tried(t *testing.T, policy, namespace string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir(), "bin/weft-lab"), "kubectl", "--", "create", "--dry-run=server", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.Replace(policy, "namespace: default", "namespace: "+namespace, 1))
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// weft runs the command line of this machine on files, away from any node.
func weft(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir(), "bin/weft"), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	return string(out)
}

// findings are those of weft policy check, as text: field and what it does.
func findings(t *testing.T, policy string) (texts []string) { return findingsOf(t, "policy", policy) }

// findingsOf are those of weft policy check, or of weft net check.
func findingsOf(t *testing.T, what, object string) (texts []string) {
	t.Helper()
	var report struct {
		Findings []struct{ Severity, Field, Does string }
	}
	out := weft(t, object, what, "check", "-q", "-o", "json", "-f", "-")
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&report); err != nil || len(report.Findings) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range report.Findings {
		texts = append(texts, f.Field+": "+f.Does)
	}
	return texts
}

// needWebhook skips where the chart was installed without webhook.enabled.
func needWebhook(t *testing.T) {
	t.Helper()
	if kubectl(t, "", "get", "validatingwebhookconfiguration", "weft-policies", "--ignore-not-found") == "" {
		t.Skip("the lab has no webhook: weft-lab up --set webhook.enabled=true")
	}
	eventually(t, "the webhook refuses what it must", func() (string, bool) {
		out, taken := tried(t, refusedPolicy, "default")
		return out, !taken
	})
}

func TestAPolicyIsRefusedOrWarnedAboutInTheWordsOfCheck(t *testing.T) {
	needWebhook(t)
	out, _ := tried(t, refusedPolicy, "default")
	for _, text := range findings(t, refusedPolicy) {
		if !strings.Contains(out, `admission webhook "policies.weftnet.io" denied the request`) || !strings.Contains(out, text) {
			t.Errorf("%s\nhas not: %s", out, text)
		}
	}
	text := findings(t, doubtfulPolicy)[0]
	if out, taken := tried(t, doubtfulPolicy, "default"); !taken || !strings.Contains(out, "Warning: "+text) {
		t.Errorf("%s\nhas not: %s", out, text)
	}
	kubectl(t, doubtfulPolicy, "apply", "-f", "-")
	t.Cleanup(func() { kubectlAfter(t, "delete", "cnp", "doubtful") })
	eventually(t, "the status says the same", func() (string, bool) {
		message := kubectl(t, "", "get", "cnp", "doubtful", "-o", `jsonpath={.status.conditions[?(@.type=="Valid")].message}`)
		return message, strings.Contains(message, text)
	})
}

func TestANetworkIsRefusedOrWarnedAboutInTheWordsOfCheck(t *testing.T) {
	needWebhook(t)
	out, taken := tried(t, refusedNetwork, "default")
	for _, text := range findingsOf(t, "net", refusedNetwork) {
		if taken || !strings.Contains(out, `admission webhook "networks.weftnet.io" denied the request`) || !strings.Contains(out, text) {
			t.Errorf("%s\nhas not: %s", out, text)
		}
	}
	text := findingsOf(t, "net", doubtfulNetwork)[0]
	if out, taken := tried(t, doubtfulNetwork, "default"); !taken || !strings.Contains(out, "Warning: "+text) {
		t.Errorf("%s\nhas not: %s", out, text)
	}
}

func TestTheWebhookSurvivesTheLossOfItsCertificateAndOfItsOperator(t *testing.T) {
	needWebhook(t)
	bundle := func() string {
		return kubectl(t, "", "get", "validatingwebhookconfiguration", "weft-policies", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
	}
	before := bundle()
	kubectl(t, "", "-n", "kube-system", "delete", "secret", "weft-webhook")
	kubectl(t, "", "-n", "kube-system", "delete", "pod", "-l", "name=cilium-operator", "--wait=false")
	eventually(t, "another authority is trusted, and the webhook refuses again", func() (string, bool) {
		if bundle() == before {
			return "the old authority is trusted", false
		}
		out, taken := tried(t, refusedPolicy, "default")
		return out, !taken
	})
}

func TestWhileNoOperatorAnswersTheFailurePolicyDecidesForTheNamespacesThatAreChosen(t *testing.T) {
	needWebhook(t)
	replicas := kubectl(t, "", "-n", "kube-system", "get", "deployment", "cilium-operator", "-o", "jsonpath={.spec.replicas}")
	patch := func(policy, selector string) string {
		return `[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"` + policy + `"},{"op":"replace","path":"/webhooks/0/namespaceSelector","value":` + selector + `}]`
	}
	const exempt = `{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system"]}]}`
	t.Cleanup(func() {
		kubectlAfter(t, "patch", "validatingwebhookconfiguration", "weft-policies", "--type=json", "-p", patch("Ignore", "{}"))
		kubectlAfter(t, "-n", "kube-system", "scale", "deployment", "cilium-operator", "--replicas="+replicas)
		kubectlAfter(t, "-n", "kube-system", "rollout", "status", "deployment", "cilium-operator", "--timeout=2m")
	})
	kubectl(t, "", "-n", "kube-system", "scale", "deployment", "cilium-operator", "--replicas=0")
	eventually(t, "with Ignore it is taken unchecked", func() (string, bool) { return tried(t, refusedPolicy, "default") })
	kubectl(t, "", "patch", "validatingwebhookconfiguration", "weft-policies", "--type=json", "-p", patch("Fail", exempt))
	eventually(t, "with Fail nothing is taken", func() (string, bool) {
		out, taken := tried(t, doubtfulPolicy, "default")
		return out, !taken && strings.Contains(out, `failed calling webhook "policies.weftnet.io"`)
	})
	if out, taken := tried(t, doubtfulPolicy, "kube-system"); !taken {
		t.Errorf("namespace kube-system is left out, but: %s", out)
	}
}
