package policy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"weftnet.io/weftnet/internal/cli/manifests"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/goldentest"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/source/kube/inventory"
)

// inCluster runs a command line where a kubeconfig file is the name of a folder, whose manifests the cluster has.
func inCluster(t *testing.T, in string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	env := Environment{In: strings.NewReader(in), Out: &out, Err: &out}
	env.Cluster = func(_ context.Context, kubeconfig string) ([]*manifest.Object, error) {
		if kubeconfig == "" {
			return nil, errors.New("which cluster?")
		}
		objects, _, err := manifests.Read(env.In, []string{kubeconfig})
		for _, o := range objects {
			o.File = inventory.File
		}
		return objects, err
	}
	env.Get = func(context.Context, string, string, any) error { return syscall.ECONNREFUSED }
	c := Command(env)
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestAClusterAnswersAsItsManifestsWould(t *testing.T) {
	for _, line := range []string{
		"explain --from tools/metrics --to node:worker:10250",
		"explain --from node:control --to shop/web:80 -o json",
		"effective node:control",
	} {
		words := strings.Fields(line)
		asked, err := inCluster(t, "", append(words, "--kubeconfig", "testdata/nodes")...)
		files, filesErr := inCluster(t, "", append(words, "-f", "testdata/nodes")...)
		if asked != files || err != nil || filesErr != nil {
			t.Errorf("%s: %v %v\n%s\n%s", line, err, filesErr, asked, files)
		}
	}
	_, err := inCluster(t, "", "explain", "--from", "a/b", "--to", "c/d:1")
	if err == nil || err.Error() != "connection refused; away from nodes, --kubeconfig FILE asks the API server" {
		t.Error(err)
	}
	if _, err = inCluster(t, "", "effective", "a/b", "-f", "x", "--kubeconfig", "y"); !mistake.Is(err) {
		t.Error(err)
	}
}

const additions = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: wbe}}
  egress:
  - toCIDR: [192.168.7.2/32]
    toPorts: [{ports: [{port: "22", protocol: TCP}]}]
  - toCIDR: [10.244.3.0/24]
    toPorts: [{ports: [{port: "22", protocol: TCP}]}]
`

func TestFilesAreCheckedAsAdditionsToACluster(t *testing.T) {
	out, err := inCluster(t, additions, "check", "-q", "-f", "-", "--kubeconfig", "testdata/nodes", "--pod-cidr", "10.244.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"stdin:8:14: warning: cnp shop/web spec.egress[0].toCIDR[0]: 192.168.7.2/32 lies in 192.168.7.2/32, where nodes live",
		"10.244.3.0/24 lies in 10.244.0.0/16, where pods live",
		"stdin:6:3: warning: cnp shop/web spec.endpointSelector",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nhas not: %s", out, want)
		}
	}
	if strings.Contains(out, inventory.File+":") || strings.Contains(out, "ccnp") {
		t.Errorf("it speaks of what is in the cluster:\n%s", out)
	}
}

const redirects = `
apiVersion: cilium.io/v2
kind: CiliumLocalRedirectPolicy
metadata: {name: headless, namespace: shop}
spec:
  redirectFrontend: {serviceMatcher: {serviceName: web, namespace: shop}}
  redirectBackend: {localEndpointSelector: {}, toPorts: [{port: "80", protocol: TCP}]}
---
apiVersion: cilium.io/v2
kind: CiliumLocalRedirectPolicy
metadata: {name: pod, namespace: shop}
spec:
  redirectFrontend: {addressMatcher: {ip: 10.77.1.9, toPorts: [{port: "80", protocol: TCP}]}}
  redirectBackend: {localEndpointSelector: {}, toPorts: [{port: "80", protocol: TCP}]}
---
apiVersion: cilium.io/v2
kind: CiliumLocalRedirectPolicy
metadata: {name: metadata, namespace: shop}
spec:
  redirectFrontend: {addressMatcher: {ip: 10.78.1.9, toPorts: [{port: "80", protocol: TCP}]}}
  redirectBackend: {localEndpointSelector: {}, toPorts: [{port: "80", protocol: TCP}]}
`

func TestPrefixesOfPodsAreThoseOfNodesWhereKubernetesGivesThem(t *testing.T) {
	cluster := filepath.Join(t.TempDir(), "cluster.yaml")
	err := os.WriteFile(cluster, []byte(`
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data: {ipam: kubernetes, enable-local-redirect-policy: "true"}
---
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: {name: worker}
spec: {ipam: {podCIDRs: [10.77.1.0/24]}, addresses: [{type: InternalIP, ip: 192.168.7.2}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: None, ports: [{port: 80, protocol: TCP}]}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	out, err := inCluster(t, redirects, "check", "-q", "-f", "-", "--kubeconfig", cluster)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"shop/headless spec.redirectFrontend.serviceMatcher.serviceName: service shop/web has no cluster address",
		"shop/pod spec.redirectFrontend.addressMatcher.ip: 10.77.1.9 is of the addresses of pods (10.77.1.0/24)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nhas not: %s", out, want)
		}
	}
	if strings.Contains(out, "shop/metadata") {
		t.Errorf("10.78.1.9 is no pod's:\n%s", out)
	}
}

const nodeFlows = `
{"flow":{"verdict":"FORWARDED","node_name":"default/worker","IP":{"source":"10.244.1.7","destination":"192.168.7.2"},"l4":{"TCP":{"destination_port":22}},"source":{"identity":256,"namespace":"tools","labels":["k8s:io.kubernetes.pod.namespace=tools","k8s:app=metrics"],"pod_name":"metrics"},"destination":{"identity":1,"labels":["reserved:host"]}}}
{"flow":{"verdict":"FORWARDED","node_name":"default/worker","IP":{"source":"192.168.7.1","destination":"192.168.7.2"},"l4":{"TCP":{"destination_port":22}},"source":{"identity":6,"labels":["reserved:remote-node"]},"destination":{"identity":1,"labels":["reserved:host"]}}}
{"flow":{"verdict":"FORWARDED","node_name":"default/control","IP":{"source":"192.168.7.1","destination":"192.168.7.2"},"l4":{"TCP":{"destination_port":22}},"source":{"identity":1,"labels":["reserved:host"]},"destination":{"identity":6,"labels":["reserved:remote-node"]}}}
`

func TestFlowsOfNodesAreHeldAgainstANewPolicyForNodes(t *testing.T) {
	out, err := inCluster(t, nodeFlows, "simulate", "-f", "testdata/nodes/policies.yaml", "--kubeconfig", "testdata/nodes/nodes.yaml", "--flows", "-")
	if err == nil || err.Error() != "1 connection would be newly denied" {
		t.Error(err)
	}
	goldentest.Equal(t, "testdata/simulate-nodes.txt", out)
	if _, err = inCluster(t, nodeFlows, "simulate", "-f", "testdata/nodes/policies.yaml", "--flows", "-"); err == nil || err.Error() != "which cluster?; without a cluster: --current FILE" {
		t.Error(err)
	}
}

const members = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: pg, namespace: data}
spec: {template: {metadata: {labels: {app: pg}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: pg-0, namespace: data, labels: {app: pg, statefulset.kubernetes.io/pod-name: pg-0}}
---
apiVersion: v1
kind: Pod
metadata: {name: pg-1, namespace: data, labels: {app: pg, statefulset.kubernetes.io/pod-name: pg-1}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: first, namespace: data}
spec:
  podSelector: {matchLabels: {statefulset.kubernetes.io/pod-name: pg-0}}
  policyTypes: [Ingress]
`

func TestLabelsThatIdentitiesLeaveOutAreSeen(t *testing.T) {
	if out, err := inCluster(t, members, "check", "-q", "-f", "-"); err != nil || strings.Contains(out, "no workload here") {
		t.Errorf("%v\n%s", err, out)
	}
	// Nor do templates have the labels that a controller adds.
	onlyTheSet := strings.ReplaceAll(strings.ReplaceAll(members, "kind: Pod\n", "kind: ConfigMap\n"), "pg-0}}\n  policyTypes", "pg-2}}\n  policyTypes")
	if out, err := inCluster(t, onlyTheSet, "check", "-q", "-f", "-"); err != nil || strings.Contains(out, "no workload here") {
		t.Errorf("%v\n%s", err, out)
	}
	for to, want := range map[string]string{"pg-0": "DENIED", "pg-1": "ALLOWED"} {
		out, err := inCluster(t, members, "explain", "-f", "-", "--from", "data/pg-1", "--to", "data/"+to+":80")
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", to, err, out)
		}
	}
}

const memberFlows = `
{"flow":{"verdict":"FORWARDED","IP":{"source":"10.0.0.2","destination":"10.0.0.1"},"l4":{"TCP":{"destination_port":80}},"source":{"identity":256,"namespace":"data","labels":["k8s:io.kubernetes.pod.namespace=data","k8s:app=pg"],"pod_name":"pg-1"},"destination":{"identity":256,"namespace":"data","labels":["k8s:io.kubernetes.pod.namespace=data","k8s:app=pg","k8s:io.cilium.k8s.policy.cluster=default"],"pod_name":"pg-0"}}}
`

func TestFlowsAreHeldAgainstAPolicyThatAsksForLabelsTheyDoNotHave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "members.yaml")
	pods, first, _ := strings.Cut(members, "---\napiVersion: networking")
	if err := os.WriteFile(file, []byte(pods), 0o600); err != nil {
		t.Fatal(err)
	}
	flows := filepath.Join(t.TempDir(), "flows.json")
	if err := os.WriteFile(flows, []byte(memberFlows), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := inCluster(t, "apiVersion: networking"+first, "simulate", "-f", "-", "--current", file, "--flows", flows)
	if err == nil || err.Error() != "1 connection would be newly denied" {
		t.Errorf("%v\n%s", err, out)
	}
}
