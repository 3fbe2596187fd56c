package claim

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

const claims = "/apis/k8s.cni.cncf.io/v1alpha1/namespaces/shop/ipamclaims/"

// world is an API server with a Keeper.
type world struct {
	*testing.T
	*apitest.Server
	keeper *Keeper
}

func newWorld(t *testing.T) *world {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cncfv1.AddToScheme, claimv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	definition := cncfv1.SchemeGroupVersion.WithKind("NetworkAttachmentDefinition")
	mapper.AddSpecific(definition, cncfv1.SchemeGroupVersion.WithResource(cncfv1.NetworkAttachmentDefinitionResource),
		cncfv1.SchemeGroupVersion.WithResource("network-attachment-definition"), meta.RESTScopeNamespace)
	mapper.Add(claimv1.SchemeGroupVersion.WithKind("IPAMClaim"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	for _, kind := range []string{"VirtualMachine", "VirtualMachineInstance"} {
		mapper.Add(schema.GroupVersionKind{Group: "kubevirt.io", Version: "v1", Kind: kind}, meta.RESTScopeNamespace)
	}
	server := apitest.New(t)
	server.Serve(cncfv1.NetworkAttachmentDefinitionResource, claimv1.IPAMClaimResource, "virtualmachines", "virtualmachineinstances")
	c, err := client.New(server.Config(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t, server, &Keeper{Client: c, Live: c, Log: slog.New(slog.DiscardHandler)}}
	w.define("plant", `{"cniVersion": "1.0.0", "name": "plant-lan", "type": "macvlan", "master": "ens192", "allowPersistentIPs": true, "ipam": {"type": "weft", "range": "10.0.0.0/24"}}`)
	w.define("books", `{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens192", "allowPersistentIPs": true, "ipam": {"type": "whereabouts", "range": "10.0.1.0/24"}}`)
	w.define("brief", `{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens192", "ipam": {"type": "weft", "range": "10.0.2.0/24"}}`)
	w.define("fixed", `{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens192", "allowPersistentIPs": true, "ipam": {"type": "static", "addresses": [{"address": "10.0.3.1/24"}]}}`)
	return w
}

func (w *world) define(name, config string) {
	w.Put("/apis/k8s.cni.cncf.io/v1/namespaces/shop/network-attachment-definitions/"+name, &cncfv1.NetworkAttachmentDefinition{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: cncfv1.NetworkAttachmentDefinitionSpec{Config: config},
	})
}

func (w *world) pod(name, networks string, change func(*corev1.Pod)) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Annotations: map[string]string{cncfv1.NetworksAnnotation: networks}}}
	if change != nil {
		change(p)
	}
	w.Put("/api/v1/namespaces/shop/pods/"+name, p)
}

// of makes a pod a StatefulSet's, machine one a virtual machine's.
func of(set string) func(*corev1.Pod) {
	yes := true
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: set, UID: types.UID("u-" + set), Controller: &yes}}
	}
}

func machine(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Labels = map[string]string{"kubevirt.io": "virt-launcher", "vm.kubevirt.io/name": name}
	}
}

// reconciled are the claims after a look at a pod.
func (w *world) reconciled(pod string) (text string, again time.Duration) {
	w.Helper()
	r, err := w.keeper.Reconcile(w.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: pod}})
	if err != nil {
		w.Fatal(err)
	}
	var list []string
	for _, path := range w.Paths(claims) {
		var c claimv1.IPAMClaim
		w.Get(path, &c)
		who := "none"
		if len(c.OwnerReferences) == 1 {
			who = fmt.Sprint(c.OwnerReferences[0].Kind, " ", c.OwnerReferences[0].Name, " ", c.OwnerReferences[0].UID)
		}
		list = append(list, strings.TrimSuffix(fmt.Sprint(c.Name, " of ", who, ": ", c.Spec.Network, " ", c.Spec.Interface), " "))
	}
	return strings.Join(list, "; "), r.RequeueAfter
}

func TestClaimsAreMadeForWorkloadsWhoseNamesOutliveTheirPods(t *testing.T) {
	for _, c := range []struct {
		what, networks string
		of             func(*corev1.Pod)
		want           string
	}{
		{"a pod of a StatefulSet", "plant", of("db"), "db-0.plant of StatefulSet db u-db: plant-lan"},
		{"whereabouts, and no name in the configuration", "books", of("db"), "db-0.books of StatefulSet db u-db: books"},
		{"a pod alone", "plant", nil, ""},
		{"a definition that does not ask for it", "brief", of("db"), ""},
		{"addresses that the agent does not give", "fixed", of("db"), ""},
		{"a definition that is not there", "none", of("db"), ""},
		{"one that the pod names", `[{"name": "plant", "ipam-claim-reference": "other"}]`, of("db"), ""},
		{"an annotation that makes no sense", "plant,,plant", of("db"), ""},
		{"two of one network", "plant, plant@lan2", of("db"), "db-0.plant.lan2 of StatefulSet db u-db: plant-lan lan2; db-0.plant.net1 of StatefulSet db u-db: plant-lan net1"},
	} {
		w := newWorld(t)
		w.pod("db-0", c.networks, c.of)
		if got, again := w.reconciled("db-0"); got != c.want || (again == look) != (c.want != "") {
			t.Errorf("%s: claims %q, again in %v; want %q", c.what, got, again, c.want)
		}
	}
}

func TestAClaimOfAMachineIsTheMachines(t *testing.T) {
	w := newWorld(t)
	w.pod("virt-launcher-press-1", "plant", machine("press"))
	if got, again := w.reconciled("virt-launcher-press-1"); got != "" || again != soon {
		t.Errorf("without a machine: claims %q, again in %v", got, again)
	}
	for kind, resource := range map[string]string{"VirtualMachineInstance": "virtualmachineinstances", "VirtualMachine": "virtualmachines"} {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "press", UID: types.UID("u-" + resource)}}
		o.SetGroupVersionKind(schema.GroupVersionKind{Group: "kubevirt.io", Version: "v1", Kind: kind})
		w.Put("/apis/kubevirt.io/v1/namespaces/shop/"+resource+"/press", o)
	}
	want := "press.plant of VirtualMachine press u-virtualmachines: plant-lan"
	if got, again := w.reconciled("virt-launcher-press-1"); got != want || again != look {
		t.Errorf("claims %q, again in %v", got, again)
	}
	w.pod("virt-launcher-press-2", "plant", machine("press")) // on its way elsewhere
	if got, _ := w.reconciled("virt-launcher-press-2"); got != want {
		t.Errorf("with two pods: claims %q", got)
	}
}

func TestAClaimThatIsThereIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.Put(claims+"db-0.plant", &claimv1.IPAMClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-0.plant"}, Spec: claimv1.IPAMClaimSpec{Network: "elsewhere"}})
	w.pod("db-0", "plant", of("db"))
	if got, _ := w.reconciled("db-0"); got != "db-0.plant of none: elsewhere" {
		t.Errorf("claims %q", got)
	}
}

func TestWhatTheServerCannotDoNowIsAnErrorAndDoneThen(t *testing.T) {
	w := newWorld(t)
	w.pod("db-0", "plant", of("db"))
	w.Server.Fail(func(r *http.Request) int {
		if r.Method == http.MethodPost {
			return http.StatusInternalServerError
		}
		return 0
	})
	_, err := w.keeper.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "db-0"}})
	if err == nil || !strings.Contains(err.Error(), "make IPAMClaim shop/db-0.plant of StatefulSet shop/db, pod db-0") {
		t.Error(err)
	}
	w.Server.Fail(nil)
	if got, _ := w.reconciled("db-0"); got != "db-0.plant of StatefulSet db u-db: plant-lan" {
		t.Errorf("claims %q", got)
	}
}

func TestOfPodsThatAskForNothingNothingIsKept(t *testing.T) {
	slim := func(object any) (any, error) {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: object.(metav1.Object).GetName()}}, nil
	}
	pod := Pod()
	pod.Name, pod.Labels = "web", map[string]string{"app": "web"}
	if o, err := Keep(slim)(pod); err != nil || o.(*metav1.PartialObjectMetadata).Labels != nil {
		t.Errorf("kept %+v %v", o, err)
	}
	pod.Annotations = map[string]string{cncfv1.NetworksAnnotation: "plant", "other": "x"}
	if o, err := Keep(slim)(pod); err != nil || len(o.(*metav1.PartialObjectMetadata).Annotations) != 1 || o.(*metav1.PartialObjectMetadata).Labels["app"] != "web" {
		t.Errorf("kept %+v %v", o, err)
	}
}
