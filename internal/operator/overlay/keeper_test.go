package overlay

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

const (
	networks = "/apis/weftnet.io/v1alpha1/overlaynetworks/"
	nics     = "/apis/weftnet.io/v1alpha1/namespaces/shop/podinterfaces/"
)

// world is an API server with a Keeper, and a clock.
type world struct {
	*testing.T
	*apitest.Server
	keeper *Keeper
	now    time.Time
}

func newWorld(t *testing.T) *world {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(v1alpha1.SchemeGroupVersion.WithKind("OverlayNetwork"), meta.RESTScopeRoot)
	mapper.Add(v1alpha1.SchemeGroupVersion.WithKind("PodInterface"), meta.RESTScopeNamespace)
	server := apitest.New(t)
	server.Serve(v1alpha1.OverlayNetworkResource, v1alpha1.PodInterfaceResource)
	c, err := client.New(server.Config(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, Server: server, now: time.Unix(1_700_000_000, 0)}
	w.keeper = &Keeper{Client: c, Live: c, Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	return w
}

func (w *world) reconcile(name string) reconcile.Result {
	w.Helper()
	r, err := w.keeper.Reconcile(w.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// made puts a network in place, older by age seconds.
func (w *world) made(name string, age int) {
	o := networkOf(name, age, 0)
	o.Spec.Subnets = []string{"10.66.0.0/24"}
	w.Put(networks+name, &o)
}

// number is that of a network; 0: it has none, or is not there.
func (w *world) number(name string) int32 {
	var o v1alpha1.OverlayNetwork
	w.Get(networks+name, &o)
	return o.Status.Number
}

// deleted marks a network as the API server does that has finalizers.
func (w *world) deleted(name string) {
	var o v1alpha1.OverlayNetwork
	w.Get(networks+name, &o)
	o.DeletionTimestamp = &metav1.Time{Time: w.now}
	w.Put(networks+name, &o)
}

func (w *world) kept(name string) bool {
	var o v1alpha1.OverlayNetwork
	return w.Get(networks+name, &o) && len(o.Finalizers) > 0
}

func TestANetworkThatIsDeletedStaysUntilNoPodIsInIt(t *testing.T) {
	w := newWorld(t)
	w.made("blue", 2)
	w.made("green", 1)
	w.reconcile("green")
	if blue, green := w.number("blue"), w.number("green"); blue != 1 || green != 2 || !w.kept("blue") {
		t.Fatalf("blue has %d, green %d; kept: %v", blue, green, w.kept("blue"))
	}
	in := &v1alpha1.PodInterface{Spec: v1alpha1.PodInterfaceSpec{Pod: "web", Overlay: 1}}
	in.Namespace, in.Name = "shop", "web-1"
	w.Put(nics+"web-1", in)
	w.deleted("blue")
	if r := w.reconcile("blue"); !w.kept("blue") || r.RequeueAfter == 0 {
		t.Fatalf("a pod is in it: kept %v, looked at again after %v", w.kept("blue"), r.RequeueAfter)
	}
	w.Delete(nics + "web-1")
	if r := w.reconcile("blue"); w.kept("blue") || r.RequeueAfter != 0 {
		t.Fatalf("no pod is in it: kept %v, looked at again after %v", w.kept("blue"), r.RequeueAfter)
	}
}

func TestANumberRests(t *testing.T) {
	w := newWorld(t)
	w.made("blue", 2)
	w.reconcile("blue")
	w.Delete(networks + "blue")
	w.made("green", 1)
	w.reconcile("blue")
	if n := w.number("green"); n != 2 {
		t.Errorf("green has %d, which blue had a moment ago, or none", n)
	}
	w.now = w.now.Add(Rest)
	w.made("red", 0)
	w.reconcile("red")
	if n := w.number("red"); n != 1 {
		t.Errorf("red has %d, and 1 has rested", n)
	}
}

func TestANumberThatPodsUseIsNoOthers(t *testing.T) {
	w := newWorld(t) // an operator that has just begun to lead
	in := &v1alpha1.PodInterface{Spec: v1alpha1.PodInterfaceSpec{Pod: "web", Overlay: 1}}
	in.Namespace, in.Name = "shop", "web-1"
	w.Put(nics+"web-1", in)
	w.made("green", 1)
	w.reconcile("green")
	if n := w.number("green"); n != 2 {
		t.Errorf("green has %d", n)
	}
}
