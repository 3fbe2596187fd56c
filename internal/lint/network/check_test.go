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

func TestAddressesThatAreAskedForFitTheRangesThatTheyAreOf(t *testing.T) {
	const definitions = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lan, namespace: plant}
spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens1", "ipam": {"type": "weft", "range": "10.0.200.0/24", "exclude": ["10.0.200.0/28"], "gateway": "10.0.200.1"}}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: hall, namespace: plant}
spec: {config: '{"cniVersion": "1.0.0", "type": "bridge", "bridge": "br1", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.7.0.0/24"}]]}}'}
---
`
	pod := func(ips, name string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: gauge, namespace: plant, annotations: {k8s.v1.cni.cncf.io/networks: '[{\"name\": \"" + name + "\", \"ips\": [" + ips + "]}]'}}\n"
	}
	for _, c := range []struct{ what, of, want string }{
		{"of the range", pod(`"10.0.200.77/24"`, "lan"), ""},
		{"without a length", pod(`"10.0.200.77"`, "lan"), ""},
		{"of no subnet", pod(`"10.0.201.77/24"`, "lan"), "error: plant/lan asks for 10.0.201.77, which is not in the network's subnet 10.0.200.0/24"},
		{"of another family", pod(`"fd00::9/64"`, "lan"), "error: plant/lan asks for fd00::9, and the network has no subnet of that family"},
		{"excluded", pod(`"10.0.200.9/24"`, "lan"), "hint: plant/lan asks for 10.0.200.9, which is excluded from what the network gives (10.0.200.0/28): that is right if it is kept for this workload, and a conflict if a machine has it"},
		{"the gateway", pod(`"10.0.200.1/24"`, "lan"), "error: plant/lan asks for 10.0.200.1, the network's gateway"},
		{"the subnet's own, without its length", pod(`"10.0.200.0"`, "lan"), "error: plant/lan asks for 10.0.200.0/24, the subnet's own address, which no NIC can have"},
		{"broadcast", pod(`"10.0.200.255/24"`, "lan"), "error: plant/lan asks for 10.0.200.255, the last address of 10.0.200.0/24: packets to it are for all (broadcast)"},
		{"twice in one pod", pod(`"10.0.200.77", "10.0.200.77"`, "lan"), "error: 10.0.200.77 on ens1 is asked for twice"},
		{"of a plugin's own ranges", pod(`"10.8.0.9/24"`, "hall"), "warning: plant/hall asks for 10.8.0.9, which is not in the network's subnet 10.7.0.0/24"},
		{"broadcast of a plugin's own ranges", pod(`"10.7.0.255/24"`, "hall"), "error: plant/hall asks for 10.7.0.255, the last address of 10.7.0.0/24: packets to it are for all (broadcast)"},
		{"by each pod of a Deployment", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: mill, namespace: plant}
spec: {replicas: 3, template: {metadata: {annotations: {k8s.v1.cni.cncf.io/networks: '[{"name": "lan", "ips": ["10.0.200.77/24"]}]'}}}}
`, "error: each of its 3 pods asks for 10.0.200.77 on ens1"},
	} {
		objects, problems := manifest.Read("some.yaml", []byte(definitions+c.of))
		var list []string
		for _, f := range network.Check(objects, problems) {
			if f.Check == "address" || f.Check == "conflict" {
				list = append(list, string(f.Severity)+": "+f.Does)
			}
		}
		if got := strings.Join(list, "; "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

func TestADefinitionNamesAnOverlayNetwork(t *testing.T) {
	const files = `
apiVersion: weftnet.io/v1alpha1
kind: OverlayNetwork
metadata: {name: blue}
spec: {subnets: [10.66.0.0/24]}
---
apiVersion: weftnet.io/v1alpha1
kind: OverlayNetwork
metadata: {name: broken}
spec: {subnets: [10.66.0.1/24]}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: blue, namespace: plant}
spec: {config: '{"cniVersion": "1.0.0", "type": "cilium-cni", "network": "blue"}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: blau, namespace: plant}
spec: {config: '{"cniVersion": "1.0.0", "type": "cilium-cni", "network": "bluw"}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: part, namespace: plant}
spec: {config: '{"cniVersion": "1.0.0", "type": "cilium-cni", "network": "blue", "ipam": {"type": "weft", "range": "10.67.0.0/24"}}'}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: plant, annotations: {k8s.v1.cni.cncf.io/networks: '[{"name": "blue", "ips": ["10.67.0.5"]}]'}}
`
	const want = `f.yaml:10:18: error: overlaynetwork broken spec.subnets[0]: 10.66.0.1/24 is an address in 10.66.0.0/24: write the subnet itself
f.yaml:20:8: error: nad plant/blau spec.config: network: there is no OverlayNetwork bluw, so no pod starts that asks for this
    meant: blue
    fix:   "network": "blue"
f.yaml:25:8: error: nad plant/part spec.config: ipam.range: 10.67.0.0/24 lies in no subnet of overlay network blue (10.66.0.0/24)
f.yaml:29:55: error: pod plant/web metadata.annotations.k8s.v1.cni.cncf.io/networks: plant/blue asks for 10.67.0.5, which is not in the network's subnet 10.66.0.0/24
`
	objects, problems := manifest.Read("f.yaml", []byte(files))
	var errors []lint.Finding
	for _, f := range network.Check(objects, problems) {
		if f.Severity != lint.Hint {
			errors = append(errors, f)
		}
	}
	if got := text(errors); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestAMachineIsHeldAgainstItsPodAndServices(t *testing.T) {
	objects, problems := read(t, "networks.yaml", "machines.yaml")
	goldentest.Equal(t, "testdata/machines.txt", text(only(network.Check(objects, problems), "machines.yaml")))
}

func only(findings []lint.Finding, file string) (list []lint.Finding) {
	for _, f := range findings {
		if f.File == file {
			list = append(list, f)
		}
	}
	return list
}
