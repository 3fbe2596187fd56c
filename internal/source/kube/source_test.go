package kube

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/source/kube/apitest"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/listing"
	"weftnet.io/weftnet/internal/table"
)

// world is a source that runs against a server.
type world struct {
	*testing.T
	*apitest.Server
	tables *table.Tables
	db     *state.DB
	log    *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var ciliumResources = []string{
	v2.NodeResource, v2.IdentityResource, v2.EndpointResource, v2.NetworkPolicyResource, v2.ClusterwideNetworkPolicyResource,
}

func start(t *testing.T, server *apitest.Server, flags map[string]string) *world {
	t.Helper()
	tables, db := table.New()
	w := &world{T: t, Server: server, tables: tables, db: db, log: &syncBuffer{}}
	s, err := New(Config{API: server.Config(), Node: "n1", Flags: flags, Log: slog.New(slog.NewTextHandler(w.log, nil))}, db, tables)
	if err != nil {
		t.Fatal(err)
	}
	s.poll = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// await blocks until a table prints as want.
func await[R state.Row](w *world, t *state.Table[R], want string) {
	w.Helper()
	want = strings.TrimSpace(want) + "\n"
	var have string
	until(w, t, func(s *state.Snapshot) bool {
		var b strings.Builder
		_ = listing.Write(&b, t, s)
		have = b.String()
		return have == want
	}, func() string { return cmp.Diff(want, have) })
}

func until[R state.Row](w *world, t *state.Table[R], ok func(*state.Snapshot) bool, why func() string) {
	w.Helper()
	deadline, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	for {
		s := w.db.Snapshot()
		changed := t.WatchAll(s)
		if ok(s) {
			return
		}
		select {
		case <-changed:
		case <-deadline.Done():
			w.Fatalf("table %s (-want +have):\n%s\nlog:\n%s", t.Name(), why(), w.log)
		}
	}
}

func synced[R state.Row](w *world, t *state.Table[R]) {
	w.Helper()
	until(w, t, t.Synced, func() string { return "want it synced" })
}

const podsPath = "/api/v1/namespaces/shop/pods/"

func podOn(node string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			NodeName: node, ServiceAccountName: "default",
			Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}},
		},
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestObjectsBecomeRowsAndFollowTheirChanges(t *testing.T) {
	server := apitest.New(t)
	server.Serve(ciliumResources...)
	server.Put(podsPath+"web", podOn("n1", map[string]string{"app": "web"}))
	server.Put(podsPath+"other", podOn("n2", nil))
	w := start(t, server, nil)
	const header = "Namespace  Name  UID    ServiceAccount  HostNetwork  NamedPorts   Labels\n"
	await(w, w.tables.Pods, header+"shop       web   uid-1  default         false        http:8080/6  app=web")
	server.Put(podsPath+"web", podOn("n1", map[string]string{"app": "api"}))
	await(w, w.tables.Pods, header+"shop       web   uid-1  default         false        http:8080/6  app=api")
	server.Delete(podsPath + "web")
	await(w, w.tables.Pods, "Namespace  Name  UID  ServiceAccount  HostNetwork  NamedPorts  Labels")
	synced(w, w.tables.Pods)
	synced(w, w.tables.Policies)
	synced(w, w.tables.Nodes)
}

func TestNodesJoinWhatTwoKindsSay(t *testing.T) {
	server := apitest.New(t)
	server.Serve(ciliumResources...)
	server.Put("/api/v1/nodes/n1", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"zone": "a"}}})
	server.Put("/apis/cilium.io/v2/ciliumnodes/n1", &v2.CiliumNode{Spec: v2.NodeSpec{
		Addresses: []v2.NodeAddress{{Type: "InternalIP", IP: "fd00::1"}, {Type: "InternalIP", IP: "192.168.0.1"}, {Type: "CiliumInternalIP", IP: "10.0.0.1"}},
		IPAM:      v2.NodeIPAM{PodCIDRs: []string{"10.244.1.0/24", "nonsense"}},
	}})
	w := start(t, server, nil)
	await(w, w.tables.Nodes, `
Name  Local  Addresses            PodCIDRs
n1    true   192.168.0.1,fd00::1  10.244.1.0/24`)
	until(w, w.tables.Nodes, func(s *state.Snapshot) bool {
		n, _ := w.tables.Nodes.One(s, state.Join("n1"))
		return n.Labels["zone"] == "a"
	}, func() string { return "n1 has no label of its Node" })
	server.Delete("/apis/cilium.io/v2/ciliumnodes/n1")
	await(w, w.tables.Nodes, "Name  Local  Addresses  PodCIDRs")
}

func TestSettingsAreTheConfigMapAndFlagsWin(t *testing.T) {
	server := apitest.New(t)
	const path = "/api/v1/namespaces/kube-system/configmaps/"
	server.Put(path+"other", &corev1.ConfigMap{Data: map[string]string{"x": "y"}})
	server.Put(path+"cilium-config", &corev1.ConfigMap{Data: map[string]string{"mtu": "1400", "debug": "true"}})
	w := start(t, server, map[string]string{"mtu": "9000"})
	await(w, w.tables.Settings, `
Name   Value
debug  true
mtu    9000`)
	server.Delete(path + "cilium-config")
	await(w, w.tables.Settings, `
Name  Value
mtu   9000`)
}

func TestNothingOfCiliumIsAskedForBeforeItsCRDIsThere(t *testing.T) {
	server := apitest.New(t)
	server.Put("/apis/cilium.io/v2/ciliumidentities/300", &v2.CiliumIdentity{SecurityLabels: map[string]string{"k8s:app": "web"}})
	w := start(t, server, nil)
	synced(w, w.tables.Services)
	if w.tables.Identities.IsSynced(w.db.Snapshot()) {
		t.Error("identities are synced although there is no such CRD")
	}
	server.Serve(v2.IdentityResource)
	await(w, w.tables.Identities, `
Number  Labels
300     k8s:app=web;`)
	if log := w.log.String(); strings.Contains(log, "WARN") {
		t.Errorf("waiting for CRDs is not quiet:\n%s", log)
	}
}

func TestClusterNetworkPoliciesAreReadOnceTheirCRDIsThereAndNothingWaitsForIt(t *testing.T) {
	server := apitest.New(t)
	server.Serve(ciliumResources...)
	server.Put("/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies/guard", &v1alpha2.ClusterNetworkPolicy{Spec: v1alpha2.ClusterNetworkPolicySpec{
		Tier: v1alpha2.AdminTier, Subject: v1alpha2.ClusterNetworkPolicySubject{Namespaces: &metav1.LabelSelector{}},
	}})
	w := start(t, server, nil)
	synced(w, w.tables.Policies)
	if n := w.tables.Policies.Len(w.db.Snapshot()); n != 0 {
		t.Errorf("%d policies before there is a CRD", n)
	}
	server.Serve("clusternetworkpolicies")
	until(w, w.tables.Policies, func(s *state.Snapshot) bool {
		p, there := w.tables.Policies.One(s, state.Join(language.KindClusterNetwork, "", "guard"))
		return there && p.Valid
	}, func() string { return "want guard" })
	server.Delete("/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies/guard")
	until(w, w.tables.Policies, func(s *state.Snapshot) bool { return w.tables.Policies.Len(s) == 0 }, func() string { return "want none" })
}

func TestRowsOutliveAnAPIServerThatIsAway(t *testing.T) {
	server := apitest.New(t)
	server.Serve(ciliumResources...)
	server.Put(podsPath+"web", podOn("n1", nil))
	w := start(t, server, nil)
	const header = "Namespace  Name  UID    ServiceAccount  HostNetwork  NamedPorts   Labels\n"
	await(w, w.tables.Pods, header+"shop       web   uid-1  default         false        http:8080/6  -")
	failed := make(chan struct{}, 100)
	server.Fail(func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/pods") {
			select {
			case failed <- struct{}{}:
			default:
			}
		}
		return http.StatusServiceUnavailable
	})
	server.Forget() // every watch expires, every new list fails
	<-failed
	if w.tables.Pods.Len(w.db.Snapshot()) != 1 {
		t.Error("rows went away with the API server")
	}
	server.Delete(podsPath + "web")
	server.Put(podsPath+"new", podOn("n1", nil))
	server.Fail(nil)
	until(w, w.tables.Pods, func(s *state.Snapshot) bool {
		_, old := w.tables.Pods.One(s, table.ObjectKey("shop", "web"))
		_, now := w.tables.Pods.One(s, table.ObjectKey("shop", "new"))
		return !old && now
	}, func() string { return "want shop/new alone" })
}

func TestAnAPIServerThatIsAwayIsOneLineInTheLog(t *testing.T) {
	server := apitest.New(t)
	server.Serve(ciliumResources...)
	away := func(*http.Request) int { return http.StatusServiceUnavailable }
	server.Fail(away)
	w := start(t, server, nil)
	// The first list that succeeds comes after all resources have failed at least once.
	asked := map[string]bool{}
	all := make(chan struct{})
	server.Fail(func(r *http.Request) int {
		before := len(asked)
		asked[r.URL.Path] = true
		if before == 8 && len(asked) == 9 { // seven resources of Kubernetes, and which there are of two groups with CRDs
			close(all)
		}
		return away(r)
	})
	<-all
	server.Fail(nil)
	synced(w, w.tables.Pods)
	synced(w, w.tables.Services)
	if n := strings.Count(w.log.String(), "cannot read from the API server"); n != 1 {
		t.Errorf("%d lines, want one:\n%s", n, w.log)
	}
}

func TestTablesEqualTheServerThoughATenthOfRequestsFails(t *testing.T) {
	server := apitest.New(t)
	server.Serve(ciliumResources...)
	random := rand.New(rand.NewPCG(1, 2))
	server.Fail(func(*http.Request) int {
		if random.IntN(10) == 0 {
			return []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusGone}[random.IntN(3)]
		}
		return 0
	})
	w := start(t, server, nil)
	names := []string{"a", "b", "c", "d"}
	for i := range 200 {
		path := podsPath + names[(i*7)%4]
		switch {
		case i%5 == 0:
			server.Delete(path)
		case i%23 == 0:
			server.Forget()
		default:
			server.Put(path, podOn([]string{"n1", "n2"}[i%2], map[string]string{"i": string(rune('a' + i%7))}))
		}
	}
	server.Put(podsPath+"last", podOn("n1", nil))
	var want []string
	for _, path := range server.Paths(podsPath) {
		var p corev1.Pod
		if server.Get(path, &p); p.Spec.NodeName == "n1" {
			want = append(want, p.Name+" "+p.Labels["i"])
		}
	}
	var have []string
	until(w, w.tables.Pods, func(s *state.Snapshot) bool {
		have = nil
		for p := range w.tables.Pods.All(s) {
			have = append(have, p.Name+" "+p.Labels["i"])
		}
		return cmp.Equal(want, have)
	}, func() string { return cmp.Diff(want, have) })
}
