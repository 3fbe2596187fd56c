package additional

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/openshift"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

const (
	networkPath    = "/apis/operator.openshift.io/v1/networks/cluster"
	definitionPath = "/apis/k8s.cni.cncf.io/v1/namespaces/%s/network-attachment-definitions/%s"
	deploymentPath = "/apis/apps/v1/namespaces/openshift-network-operator/deployments/network-operator"
)

// management is a configuration as people have it.
const management = `
apiVersion: operator.openshift.io/v1
kind: Network
metadata:
  name: cluster
spec:
  additionalNetworks:
  - name: management-network
    namespace: default
    type: Raw
    rawCNIConfig: |
      {
        "cniVersion": "0.3.1",
        "name": "management-network",
        "type": "macvlan",
        "master": "ens192",
        "mode": "bridge",
        "ipam": {
          "type": "static"
        }
      }
`

// world is an API server with a Keeper.
type world struct {
	*testing.T
	*apitest.Server
	keeper *Keeper
	log    bytes.Buffer
	told   []string
}

func newWorld(t *testing.T) *world {
	scheme := runtime.NewScheme()
	if err := cncfv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	definition := cncfv1.SchemeGroupVersion.WithKind("NetworkAttachmentDefinition")
	mapper.AddSpecific(definition, cncfv1.SchemeGroupVersion.WithResource(cncfv1.NetworkAttachmentDefinitionResource),
		cncfv1.SchemeGroupVersion.WithResource("network-attachment-definition"), meta.RESTScopeNamespace)
	mapper.Add(openshift.GroupVersion.WithKind(openshift.Kind), meta.RESTScopeRoot)
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	server := apitest.New(t)
	server.Serve(cncfv1.NetworkAttachmentDefinitionResource, openshift.Resource)
	c, err := client.New(server.Config(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, Server: server}
	w.keeper = &Keeper{Client: c, Live: c, Events: w, Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	return w
}

// Eventf makes the world an event recorder.
func (w *world) Eventf(_, _ runtime.Object, _, _, _, note string, args ...any) {
	w.told = append(w.told, fmt.Sprintf(note, args...))
}

// network puts a configuration in place.
func (w *world) network(text string) {
	w.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		w.Fatal(err)
	}
	u.SetUID("net-1")
	w.Put(networkPath, u)
}

func (w *world) reconcile() {
	w.Helper()
	w.told = nil
	if _, err := w.keeper.Reconcile(w.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: openshift.Name}}); err != nil {
		w.Fatal(err)
	}
}

// definition is what there is under a name.
func (w *world) definition(namespace, name string) (d cncfv1.NetworkAttachmentDefinition, there bool) {
	there = w.Get(fmt.Sprintf(definitionPath, namespace, name), &d)
	return d, there
}

// networks is a configuration with bridges of these names in namespace plant.
func networks(names ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: operator.openshift.io/v1\nkind: Network\nmetadata: {name: cluster}\nspec:\n  additionalNetworks:\n")
	for _, n := range names {
		name, bridge, _ := strings.Cut(n, "=")
		fmt.Fprintf(&b, "  - {name: %s, namespace: plant, type: Raw, rawCNIConfig: '{\"type\": \"bridge\", \"bridge\": \"%s\"}'}\n", name, bridge)
	}
	return b.String()
}

func TestAnAdditionalNetworkBecomesADefinition(t *testing.T) {
	w := newWorld(t)
	w.network(management)
	w.reconcile()
	d, _ := w.definition("default", "management-network")
	var conf struct {
		Name, Type, Master string
		IPAM               struct{ Type string }
	}
	if err := json.Unmarshal([]byte(d.Spec.Config), &conf); err != nil || conf.Type != "macvlan" || conf.Master != "ens192" || conf.IPAM.Type != "static" {
		t.Errorf("%v %+v", err, d)
	}
	if o := d.OwnerReferences; len(o) != 1 || o[0].Kind != "Network" || o[0].APIVersion != "operator.openshift.io/v1" || o[0].Name != "cluster" || o[0].UID != "net-1" {
		t.Errorf("owned by %+v", o)
	}
	before := d.ResourceVersion
	w.reconcile()
	if d, _ = w.definition("default", "management-network"); d.ResourceVersion != before || len(w.told) > 0 {
		t.Error("what is right is written again", w.told)
	}
}

func TestDefinitionsFollowTheirNetworks(t *testing.T) {
	w := newWorld(t)
	w.network(networks("yard=br1", "lobby=br2"))
	w.reconcile()
	w.network(networks("yard=br7", "gate=br3"))
	w.reconcile()
	if d, _ := w.definition("plant", "yard"); !strings.Contains(d.Spec.Config, "br7") {
		t.Error(d.Spec.Config)
	}
	if _, there := w.definition("plant", "lobby"); there {
		t.Error("what is named no more is still there")
	}
	if _, there := w.definition("plant", "gate"); !there {
		t.Error("a new one is not made")
	}
	// An element that makes no sense any more takes nothing away.
	w.network(strings.Replace(networks("yard=br7", "gate=br3"), `{"type": "bridge", "bridge": "br7"}`, `{"bridge": "br7"}`, 1))
	w.reconcile()
	if d, there := w.definition("plant", "yard"); !there || !strings.Contains(d.Spec.Config, `"type"`) {
		t.Error(there, d.Spec.Config)
	}
	if len(w.told) != 1 || w.told[0] != "spec.additionalNetworks[0].rawCNIConfig: type: it names no plugin: without a type nothing makes the NIC" {
		t.Error(w.told)
	}
}

func TestADefinitionThatIsNotItsOwnIsNeverTouched(t *testing.T) {
	w := newWorld(t)
	put := func(name string, d cncfv1.NetworkAttachmentDefinition) {
		d.Spec.Config = `{"type": "own"}`
		w.Put(fmt.Sprintf(definitionPath, "plant", name), &d)
	}
	put("yard", cncfv1.NetworkAttachmentDefinition{})
	put("labelled", cncfv1.NetworkAttachmentDefinition{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{label: ours}}})
	put("of-openshift", cncfv1.NetworkAttachmentDefinition{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "operator.openshift.io/v1", Kind: "Network", Name: "cluster", UID: "net-1"}}}})
	w.network(networks("yard=br1", "gate=br2"))
	w.reconcile()
	for _, name := range []string{"yard", "labelled", "of-openshift"} {
		if d, _ := w.definition("plant", name); d.Spec.Config != `{"type": "own"}` {
			t.Errorf("%s has %q", name, d.Spec.Config)
		}
	}
	if _, there := w.definition("plant", "gate"); !there {
		t.Error("another one is kept away")
	}
	if len(w.told) != 1 || w.told[0] != "spec.additionalNetworks[0].rawCNIConfig: NetworkAttachmentDefinition plant/yard is there already and not this object's, so it is left as it is; delete one of the two, or rename" {
		t.Error(w.told)
	}
	w.Delete(fmt.Sprintf(definitionPath, "plant", "yard"))
	w.reconcile()
	if d, _ := w.definition("plant", "yard"); !strings.Contains(d.Spec.Config, "br1") || len(w.told) > 0 {
		t.Error(d.Spec.Config, w.told)
	}
}

func TestWhereOpenShiftsOperatorIsItMakesThem(t *testing.T) {
	w := newWorld(t)
	w.Put(deploymentPath, &appsv1.Deployment{})
	w.network(networks("yard=br1"))
	w.reconcile()
	w.reconcile()
	if _, there := w.definition("plant", "yard"); there {
		t.Error("it is made twice")
	}
	if n := strings.Count(w.log.String(), "left to OpenShift's operator"); n != 1 {
		t.Errorf("said %d times: %s", n, &w.log)
	}
	w.Delete(deploymentPath)
	w.reconcile()
	if _, there := w.definition("plant", "yard"); !there {
		t.Error("it is not made")
	}
}

func TestAMissingNamespaceIsSaidAndWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.network(networks("yard=br1"))
	w.Fail(func(r *http.Request) int {
		if r.Method == http.MethodPost {
			return http.StatusNotFound
		}
		return 0
	})
	w.reconcile()
	if len(w.told) != 1 || w.told[0] != "there is no namespace plant for NetworkAttachmentDefinition plant/yard" {
		t.Error(w.told)
	}
	w.Fail(nil)
	w.reconcile()
	if _, there := w.definition("plant", "yard"); !there || len(w.told) > 0 {
		t.Error(there, w.told)
	}
}

func TestWhatFailsIsDoneLater(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(7, 8))
	for round := range 20 {
		w.Fail(nil)
		w.network(networks(fmt.Sprintf("yard=br%d", round), fmt.Sprintf("n%d=br0", round%3)))
		w.Fail(func(*http.Request) int {
			if random.IntN(4) == 0 {
				return http.StatusInternalServerError
			}
			return 0
		})
		for range 50 {
			if _, err := w.keeper.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: openshift.Name}}); err == nil {
				break
			}
		}
		d, _ := w.definition("plant", "yard")
		if paths := w.Paths("/apis/k8s.cni.cncf.io/"); len(paths) != 2 || !strings.Contains(d.Spec.Config, fmt.Sprintf("br%d", round)) {
			t.Fatalf("round %d: %v %s", round, paths, d.Spec.Config)
		}
	}
}
