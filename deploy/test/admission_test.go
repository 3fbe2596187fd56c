package test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

// admissionOf is the API server's own admission with the policies of the chart.
func admissionOf(t *testing.T, values string) *validating.Plugin {
	t.Helper()
	objects := mustRender(t, values)
	policy := find[*admissionregistrationv1.ValidatingAdmissionPolicy](t, objects, "ValidatingAdmissionPolicy/weft-agents")
	binding := find[*admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, objects, "ValidatingAdmissionPolicyBinding/weft-agents")
	// What the API server makes of fields that are not there.
	equivalent := admissionregistrationv1.Equivalent
	match := policy.Spec.MatchConstraints
	match.MatchPolicy, match.NamespaceSelector, match.ObjectSelector = &equivalent, &metav1.LabelSelector{}, &metav1.LabelSelector{}
	clients := fake.NewClientset(policy, binding, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
	informed := informers.NewSharedInformerFactory(clients, 0)
	plugin, err := validating.NewPlugin(nil)
	if err != nil {
		t.Fatal(err)
	}
	plugin.SetExternalKubeClientSet(clients)
	plugin.SetExternalKubeInformerFactory(informed)
	plugin.SetRESTMapper(meta.NewDefaultRESTMapper(nil))
	plugin.SetDynamicClient(dynamicfake.NewSimpleDynamicClient(runtime.NewScheme()))
	plugin.SetAuthorizer(authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionAllow, "", nil
	}))
	plugin.SetDrainedNotification(t.Context().Done())
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatal(err)
	}
	informed.Start(t.Context().Done())
	informed.WaitForCacheSync(t.Context().Done())
	if !plugin.WaitForReady() {
		t.Fatal("the admission is not ready")
	}
	return plugin
}

// write is a request: to make a new object of an old one, either of which may be missing.
type write struct {
	as       string // a node; whose agent it is
	resource string
	old, now string
}

const agents = "system:serviceaccount:kube-system:cilium"

func (w write) do(t *testing.T, plugin *validating.Plugin) error {
	t.Helper()
	read := func(text string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			t.Fatal(err)
		}
		return o
	}
	resource, sub, _ := strings.Cut(w.resource, "/")
	operation, named := admission.Update, w.now
	var object, old runtime.Object
	if w.now != "" {
		object = read(w.now)
	} else {
		operation, named = admission.Delete, w.old
	}
	if w.old != "" {
		old = read(w.old)
	} else {
		operation = admission.Create
	}
	info := &user.DefaultInfo{Name: agents, Extra: map[string][]string{}}
	if w.as != "" {
		info.Extra["authentication.kubernetes.io/node-name"] = []string{w.as}
	}
	if w.as == "operator" {
		info = &user.DefaultInfo{Name: agents + "-operator"}
	}
	o := read(named)
	gvk := o.GroupVersionKind()
	attributes := admission.NewAttributesRecord(object, old, gvk, o.GetNamespace(), o.GetName(),
		gvk.GroupVersion().WithResource(resource), sub, operation, nil, false, info)
	return plugin.Validate(t.Context(), attributes, admission.NewObjectInterfacesFromScheme(runtime.NewScheme()))
}

func node(name, prefixes string) string {
	return fmt.Sprintf("{apiVersion: cilium.io/v2, kind: CiliumNode, metadata: {name: %s}, spec: {ipam: {podCIDRs: [%s]}}}", name, prefixes)
}

func endpoint(labels string) string {
	return fmt.Sprintf("{apiVersion: cilium.io/v2, kind: CiliumEndpoint, metadata: {name: web, namespace: shop, labels: {%s}}}", labels)
}

func pod(node, app, phase string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: %s}}, spec: {nodeName: %s}, status: {phase: %s}}", app, node, phase)
}

func podInterface(labels, node string) string {
	return fmt.Sprintf("{apiVersion: weftnet.io/v1alpha1, kind: PodInterface, metadata: {name: web-1, namespace: shop, labels: {%s}}, spec: {node: %s}}", labels, node)
}

func identity(labels string) string {
	return fmt.Sprintf("{apiVersion: cilium.io/v2, kind: CiliumIdentity, metadata: {name: '4711'}, security-labels: {%s}}", labels)
}

func lease(name string) string {
	return fmt.Sprintf("{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: %s, namespace: kube-system}}", name)
}

// addresses is a block of which NICs of these nodes hold an address each.
func addresses(nodes ...string) string {
	var used []string
	for i, n := range nodes {
		used = append(used, fmt.Sprintf("10.0.0.%d: {holders: [{node: %s, container: c, interface: net1, pod: shop/web}]}", i+1, n))
	}
	return fmt.Sprintf("{apiVersion: weftnet.io/v1alpha1, kind: AddressBlock, metadata: {name: b-10.0.0.0}, spec: {prefix: 10.0.0.0/28, node: n2, used: {%s}}}", strings.Join(used, ", "))
}

const (
	mine   = "weftnet.io/node: n1"
	theirs = "weftnet.io/node: n2"
)

var (
	long   = strings.Repeat("n", 64)
	digest = "weftnet.io/node: " + strings.Repeat("0", 31) + "a"
)

func TestANodeSpeaksForItselfAlone(t *testing.T) {
	plugin := admissionOf(t, "")
	for what, w := range map[string]write{
		"makes its CiliumNode":                 {"n1", "ciliumnodes", "", node("n1", "10.0.1.0/24")},
		"changes its CiliumNode":               {"n1", "ciliumnodes", node("n1", "10.0.1.0/24"), node("n1", "10.0.1.0/24")},
		"takes the prefixes of its Node":       {"n1", "ciliumnodes", node("n1", ""), node("n1", "10.0.1.0/24")},
		"writes the status of its CiliumNode":  {"n1", "ciliumnodes/status", node("n1", ""), node("n1", "")},
		"begins a block of addresses":          {"n1", "addressblocks", "", addresses("n1")},
		"takes an address of another's block":  {"n1", "addressblocks", addresses("n2"), addresses("n2", "n1")},
		"gives back an address":                {"n1", "addressblocks", addresses("n2", "n1"), addresses("n2")},
		"gives back a block":                   {"n1", "addressblocks", addresses(), ""},
		"renews its hold on addresses":         {"n1", "leases", "", lease("weft-addresses.n1")},
		"publishes a pod":                      {"n1", "ciliumendpoints", "", endpoint(mine)},
		"changes a pod's endpoint":             {"n1", "ciliumendpoints", endpoint(mine), endpoint(mine)},
		"withdraws a pod":                      {"n1", "ciliumendpoints", endpoint(mine), ""},
		"publishes a pod under its long name":  {long, "ciliumendpoints", "", endpoint(digest)},
		"claims a number":                      {"n1", "ciliumidentities", "", identity("k8s:app: web")},
		"takes a mark off":                     {"n1", "ciliumidentities", identity("k8s:app: web"), identity("k8s:app: web")},
		"says which networks its pod has":      {"n1", "pods/status", pod("n1", "web", "Running"), pod("n1", "web", "Running")},
		"says which addresses its pod has":     {"n1", "podinterfaces", "", podInterface(mine, "n1")},
		"takes an address of its pod back":     {"n1", "podinterfaces", podInterface(mine, "n1"), ""},
		"is the operator, which gives":         {"operator", "ciliumnodes", node("n2", "10.0.1.0/24"), node("n2", "10.0.2.0/24")},
		"is the operator, which clears up":     {"operator", "ciliumendpoints", endpoint(theirs), ""},
		"is the operator, which collects":      {"operator", "ciliumidentities", identity("k8s:app: web"), ""},
		"is the operator, which removes nodes": {"operator", "ciliumnodes", node("n2", ""), ""},
	} {
		if err := w.do(t, plugin); err != nil {
			t.Errorf("who %s is refused: %v", what, err)
		}
	}
	for what, w := range map[string]write{
		"gives back another's address":       {"n1", "addressblocks", addresses("n2"), addresses()},
		"takes an address for another":       {"n1", "addressblocks", addresses(), addresses("n2")},
		"puts itself in another's place":     {"n1", "addressblocks", addresses("n2"), addresses("n1")},
		"removes another's addresses":        {"n1", "addressblocks", addresses("n2"), ""},
		"renews another's hold":              {"n1", "leases", lease("weft-addresses.n2"), lease("weft-addresses.n2")},
		"takes the operator's place":         {"n1", "leases", lease("cilium-operator-resource-lock"), lease("cilium-operator-resource-lock")},
		"makes another's CiliumNode":         {"n1", "ciliumnodes", "", node("n2", "")},
		"changes another's CiliumNode":       {"n1", "ciliumnodes", node("n2", ""), node("n2", "")},
		"removes another's CiliumNode":       {"n1", "ciliumnodes", node("n2", ""), ""},
		"writes another's status":            {"n1", "ciliumnodes/status", node("n2", ""), node("n2", "")},
		"takes another's prefix":             {"n1", "ciliumnodes", node("n1", "10.0.1.0/24"), node("n1", "10.0.2.0/24")},
		"publishes another's pod":            {"n1", "ciliumendpoints", "", endpoint(theirs)},
		"publishes a pod of no node":         {"n1", "ciliumendpoints", "", endpoint("")},
		"changes another's endpoint":         {"n1", "ciliumendpoints", endpoint(theirs), endpoint(theirs)},
		"takes over another's endpoint":      {"n1", "ciliumendpoints", endpoint(theirs), endpoint(mine)},
		"takes over an endpoint of no node":  {"n1", "ciliumendpoints", endpoint(""), endpoint(mine)},
		"gives its endpoint away":            {"n1", "ciliumendpoints", endpoint(mine), endpoint(theirs)},
		"withdraws another's pod":            {"n1", "ciliumendpoints", endpoint(theirs), ""},
		"takes a digest for its short name":  {"n1", "ciliumendpoints", "", endpoint(digest)},
		"takes a name for its digest":        {long, "ciliumendpoints", endpoint(theirs), endpoint(digest)},
		"gives a number other labels":        {"n1", "ciliumidentities", identity("k8s:app: web"), identity("k8s:app: db")},
		"deletes a number":                   {"n1", "ciliumidentities", identity("k8s:app: web"), ""},
		"writes a pod of another node":       {"n1", "pods/status", pod("n2", "web", "Running"), pod("n2", "web", "Running")},
		"gives its pod other labels":         {"n1", "pods/status", pod("n1", "web", "Running"), pod("n1", "db", "Running")},
		"says how its pod is":                {"n1", "pods/status", pod("n1", "web", "Pending"), pod("n1", "web", "Running")},
		"speaks of another's pod":            {"n1", "podinterfaces", "", podInterface(theirs, "n2")},
		"speaks as another":                  {"n1", "podinterfaces", "", podInterface(mine, "n2")},
		"speaks as no node":                  {"n1", "podinterfaces", "", podInterface("", "n1")},
		"takes another's word back":          {"n1", "podinterfaces", podInterface(theirs, "n2"), ""},
		"takes over another's word":          {"n1", "podinterfaces", podInterface(theirs, "n2"), podInterface(mine, "n1")},
		"has a token of no node, and claims": {"", "ciliumidentities", "", identity("k8s:app: web")},
		"has a token of no node":             {"", "ciliumnodes", "", node("n1", "")},
	} {
		err := w.do(t, plugin)
		if err == nil {
			t.Errorf("who %s is let", what)
		} else if !strings.Contains(err.Error(), "agent") && !strings.Contains(err.Error(), "number") || strings.Contains(err.Error(), "expression") {
			t.Errorf("who %s is told: %v", what, err)
		}
	}
}

func TestInModeKubernetesAnAgentBringsThePrefixesOfItsNode(t *testing.T) {
	plugin := admissionOf(t, "{config: {ipam: kubernetes}}")
	w := write{"n1", "ciliumnodes", node("n1", "10.0.1.0/24"), node("n1", "10.0.2.0/24")}
	if err := w.do(t, plugin); err != nil {
		t.Error(err)
	}
}

func TestTheAdmissionPolicyIsThereUnlessItIsNotWanted(t *testing.T) {
	if _, there := mustRender(t, "{nodeAdmission: false}")["ValidatingAdmissionPolicy/weft-agents"]; there {
		t.Error("it is there")
	}
}
