package address

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	wav1 "weftnet.io/weftnet/api/whereabouts/v1alpha1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

// world has nodes and virtual machines.
type world struct {
	client.Reader
	nodes    []string
	machines map[string]bool  // by namespace/name
	replicas map[string]int64 // of StatefulSets
}

func (w *world) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	for _, n := range w.nodes {
		list := into.(*corev1.NodeList)
		list.Items = append(list.Items, corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n}})
	}
	return nil
}

func (w *world) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if into.GetObjectKind().GroupVersionKind().Kind == "VirtualMachine" && w.machines[key.String()] {
		return nil
	}
	if o, ok := into.(*unstructured.Unstructured); ok && o.GetKind() == "StatefulSet" {
		if n, there := w.replicas[key.String()]; there {
			o.SetName(key.Name)
			return unstructured.SetNestedField(o.Object, n, "spec", "replicas")
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

type recorder func(about, reason, text string)

func (r recorder) Eventf(about, _ runtime.Object, _, reason, _, note string, args ...any) {
	r(about.(*unstructured.Unstructured).GetName(), reason, fmt.Sprintf(note, args...))
}

func forEver(context.Context) (time.Duration, error) { return 0, nil }

const (
	blocks   = "/apis/weftnet.io/v1alpha1/addressblocks/"
	stickies = "/apis/weftnet.io/v1alpha1/namespaces/shop/stickyaddresses/"
)

func TestWhatNodesAndWorkloadsThatAreGoneHadIsGivenBack(t *testing.T) {
	server := apitest.New(t)
	server.Serve(wav1.IPPoolResource)
	w := &world{nodes: []string{"a", "b"}, machines: map[string]bool{"shop/press": true}}
	now := time.Now()
	s, err := New(Config{API: server.Config(), Cached: w, Live: w, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), Keep: forEver})
	if err != nil {
		t.Fatal(err)
	}
	holder := func(node string) []v1alpha1.AddressHolder {
		return []v1alpha1.AddressHolder{{Node: node, Container: "c-" + node, Interface: "net1", Pod: "shop/on-" + node}}
	}
	long := metav1.NewTime(now.Add(-time.Hour))
	server.Put(blocks+"b-10.0.0.0", &v1alpha1.AddressBlock{Spec: v1alpha1.AddressBlockSpec{Prefix: "10.0.0.0/28", Node: "a", Used: map[string]v1alpha1.AddressUse{
		"10.0.0.1": {Holders: holder("a")},
		"10.0.0.2": {Holders: holder("b")},
		"10.0.0.3": {Owner: "VirtualMachine shop/press", Back: &long},
		"10.0.0.4": {Owner: "VirtualMachine shop/lathe", Back: &long},
		"10.0.0.5": {Owner: "IPAMClaim shop/mill.net1", Back: &long},
		"10.0.0.6": {Owner: "IPAMClaim shop/gone.net1", Back: &long},
		"10.0.0.7": {Owner: "whereabouts, pod shop/foreign", Back: &long},
		"10.0.0.8": {Owner: "whereabouts, pod shop/left", Back: &long},
		"10.0.0.9": {Back: &long},
	}}})
	for name, a := range map[string]string{"press": "10.0.0.3/24", "lathe": "10.0.0.4/24"} {
		server.Put(stickies+name, &v1alpha1.StickyAddress{Spec: v1alpha1.StickyAddressSpec{Owner: "VirtualMachine shop/" + name, Interface: "net1", Addresses: []string{a}}})
	}
	server.Put("/apis/k8s.cni.cncf.io/v1alpha1/namespaces/shop/ipamclaims/mill.net1", &claimv1.IPAMClaim{Status: claimv1.IPAMClaimStatus{IPs: []string{"10.0.0.5/24"}}})
	server.Put("/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools/10.0.0.0-24", &wav1.IPPool{Spec: wav1.IPPoolSpec{
		Range: "10.0.0.0/24", Allocations: map[string]wav1.IPAllocation{"7": {PodRef: "shop/foreign"}},
	}})
	step := func(what string, wait time.Duration, want string) {
		t.Helper()
		now = now.Add(wait)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var o v1alpha1.AddressBlock
		got := "no block"
		if server.Get(blocks+"b-10.0.0.0", &o) {
			got = fmt.Sprintf("node %q:", o.Spec.Node)
			for _, a := range slices.Sorted(maps.Keys(o.Spec.Used)) {
				got += " " + strings.TrimPrefix(a, "10.0.0")
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	step("who is gone has been so for a moment", 0, `node "a": .1 .2 .3 .4 .5 .7`)
	step("a machine is gone for good", Patience, `node "a": .1 .2 .3 .4 .5 .7`)
	step("after its StickyAddress", time.Minute, `node "a": .1 .2 .3 .5 .7`)
	if paths := server.Paths(stickies); len(paths) != 1 {
		t.Errorf("StickyAddresses %v", paths)
	}
	w.nodes = []string{"b"}
	step("a node is missing", time.Minute, `node "a": .1 .2 .3 .5 .7`)
	w.nodes = []string{"a", "b"}
	step("it is back", time.Minute, `node "a": .1 .2 .3 .5 .7`)
	w.nodes = []string{"b"}
	step("it is missing again", time.Minute, `node "a": .1 .2 .3 .5 .7`)
	step("for good", Patience, `node "": .1 .2 .3 .5 .7`)
	step("what it had has rested", time.Minute, `node "": .2 .3 .5 .7`)
	w.nodes, w.machines = nil, nil
	server.Delete("/apis/k8s.cni.cncf.io/v1alpha1/namespaces/shop/ipamclaims/mill.net1")
	server.Delete("/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools/10.0.0.0-24")
	for range 4 {
		now = now.Add(Patience)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	step("nothing is left", time.Minute, "no block")
}

func TestPodsThatAStatefulSetWasScaledDownByKeepTheirAddressesForAWhile(t *testing.T) {
	server := apitest.New(t)
	w := &world{nodes: []string{"a"}, replicas: map[string]int64{"shop/db": 3}}
	now, keep := time.Now(), time.Hour
	var told []string
	s, err := New(Config{
		API: server.Config(), Cached: w, Live: w, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Keep:   func(context.Context) (time.Duration, error) { return keep, nil },
		Events: recorder(func(about, reason, text string) { told = append(told, about+" "+reason+": "+text) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]v1alpha1.AddressUse{}
	for n := range 3 {
		pod, a := fmt.Sprint("db-", n), fmt.Sprint("10.0.0.", n+1)
		server.Put(stickies+pod, &v1alpha1.StickyAddress{
			ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "u"}}},
			Spec:       v1alpha1.StickyAddressSpec{Owner: "StatefulSet shop/db, pod " + pod, Interface: "net1", Addresses: []string{a + "/24"}},
		})
		used[a] = v1alpha1.AddressUse{Owner: "StatefulSet shop/db, pod " + pod, Holders: []v1alpha1.AddressHolder{{Node: "a", Container: pod, Interface: "net1", Pod: "shop/" + pod}}}
	}
	const claims = "/apis/k8s.cni.cncf.io/v1alpha1/namespaces/shop/ipamclaims/"
	for name, label := range map[string]string{"db-2.plant": attachment.MadeBy, "db-2.theirs": ""} {
		server.Put(claims+name, &claimv1.IPAMClaim{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{attachment.MadeLabel: label}, Annotations: map[string]string{attachment.PodAnnotation: "db-2"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "u"}},
		}})
	}
	put := func() {
		server.Put(blocks+"b-10.0.0.0", &v1alpha1.AddressBlock{Spec: v1alpha1.AddressBlockSpec{Prefix: "10.0.0.0/28", Node: "a", Used: used}})
	}
	put()
	step := func(what string, wait time.Duration, want string) {
		t.Helper()
		now = now.Add(wait)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var have []string
		for _, path := range append(server.Paths(stickies), server.Paths(claims)...) {
			have = append(have, path[strings.LastIndex(path, "/")+1:])
		}
		if got := strings.Join(have, " "); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	step("all are there", time.Hour, "db-0 db-1 db-2 db-2.plant db-2.theirs")
	w.replicas["shop/db"] = 1
	step("scaled down, and their NICs are there", time.Hour, "db-0 db-1 db-2 db-2.plant db-2.theirs")
	for a, u := range used {
		u.Holders = nil
		used[a] = u
	}
	put()
	step("their NICs are gone", 0, "db-0 db-1 db-2 db-2.plant db-2.theirs")
	w.replicas["shop/db"] = 2
	step("one is back", 30*time.Minute, "db-0 db-1 db-2 db-2.plant db-2.theirs")
	w.replicas["shop/db"] = 1
	step("and off again", time.Minute, "db-0 db-1 db-2 db-2.plant db-2.theirs")
	step("the other has been off for long", 30*time.Minute, "db-0 db-1 db-2.theirs")
	if len(told) != 2 || !strings.HasPrefix(told[0], "db AddressesGivenBack: StickyAddress shop/db-2 is given back: the StatefulSet has had no pod db-2 for 1h0m0s") {
		t.Errorf("told %q", told)
	}
	keep = 0
	step("for ever", time.Hour, "db-0 db-1 db-2.theirs")
	keep = time.Hour
	w.replicas = nil
	step("what the API server does not have goes with its owner", time.Hour, "db-0 db-1 db-2.theirs")
}
