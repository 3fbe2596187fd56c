package cyclonus

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/mattfenwick/cyclonus/pkg/generator"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		_ = flag.Set("rapid.checks", "50") // each is thousands of packets
	}
	os.Exit(m.Run())
}

func TestEachStepOfCyclonusOwnCasesMeansTheSameToBoth(t *testing.T) {
	namespaces := []string{"x", "y", "z"}
	cases, steps, packets := 0, 0, 0
	for _, allowDNS := range []bool{true, false} {
		g := generator.NewTestCaseGenerator(allowDNS, newCluster().pods["z/c"].address, namespaces, nil, nil)
		for _, test := range g.GenerateAllTestCases() {
			cases++
			t.Run(fmt.Sprint(cases, " ", test.Description), func(t *testing.T) {
				c := newCluster()
				for _, step := range test.Steps {
					steps++
					for _, action := range step.Actions {
						c.do(t, action)
					}
					packets += c.agree(t)
				}
			})
		}
	}
	t.Logf("%d cases, %d steps, %d packets", cases, steps, packets)
	if cases < 200 {
		t.Errorf("cyclonus has %d cases, want 200 or more", cases)
	}
}

// do changes the cluster as a step of a case asks.
func (c *cluster) do(t *testing.T, a *generator.Action) {
	policyKey := func(p *networkingv1.NetworkPolicy) string { return p.Namespace + "/" + p.Name }
	switch {
	case a.CreatePolicy != nil:
		c.policies[policyKey(a.CreatePolicy.Policy)] = a.CreatePolicy.Policy
	case a.UpdatePolicy != nil:
		c.policies[policyKey(a.UpdatePolicy.Policy)] = a.UpdatePolicy.Policy
	case a.DeletePolicy != nil:
		delete(c.policies, a.DeletePolicy.Namespace+"/"+a.DeletePolicy.Name)
	case a.CreateNamespace != nil:
		labels := maps.Clone(a.CreateNamespace.Labels)
		labels[corev1.LabelMetadataName] = a.CreateNamespace.Namespace
		c.namespaces[a.CreateNamespace.Namespace] = labels
	case a.SetNamespaceLabels != nil:
		labels := maps.Clone(a.SetNamespaceLabels.Labels)
		labels[corev1.LabelMetadataName] = a.SetNamespaceLabels.Namespace
		c.namespaces[a.SetNamespaceLabels.Namespace] = labels
	case a.DeleteNamespace != nil:
		delete(c.namespaces, a.DeleteNamespace.Namespace)
		maps.DeleteFunc(c.pods, func(_ string, p *pod) bool { return p.namespace == a.DeleteNamespace.Namespace })
	case a.CreatePod != nil:
		c.add(a.CreatePod.Namespace, a.CreatePod.Pod, fmt.Sprintf("192.168.9.%d", len(c.pods)), a.CreatePod.Labels)
	case a.SetPodLabels != nil:
		c.pods[a.SetPodLabels.Namespace+"/"+a.SetPodLabels.Pod].labels = a.SetPodLabels.Labels
	case a.DeletePod != nil:
		delete(c.pods, a.DeletePod.Namespace+"/"+a.DeletePod.Pod)
	case a.ReadNetworkPolicies != nil:
	default:
		t.Fatalf("an action that is not known: %+v", a)
	}
}

func TestRandomPoliciesMeanTheSameToBoth(t *testing.T) {
	packets := 0
	rapid.Check(t, func(r *rapid.T) {
		c := newCluster()
		for _, p := range slices.Sorted(maps.Keys(c.pods)) { // names of ports stand for other numbers in other pods
			if rapid.Bool().Draw(r, "other ports") {
				c.pods[p].ports = []corev1.ContainerPort{
					{Name: "serve-80-tcp", ContainerPort: 81, Protocol: corev1.ProtocolTCP}, {Name: "serve-80-udp", ContainerPort: 53, Protocol: corev1.ProtocolUDP},
				}
				c.pods[p].labels["other"] = p[2:] // C5: pods of one identity share their names in egress
			} else {
				c.pods[p].labels["other"] = "none"
			}
		}
		for i := range rapid.IntRange(1, 4).Draw(r, "policies") {
			p := policies.Draw(r, "policy")
			p.Name = fmt.Sprint("p", i)
			c.policies[p.Namespace+"/"+p.Name] = p
		}
		packets += c.agree(r)
	})
	t.Logf("%d packets", packets)
}
