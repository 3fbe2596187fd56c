package pool

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/cilium/v2alpha1"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

type told []string

func (l *told) Eventf(about, _ runtime.Object, _, reason, _, note string, args ...any) {
	*l = append(*l, about.(metav1.Object).GetName()+" "+reason+": "+fmt.Sprintf(note, args...))
}

func TestNodesSayWhatTheyNeedAndAreAnswered(t *testing.T) {
	scheme, mapper := runtime.NewScheme(), meta.NewDefaultRESTMapper(nil)
	if v2.AddToScheme(scheme) != nil || v2alpha1.AddToScheme(scheme) != nil {
		t.Fatal("no scheme")
	}
	mapper.Add(v2.SchemeGroupVersion.WithKind("CiliumNode"), meta.RESTScopeRoot)
	mapper.Add(v2alpha1.SchemeGroupVersion.WithKind("CiliumPodIPPool"), meta.RESTScopeRoot)
	server := apitest.New(t)
	server.Serve(v2.NodeResource, v2alpha1.PodIPPoolResource)
	c, err := client.New(server.Config(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	now, events := time.Now(), &told{}
	k := &Keeper{Client: c, Live: c, Events: events, Log: slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)), Now: func() time.Time { return now }}
	put := func(name string, requested ...v2.NodePoolRequest) {
		var o v2.CiliumNode
		server.Get("/apis/cilium.io/v2/ciliumnodes/"+name, &o)
		o.Name, o.Spec.IPAM.Pools.Requested = name, requested
		server.Put("/apis/cilium.io/v2/ciliumnodes/"+name, &o)
	}
	step := func(what, name, want string) {
		t.Helper()
		if _, err := k.Reconcile(t.Context(), reconcile.Request{}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var o v2.CiliumNode
		server.Get("/apis/cilium.io/v2/ciliumnodes/"+name, &o)
		if got := fmt.Sprint(o.Spec.IPAM.Pools.Allocated); got != want {
			t.Errorf("%s: node %s has %s, want %s", what, name, got, want)
		}
	}
	put("a", needs("blue", 1, 0))
	put("b", needs("blue", 1, 0))
	step("there is no pool", "a", "[]")
	if len(*events) != 2 {
		t.Errorf("told %q", *events)
	}
	pool := &v2alpha1.CiliumPodIPPool{Spec: v2alpha1.PodIPPoolSpec{IPv4: &v2alpha1.PodIPPoolIPv4{CIDRs: []string{"10.20.0.0/29"}, MaskSize: 30}}}
	pool.Name = "blue"
	server.Put("/apis/cilium.io/v2alpha1/ciliumpodippools/blue", pool)
	step("there is one", "a", "[{blue [10.20.0.0/30]}]")
	step("and for the other", "b", "[{blue [10.20.0.4/30]}]")
	put("a")
	step("it needs none", "a", "[]")
	put("b", needs("blue", 2, 0))
	step("what rests is better than none", "b", "[{blue [10.20.0.4/30 10.20.0.0/30]}]")
	server.Delete("/apis/cilium.io/v2alpha1/ciliumpodippools/blue")
	step("the pool is gone, its pods are there", "b", "[{blue [10.20.0.4/30 10.20.0.0/30]}]")
}
