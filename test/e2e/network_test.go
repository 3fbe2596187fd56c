//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// example is a file of examples/networks.
func example(name string) string { return filepath.Join("../../examples/networks", name) }

// attached is what a pod's annotation network-status says of its NICs.
func attached(t *testing.T, pod string) map[string]nicStatus {
	t.Helper()
	text := kubectl(t, "", "-n", plant, "get", "pod", pod, "-o", `jsonpath={.metadata.annotations.k8s\.v1\.cni\.cncf\.io/network-status}`)
	var list []nicStatus
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("network-status of %s: %v: %s", pod, err, text)
	}
	out := map[string]nicStatus{}
	for _, s := range list {
		out[s.Interface] = s
	}
	return out
}

type nicStatus struct {
	Name, Interface string
	IPs             []string
	Default         bool
}

// plant is the namespace of the example.
const plant = "plant"

// reaches tells whether a pod connects, and what its program said.
func reaches(t *testing.T, from, to string) (string, bool) {
	t.Helper()
	out, err := lab(t, "", "kubectl", "--", "-n", plant, "exec", from, "--", "/agnhost", "connect", to, "--timeout=2s")
	return out, err == nil
}

// connects fails the test unless it does.
func connects(t *testing.T, from, to string) {
	t.Helper()
	if out, ok := reaches(t, from, to); !ok {
		t.Errorf("%s does not reach %s: %s", from, to, out)
	}
}

// nodeOf is the node of a pod.
func nodeOf(t *testing.T, pod string) string {
	t.Helper()
	return kubectl(t, "", "-n", plant, "get", "pod", pod, "-o", "jsonpath={.spec.nodeName}")
}

// onWire is the pod of a further definition of the same wire, on the node of another pod or away from it.
func onWire(t *testing.T, name, definition, address, beside string) {
	t.Helper()
	kubectl(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"`+name+`","namespace":"`+plant+`","labels":{"app":"`+name+`"},
		"annotations":{"k8s.v1.cni.cncf.io/networks":"[{\"name\":\"`+definition+`\",\"interface\":\"net1\",\"ips\":[\"`+address+`\"]}]"}},
		"spec":{"terminationGracePeriodSeconds":0,"nodeName":"`+beside+`","containers":[{"name":"main","image":"`+image+`","args":["netexec","--http-port=8080"]}]}}`, "apply", "-f", "-")
	kubectl(t, "", "-n", plant, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=2m")
}

// The files of examples/networks as they stand, in the order in which their README has them.
func TestPodsMeetOnAWireBesideThePodNetwork(t *testing.T) {
	if out, err := lab(t, "", "node-exec", "node1", "--", "ip", "link", "show", "ens192"); err != nil {
		t.Fatalf("the nodes of this lab have no device ens192: take it down, and up by a weft-lab that gives them one: %s", out)
	}
	t.Cleanup(func() { kubectlAfter(t, "delete", "namespace", plant, "--ignore-not-found") })
	kubectl(t, "", "apply", "-f", example("plant.yaml"))
	kubectl(t, "", "-n", plant, "wait", "--for=condition=Ready", "pod/press", "pod/gauge", "--timeout=2m")
	if press, gauge := nodeOf(t, "press"), nodeOf(t, "gauge"); press == gauge {
		t.Fatalf("press and gauge are both on %s: nothing is shown of a wire between nodes", press)
	}
	connects(t, "press", "172.20.5.12:8080")
	for pod, address := range map[string]string{"press": "172.20.5.11", "gauge": "172.20.5.12"} {
		nics := attached(t, pod)
		if n := nics["net1"]; len(nics) != 2 || !nics["eth0"].Default || n.Name != plant+"/yard" || strings.Join(n.IPs, " ") != address {
			t.Errorf("network-status of %s: %+v", pod, nics)
		}
	}

	t.Run("a second address of the pod network", func(t *testing.T) {
		kubectl(t, "", "apply", "-f", example("second.yaml"))
		kubectl(t, "", "-n", plant, "wait", "--for=condition=Ready", "pod/scale", "--timeout=2m")
		nics := attached(t, "scale")
		if len(nics["net1"].IPs) == 0 {
			t.Fatalf("network-status of scale: %+v", nics)
		}
		for _, a := range append(nics["eth0"].IPs, nics["net1"].IPs...) {
			if strings.Contains(a, ":") {
				a = "[" + a + "]"
			}
			connects(t, "gauge", a+":8080")
		}
	})

	t.Run("one more NIC while a pod runs, and one less", plugged)
	t.Run("an additional network of OpenShift", additional)
	t.Run("policy at the second NIC", guarded)
}

// plugged edits the annotation of press as the README does.
func plugged(t *testing.T) {
	const annotation, first = "k8s.v1.cni.cncf.io/networks=", `{"name": "yard", "interface": "net1", "ips": ["172.20.5.11/24"]}`
	ask := func(text string) {
		kubectl(t, "", "-n", plant, "annotate", "pod", "press", "--overwrite", annotation+"["+text+"]")
	}
	ask(first + `, {"name": "second", "interface": "net2"}`)
	eventually(t, "press has net2", func() (string, bool) {
		nics := attached(t, "press")
		text, _ := json.Marshal(nics)
		return string(text), len(nics["net2"].IPs) > 0
	})
	connects(t, "press", "172.20.5.12:8080")
	ask(first)
	eventually(t, "press has net2 no more", func() (string, bool) {
		nics := attached(t, "press")
		text, _ := json.Marshal(nics)
		return string(text), len(nics) == 2
	})
	connects(t, "press", "172.20.5.12:8080")
}

// additional has the operator make a definition of OpenShift's configuration.
func additional(t *testing.T) {
	const crd = "crd/networks.operator.openshift.io"
	kubectl(t, "", "apply", "-f", example("openshift-crd.yaml"))
	t.Cleanup(func() { kubectlAfter(t, "delete", crd, "--ignore-not-found") })
	kubectl(t, "", "wait", "--for=condition=Established", crd)
	kubectl(t, "", "apply", "-f", example("openshift.yaml"))
	made := func() string {
		return kubectl(t, "", "-n", plant, "get", "network-attachment-definitions", "yard-of-openshift", "--ignore-not-found", "-o", "name")
	}
	eventually(t, "the operator makes the definition", func() (string, bool) { out := made(); return out, out != "" })
	onWire(t, "rail", "yard-of-openshift", "172.20.5.13/24", nodeOf(t, "press"))
	connects(t, "rail", "172.20.5.12:8080")
	connects(t, "press", "172.20.5.13:8080")
	kubectl(t, "", "-n", plant, "delete", "pod", "rail")
	kubectl(t, "", "delete", "networks.operator.openshift.io", "cluster")
	eventually(t, "the definition goes with it", func() (string, bool) { out := made(); return out, out == "" })
}

// guarded closes the further NICs of the namespace, and looks for the flow of what is denied.
func guarded(t *testing.T) {
	kubectl(t, "", "annotate", "namespace", plant, "weftnet.io/policy-networks=all")
	onWire(t, "rail", "yard", "172.20.5.14/24", nodeOf(t, "press"))
	connects(t, "rail", "172.20.5.12:8080")
	kubectl(t, "", "apply", "-f", example("plant-policy.yaml"))
	eventually(t, "rail does not reach gauge by the wire", func() (string, bool) {
		out, ok := reaches(t, "rail", "172.20.5.12:8080")
		return out, !ok
	})
	connects(t, "press", "172.20.5.12:8080")
	connects(t, "gauge", "172.20.5.14:8080")

	node := nodeOf(t, "gauge")
	on := func(args ...string) string {
		out, err := lab(t, "", append([]string{"node-exec", node, "--", filepath.Join(dir(), "bin/weft")}, args...)...)
		if err != nil {
			t.FailNow()
		}
		return out
	}
	for line := range strings.Lines(on("net", "list", plant+"/gauge")) {
		if f := strings.Fields(line); len(f) > 8 && f[1] == "net1" && strings.Join(f[len(f)-3:], " ") != "yes yes ready" {
			t.Errorf("weft net list: %s", line)
		}
	}
	of := func(definition string) string {
		return on("observe", "--verdict", "DROPPED", "--since", "5m", "-o", "json", "--cel-expression",
			`_flow.extensions.destination.attachment == "`+plant+"/"+definition+`"`)
	}
	eventually(t, "a flow of the network says which policy denied it", func() (string, bool) {
		out := of("yard")
		for line := range strings.Lines(out) {
			var r struct {
				Flow struct {
					verdict
					Source, Destination struct {
						PodName string `json:"pod_name"`
					}
				}
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if f := r.Flow; f.Source.PodName == "rail" && f.Destination.PodName == "gauge" && f.IP.Destination == "172.20.5.12" && strings.Join(f.by(), " ") == "netpol "+plant+"/gauge" {
				return line, true
			}
		}
		return out, false
	})
	if out := of("second"); strings.Contains(out, "172.20.5.12") {
		t.Errorf("flows of another network: %s", out)
	}
}
