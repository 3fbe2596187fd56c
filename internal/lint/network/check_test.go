package network_test

import (
	"os"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/goldentest"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/lint/network"
	"weftnet.io/weftnet/internal/manifest"
)

func read(t testing.TB, files ...string) (objects []*manifest.Object, problems []manifest.Problem) {
	t.Helper()
	for _, name := range files {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		o, p := manifest.Read(name, text)
		objects, problems = append(objects, o...), append(problems, p...)
	}
	return objects, problems
}

func text(findings []lint.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

func TestEachFaultIsFoundWithWhatLiesNear(t *testing.T) {
	objects, problems := read(t, "networks.yaml", "workloads.yaml")
	goldentest.Equal(t, "testdata/findings.txt", text(network.Check(objects, problems)))
}

func TestOfNetworksThatMayBeInTheClusterNothingIsSaid(t *testing.T) {
	objects, problems := read(t, "workloads.yaml")
	for _, f := range network.Check(objects, problems) {
		if f.Check == "reference" {
			t.Error(f)
		}
	}
}

func TestWhatIsRightIsLeftAlone(t *testing.T) {
	objects, problems := manifest.Read("right.yaml", []byte(`
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: upkeep, namespace: plant}
spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens1", "ipam": {"type": "dhcp"}}'}
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: press
  namespace: plant
  annotations: {k8s.v1.cni.cncf.io/networks: '[{"name": "upkeep", "ips": ["172.20.5.9/24"]}]'}
spec:
  template:
    spec:
      domain: {devices: {interfaces: [{name: default, masquerade: {}}, {name: upkeep, bridge: {}}]}}
      networks: [{name: default, pod: {}}, {name: upkeep, multus: {networkName: upkeep}}]
---
apiVersion: v1
kind: Pod
metadata: {name: gauge, namespace: office, annotations: {k8s.v1.cni.cncf.io/networks: plant/upkeep@up}}
---
apiVersion: v1
kind: Pod
metadata: {name: plain, namespace: office}
`))
	if findings := network.Check(objects, problems); len(findings) > 0 {
		t.Error(text(findings))
	}
}

func TestAFirstNICByAnotherNetworkIsAnError(t *testing.T) {
	objects, problems := manifest.Read("first.yaml", []byte(`
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: yard, namespace: plant}
spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens1", "ipam": {"type": "dhcp"}}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: plain, namespace: kube-system}
spec: {config: '{"cniVersion": "1.0.0", "type": "cilium-cni"}'}
---
apiVersion: v1
kind: Pod
metadata: {name: gauge, namespace: plant, annotations: {v1.multus-cni.io/default-network: plain}}
---
apiVersion: v1
kind: Pod
metadata: {name: press, namespace: plant, annotations: {v1.multus-cni.io/default-network: plant/yard}}
---
apiVersion: v1
kind: Pod
metadata: {name: lost, namespace: plant, annotations: {v1.multus-cni.io/default-network: yard}}
`))
	const want = `first.yaml:18:57: error: pod plant/press metadata.annotations.v1.multus-cni.io/default-network: eth0 is made in the pod network, and not by macvlan (plant/yard), so its pod does not start
    meant: a further NIC with the default route
    fix:   ask for it in k8s.v1.cni.cncf.io/networks, with default-route
first.yaml:22:56: warning: pod plant/lost metadata.annotations.v1.multus-cni.io/default-network: there is no NetworkAttachmentDefinition kube-system/yard, so its pod does not start, unless it is in the cluster already
`
	if got := text(network.Check(objects, problems)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func FuzzCheck(f *testing.F) {
	for _, name := range []string{"networks.yaml", "workloads.yaml"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		network.Check(manifest.Read("fuzz.yaml", text))
	})
}
