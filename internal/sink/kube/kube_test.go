package kube

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/source/kube/apitest"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

const (
	identities = "/apis/cilium.io/v2/ciliumidentities/"
	nodes      = "/apis/cilium.io/v2/ciliumnodes/"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T) *apitest.Server {
	server := apitest.New(t)
	server.Serve(v2.IdentityResource, v2.EndpointResource, v2.NodeResource)
	return server
}

// tenth lets a tenth of all requests fail.
func tenth(server *apitest.Server) {
	random := rand.New(rand.NewPCG(3, 4))
	server.Fail(func(*http.Request) int {
		if random.IntN(10) == 0 {
			return http.StatusInternalServerError
		}
		return 0
	})
}

func write(db *state.DB, fn func(tx *state.Tx)) {
	if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		panic(err)
	}
}

func app(name string) identity.Labels {
	return identity.NewLabels(map[string]string{"k8s:app": name, "k8s:io.kubernetes.pod.namespace": "shop"})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func claim(t *testing.T, server *apitest.Server, tables *table.Tables, db *state.DB) *Identities {
	t.Helper()
	s, err := NewIdentities(server.Config(), db, tables)
	must(t, err)
	return s
}

func TestAgentsThatRaceAgreeOnOneNumberPerLabelSet(t *testing.T) {
	server := serve(t)
	var agents sync.WaitGroup
	for range 8 {
		agents.Go(func() {
			tables, db := table.New()
			s, err := NewIdentities(server.Config(), db, tables)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 10 {
				if err := s.Set(t.Context(), []table.IdentityClaim{{Labels: app(fmt.Sprint(i))}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	agents.Wait()
	seen := map[identity.Labels]string{}
	for _, path := range server.Paths(identities) {
		var o v2.CiliumIdentity
		server.Get(path, &o)
		labels := identity.NewLabels(o.SecurityLabels)
		if other := seen[labels]; other != "" {
			t.Errorf("%s and %s are both %s", other, o.Name, labels)
		}
		seen[labels] = o.Name
		if o.Labels["io.kubernetes.pod.namespace"] != "shop" {
			t.Errorf("identity %s has no label that tells its namespace", o.Name)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d identities, want 10", len(seen))
	}
}

func TestANumberOfOtherLabelsIsPassedOver(t *testing.T) {
	server := serve(t)
	tables, db := table.New()
	first := identity.Candidate(app("web"), 0)
	second := identity.Next(first, 0)
	server.Put(identities+fmt.Sprint(uint32(first)), &v2.CiliumIdentity{SecurityLabels: app("other").Map()})
	// The table knows of the second that it is taken, so it is not asked for.
	write(db, func(tx *state.Tx) { tables.Identities.Put(tx, table.Identity{Number: second, Labels: app("third")}) })
	s := claim(t, server, tables, db)
	must(t, s.Set(t.Context(), []table.IdentityClaim{{Labels: app("web")}}))
	var o v2.CiliumIdentity
	if !server.Get(identities+fmt.Sprint(uint32(identity.Next(second, 0))), &o) || identity.NewLabels(o.SecurityLabels) != app("web") {
		t.Errorf("want the third number for the labels; there are %v", server.Paths(identities))
	}
}

func TestAClaimTakesTheMarkOffAnIdentityThatIsAboutToGo(t *testing.T) {
	server := serve(t)
	tables, db := table.New()
	server.Put(identities+"4711", &v2.CiliumIdentity{
		ObjectMeta:     metav1.ObjectMeta{Annotations: map[string]string{UnusedSince: "2026-01-01T00:00:00Z"}},
		SecurityLabels: app("web").Map(),
	})
	write(db, func(tx *state.Tx) { tables.Identities.Put(tx, table.Identity{Number: 4711, Labels: app("web")}) })
	s := claim(t, server, tables, db)
	must(t, s.Set(t.Context(), []table.IdentityClaim{{Labels: app("web")}}))
	var o v2.CiliumIdentity
	if server.Get(identities+"4711", &o); o.Annotations[UnusedSince] != "" {
		t.Error("the mark is still there: the operator would delete an identity in use")
	}
	if n := len(server.Paths(identities)); n != 1 {
		t.Errorf("%d identities, want the one that was there", n)
	}
}

func TestADumpHasOnlyClaimsWhoseIdentityIsStillThere(t *testing.T) {
	server := serve(t)
	tables, db := table.New()
	s := claim(t, server, tables, db)
	must(t, s.Set(t.Context(), []table.IdentityClaim{{Labels: app("web")}, {Labels: app("api")}}))
	write(db, func(tx *state.Tx) { tables.Identities.Put(tx, table.Identity{Number: 300, Labels: app("web")}) })
	dump, err := s.Dump(t.Context())
	must(t, err)
	var have []string
	for _, c := range dump {
		have = append(have, c.Labels.String())
	}
	if diff := cmp.Diff([]string{app("web").String()}, have); diff != "" {
		t.Errorf("dump (-want +have):\n%s", diff)
	}
}

func published(uid string) table.PublishedEndpoint {
	return table.PublishedEndpoint{
		Namespace: "shop", Name: "web-0", PodUID: uid, Identity: 4711, Labels: app("web"),
		Addresses: []netip.Addr{netip.MustParseAddr("10.244.1.5"), netip.MustParseAddr("fd00::5")},
		Node:      netip.MustParseAddr("192.168.0.1"), NamedPorts: []table.NamedPort{{Name: "http", Protocol: 6, Port: 8080}},
	}
}

func publish(t *testing.T, server *apitest.Server, node string) *Endpoints {
	t.Helper()
	tables, _ := table.New()
	s, err := NewEndpoints(server.Config(), tables, node)
	must(t, err)
	return s
}

const web0 = "/apis/cilium.io/v2/namespaces/shop/ciliumendpoints/web-0"

func TestAnEndpointIsDumpedAsItWasSet(t *testing.T) {
	server := serve(t)
	s := publish(t, server, "n1")
	want := published("uid-a")
	must(t, s.Set(t.Context(), []table.PublishedEndpoint{want}))
	must(t, publish(t, server, "n2").Set(t.Context(), []table.PublishedEndpoint{{Namespace: "shop", Name: "other", PodUID: "x", Identity: 5}}))
	dump, err := s.Dump(t.Context())
	must(t, err)
	var have []table.PublishedEndpoint
	for _, row := range dump {
		have = append(have, row)
	}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff([]table.PublishedEndpoint{want}, have, compare, cmpopts.EquateComparable(identity.Labels{})); diff != "" {
		t.Errorf("dump (-want +have):\n%s", diff)
	}
	want.Identity = 4712
	must(t, s.Set(t.Context(), []table.PublishedEndpoint{want}))
	var o v2.CiliumEndpoint
	if server.Get(web0, &o); o.Status.Identity.ID != 4712 {
		t.Errorf("identity %d, want the new one", o.Status.Identity.ID)
	}
	version := o.ResourceVersion
	must(t, s.Set(t.Context(), []table.PublishedEndpoint{want}))
	if server.Get(web0, &o); o.ResourceVersion != version {
		t.Error("an endpoint that is as it should be was written")
	}
	must(t, s.Unset(t.Context(), []table.PublishedEndpoint{want}))
	must(t, s.Unset(t.Context(), []table.PublishedEndpoint{want}))
	if server.Get(web0, &o) {
		t.Error("the endpoint is still there")
	}
}

func TestANameGoesToTheNodeWhereThePodLives(t *testing.T) {
	server := serve(t)
	old, now := publish(t, server, "n1"), publish(t, server, "n2")
	must(t, old.Set(t.Context(), []table.PublishedEndpoint{published("uid-a")}))

	server.Put("/api/v1/namespaces/shop/pods/web-0", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "uid-b"}})
	must(t, now.Set(t.Context(), []table.PublishedEndpoint{published("uid-b")}))
	err := old.Set(t.Context(), []table.PublishedEndpoint{published("uid-a")})
	if err == nil || !strings.Contains(err.Error(), "the pod of that name is uid-b by now") {
		t.Errorf("the node of the earlier pod takes the name back: %v", err)
	}
	must(t, old.Unset(t.Context(), []table.PublishedEndpoint{published("uid-a")}))
	var o v2.CiliumEndpoint
	if !server.Get(web0, &o) || owner(&o) != "uid-b" {
		t.Error("the node of the earlier pod has removed what is not its own")
	}
}

// awaitPublished waits until a row is in place.
func awaitPublished(t *testing.T, db *state.DB, published *state.Table[table.PublishedEndpoint], key state.Key) {
	t.Helper()
	for {
		s := db.Snapshot()
		_, _, one := status.Statuses.WatchOne(s, status.KeyOf(published, key))
		_, _, all := status.Statuses.WatchOne(s, status.KeyOf(published, ""))
		if status.Realised(s, published, key) {
			return
		}
		select {
		case <-one:
		case <-all:
		case <-t.Context().Done():
			t.Fatalf("%s is not in place", key)
		}
	}
}

func TestEndpointsEqualTheTableThoughATenthOfRequestsFails(t *testing.T) {
	server := serve(t)
	tenth(server)
	tables, _ := table.New()
	db := state.New(tables.Published, status.Statuses)
	s, err := NewEndpoints(server.Config(), tables, "n1")
	must(t, err)
	want := map[string]bool{}
	write(db, func(tx *state.Tx) {
		for i := range 30 {
			row := published(fmt.Sprint("uid-", i))
			row.Name = fmt.Sprint("web-", i)
			tables.Published.Put(tx, row)
		}
		tables.Published.MarkSynced(tx)
	})
	for i := range 30 {
		want[fmt.Sprint("web-", i)] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	loop := &reconcile.Loop[table.PublishedEndpoint]{Table: tables.Published, Sink: s, Backoff: time.Millisecond}
	var running sync.WaitGroup
	running.Go(func() { _ = loop.Run(ctx, db) })
	write(db, func(tx *state.Tx) {
		for i := range 10 {
			name := fmt.Sprint("web-", i*3)
			tables.Published.Delete(tx, table.ObjectKey("shop", name))
			delete(want, name)
		}
	})
	for row := range tables.Published.All(db.Snapshot()) {
		awaitPublished(t, db, tables.Published, tables.Published.Key(row))
	}
	for i := range 10 {
		must(t, status.AwaitGone(t.Context(), db, tables.Published, table.ObjectKey("shop", fmt.Sprint("web-", i*3))))
	}
	cancel()
	running.Wait()
	have := map[string]bool{}
	for _, path := range server.Paths("/apis/cilium.io/v2/namespaces/shop/") {
		have[path[strings.LastIndex(path, "/")+1:]] = true
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("endpoints (-want +have):\n%s", diff)
	}
}

// keep runs the keeper of the CiliumNode of n1.
func keep(t *testing.T, server *apitest.Server, ipam string) (seen func()) {
	t.Helper()
	tables, db := table.New()
	write(db, func(tx *state.Tx) {
		tables.Configs.Put(tx, table.Config{Concern: settings.OfAddressing, Settings: settings.Config{Addressing: settings.Addressing{IPAM: ipam}}})
		tables.Configs.MarkSynced(tx)
	})
	n, err := NewNode(server.Config(), db, tables, "n1", nil)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = n.Run(ctx) })
	// The table follows the object, as source/kube would make it do.
	running.Go(func() {
		for ctx.Err() == nil {
			next := server.Changed()
			var o v2.CiliumNode
			there := server.Get(nodes+"n1", &o)
			write(db, func(tx *state.Tx) {
				if there {
					tables.Nodes.Put(tx, table.Node{Name: "n1", Labels: map[string]string{"version": o.ResourceVersion}})
				} else {
					tables.Nodes.Delete(tx, state.Join("n1"))
				}
			})
			select {
			case <-next:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	// The agent hears of a CiliumNode that goes only if it has heard of it before.
	return func() {
		t.Helper()
		for {
			_, there, changed := tables.Nodes.WatchOne(db.Snapshot(), state.Join("n1"))
			if there {
				return
			}
			<-changed
		}
	}
}

// await blocks until the CiliumNode of n1 is as ok wants.
func await(t *testing.T, server *apitest.Server, ok func(v2.CiliumNode) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		next := server.Changed()
		var o v2.CiliumNode
		if server.Get(nodes+"n1", &o) && ok(o) {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			t.Fatalf("CiliumNode n1 is %+v", o.Spec)
		}
	}
}

func kubeNode(address string, prefixes ...string) *corev1.Node {
	return &corev1.Node{
		Spec: corev1.NodeSpec{PodCIDRs: prefixes},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: "InternalIP", Address: address}, {Type: "Hostname", Address: "n1"},
		}},
	}
}

func TestTheCiliumNodeHasTheAddressesOfItsNodeAndKeepsThePrefixesOfTheOperator(t *testing.T) {
	server := serve(t)
	tenth(server)
	server.Put("/api/v1/nodes/n1", kubeNode("192.168.0.1", "10.9.0.0/24"))
	seen := keep(t, server, "cluster-pool")
	address := func(o v2.CiliumNode) string {
		if len(o.Spec.Addresses) != 1 {
			return ""
		}
		return o.Spec.Addresses[0].IP
	}
	var o v2.CiliumNode
	await(t, server, func(n v2.CiliumNode) bool {
		o = n
		return address(n) == "192.168.0.1" && len(n.Spec.IPAM.PodCIDRs) == 0
	})
	o.Spec.IPAM.PodCIDRs = []string{"10.0.1.0/24"}
	server.Put(nodes+"n1", &o)
	server.Put("/api/v1/nodes/n1", kubeNode("192.168.0.9"))
	await(t, server, func(n v2.CiliumNode) bool {
		return address(n) == "192.168.0.9" && cmp.Equal(n.Spec.IPAM.PodCIDRs, []string{"10.0.1.0/24"})
	})
	seen()
	server.Delete(nodes + "n1")
	await(t, server, func(n v2.CiliumNode) bool { return cmp.Equal(n.Spec.IPAM.PodCIDRs, []string{"10.0.1.0/24"}) })
}

func TestInModeKubernetesThePrefixesAreThoseOfTheNode(t *testing.T) {
	server := serve(t)
	server.Put("/api/v1/nodes/n1", kubeNode("192.168.0.1", "10.9.0.0/24", "fd00::/64"))
	keep(t, server, "kubernetes")
	await(t, server, func(n v2.CiliumNode) bool {
		return cmp.Equal(n.Spec.IPAM.PodCIDRs, []string{"10.9.0.0/24", "fd00::/64"})
	})
}

func TestTheSameEventAgainRaisesItsCount(t *testing.T) {
	server := serve(t)
	e, err := NewEvents(server.Config(), "weft-agent", "n1")
	must(t, err)
	about := corev1.ObjectReference{Kind: "NetworkPolicy", Namespace: "shop", Name: "deny", UID: "7"}
	must(t, e.Warn(t.Context(), about, "NotEnforced", "spec.x: not enforced yet"))
	must(t, e.Warn(t.Context(), about, "NotEnforced", "spec.x: not enforced yet"))
	must(t, e.Warn(t.Context(), about, "NotEnforced", "spec.y: not enforced yet"))
	paths := server.Paths("/api/v1/namespaces/shop/events/")
	if len(paths) != 2 {
		t.Fatalf("events %v, want two", paths)
	}
	counts := map[string]int32{}
	for _, p := range paths {
		var o corev1.Event
		server.Get(p, &o)
		counts[o.Message] = o.Count
	}
	if counts["spec.x: not enforced yet"] != 2 || counts["spec.y: not enforced yet"] != 1 {
		t.Errorf("counts %v", counts)
	}
}
