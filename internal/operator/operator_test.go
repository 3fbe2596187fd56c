package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/operator/condition"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/sink/kube"
	"weftnet.io/weftnet/internal/source/kube/apitest"
	"weftnet.io/weftnet/internal/table/redirect"
)

const cilium = "/apis/cilium.io/v2/"

// world is a server, a client to it that reads what is there now, a clock that stands, and a log.
type world struct {
	*testing.T
	*apitest.Server
	client client.Client
	now    time.Time
	log    bytes.Buffer
	told   []string // events
}

func newWorld(t *testing.T) *world {
	server := apitest.New(t)
	server.Serve(required()...)
	c, err := client.New(server.Config(), client.Options{Scheme: newScheme(), Mapper: mapper()})
	if err != nil {
		t.Fatal(err)
	}
	return &world{T: t, Server: server, client: c, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// mapper knows the kinds of the scheme, of which the server tells the names only.
func mapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for gvk := range newScheme().AllKnownTypes() {
		scope := meta.RESTScopeNamespace
		if slices.Contains(clusterwide, gvk.Kind) {
			scope = meta.RESTScopeRoot
		}
		mapper.Add(gvk, scope)
	}
	return mapper
}

var clusterwide = []string{
	"Node", "CiliumNode", "CiliumIdentity", "CiliumCIDRGroup", "CiliumClusterwideNetworkPolicy", "CiliumLoadBalancerIPPool", "ClusterNetworkPolicy",
}

// Eventf makes the world an event recorder.
func (w *world) Eventf(about, _ runtime.Object, _, reason, _, note string, args ...any) {
	name := about.(metav1.Object).GetName()
	w.told = append(w.told, name+" "+reason+": "+fmt.Sprintf(note, args...))
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&w.log, nil)) }

// tenth lets a tenth of all requests fail.
func (w *world) tenth() {
	random := rand.New(rand.NewPCG(5, 6))
	w.Fail(func(*http.Request) int {
		if random.IntN(10) == 0 {
			return http.StatusInternalServerError
		}
		return 0
	})
}

// until repeats what fails, as a work queue would.
func (w *world) until(try func() error) {
	w.Helper()
	var err error
	for range 100 {
		if err = try(); err == nil {
			return
		}
	}
	w.Fatalf("does not succeed: %v", err)
}

func (w *world) config(data map[string]string) {
	w.Put("/api/v1/namespaces/kube-system/configmaps/cilium-config", &corev1.ConfigMap{Data: data})
}

func (w *world) node(name string, prefixes ...string) {
	w.Put("/api/v1/nodes/"+name, &corev1.Node{})
	w.Put(cilium+"ciliumnodes/"+name, &v2.CiliumNode{Spec: v2.NodeSpec{IPAM: v2.NodeIPAM{PodCIDRs: prefixes}}})
}

func (w *world) nodes() *nodes {
	return &nodes{
		client: w.client, live: w.client, events: w, log: w.logger(), now: func() time.Time { return w.now },
		held: map[netip.Prefix]bool{}, resting: map[netip.Prefix]time.Time{}, gone: map[string]time.Time{},
	}
}

// prefixes prints what each node has, and what it lacks.
func (w *world) prefixes() string {
	var lines []string
	for _, path := range w.Paths(cilium + "ciliumnodes/") {
		var o v2.CiliumNode
		w.Get(path, &o)
		lines = append(lines, strings.TrimSpace(fmt.Sprint(o.Name, " ", o.Spec.IPAM.PodCIDRs, " ", o.Status.IPAM.OperatorStatus.Error)))
	}
	return strings.Join(lines, "\n")
}

func (w *world) want(what, want, have string) {
	w.Helper()
	if diff := cmp.Diff(want, have); diff != "" {
		w.Errorf("%s (-want +have):\n%s", what, diff)
	}
}

func step(r reconcile.Reconciler) func() error {
	return func() error {
		_, err := r.Reconcile(context.Background(), reconcile.Request{})
		return err
	}
}

var smallPools = map[string]string{
	"cluster-pool-ipv4-cidr": "10.244.0.0/23", "cluster-pool-ipv4-mask-size": "24",
	"cluster-pool-ipv6-cidr": "fd00:244::/56", "cluster-pool-ipv6-mask-size": "64",
}

func TestNodesGetPrefixesThoughATenthOfRequestsFails(t *testing.T) {
	w := newWorld(t)
	w.config(smallPools)
	w.node("n1")
	w.node("n2", "10.244.0.0/24")
	w.node("n3")
	w.tenth()
	r := w.nodes()
	w.until(step(r))
	w.want("nodes", `n1 [10.244.1.0/24 fd00:244::/64]
n2 [10.244.0.0/24 fd00:244:0:1::/64]
n3 [fd00:244:0:2::/64] no free /24 in 10.244.0.0/23 for node n3 (2 in use)`, w.prefixes())
	w.want("events", "n3 NoPodPrefix: no free /24 in 10.244.0.0/23 for node n3 (2 in use)", strings.Join(w.told, "\n"))

	w.until(step(w.nodes())) // a restart changes nothing and says nothing again
	if len(w.told) != 1 {
		t.Errorf("events after a restart: %v", w.told)
	}
	larger := map[string]string{}
	for k, v := range smallPools {
		larger[k] = v
	}
	larger["cluster-pool-ipv4-cidr"] = "10.244.0.0/23 10.250.0.0/16"
	w.config(larger)
	w.until(step(r))
	w.want("nodes", `n1 [10.244.1.0/24 fd00:244::/64]
n2 [10.244.0.0/24 fd00:244:0:1::/64]
n3 [fd00:244:0:2::/64 10.250.0.0/24]`, w.prefixes())
}

func TestInModeKubernetesTheOperatorGivesNothing(t *testing.T) {
	w := newWorld(t)
	w.config(map[string]string{"ipam": "kubernetes"})
	w.node("n1")
	w.until(step(w.nodes()))
	w.want("nodes", "n1 []", w.prefixes())
}

func TestWithoutConfigurationNothingIsGivenAndTheErrorSaysSo(t *testing.T) {
	w := newWorld(t)
	w.node("n1")
	err := step(w.nodes())()
	if err == nil || !strings.Contains(err.Error(), "ConfigMap kube-system/cilium-config") {
		t.Errorf("error %v, want one that names the ConfigMap", err)
	}
	w.want("nodes", "n1 []", w.prefixes())
}

func TestACiliumNodeOutlivesItsNodeForAWhileAndItsPrefixRests(t *testing.T) {
	w := newWorld(t)
	w.config(map[string]string{"enable-ipv6": "false", "cluster-pool-ipv4-cidr": "10.244.0.0/23"})
	w.node("n1")
	w.node("n2")
	r := w.nodes()
	w.until(step(r))
	w.Delete("/api/v1/nodes/n1")
	result, err := r.Reconcile(t.Context(), reconcile.Request{})
	if err != nil || result.RequeueAfter != nodeGrace {
		t.Errorf("look again after %v (%v), want %v", result.RequeueAfter, err, nodeGrace)
	}
	w.want("nodes", "n1 [10.244.0.0/24]\nn2 [10.244.1.0/24]", w.prefixes())

	w.now = w.now.Add(nodeGrace - time.Second)
	w.Put("/api/v1/nodes/n1", &corev1.Node{}) // registered anew, in time
	w.until(step(r))
	w.Delete("/api/v1/nodes/n1")
	w.until(step(r))
	w.now = w.now.Add(time.Minute)
	w.until(step(r))
	w.want("nodes", "n1 [10.244.0.0/24]\nn2 [10.244.1.0/24]", w.prefixes())

	w.now = w.now.Add(nodeGrace)
	w.until(step(r))
	w.until(step(r))
	w.want("nodes", "n2 [10.244.1.0/24]", w.prefixes())

	larger := map[string]string{"enable-ipv6": "false", "cluster-pool-ipv4-cidr": "10.244.0.0/22"}
	w.config(larger)
	w.node("n3")
	w.until(step(r))
	w.want("nodes", "n2 [10.244.1.0/24]\nn3 [10.244.2.0/24]", w.prefixes())
	w.now = w.now.Add(prefixRest)
	w.node("n4")
	w.until(step(r))
	w.want("nodes", "n2 [10.244.1.0/24]\nn3 [10.244.2.0/24]\nn4 [10.244.0.0/24]", w.prefixes())
}

func TestTheYoungerOfTwoNodesWithOnePrefixGetsAnotherAndPeopleAreTold(t *testing.T) {
	w := newWorld(t)
	w.config(map[string]string{"enable-ipv6": "false", "cluster-pool-ipv4-cidr": "10.244.0.0/16"})
	w.node("a", "10.244.7.0/24")
	w.node("b", "10.244.7.0/24")
	w.until(step(w.nodes()))
	w.want("nodes", "a [10.244.7.0/24]\nb [10.244.0.0/24]", w.prefixes())
	if len(w.told) != 1 || !strings.HasPrefix(w.told[0], "b PodPrefixConflict") {
		t.Errorf("events %v", w.told)
	}
}

func (w *world) identity(name string) *v2.CiliumIdentity {
	var o v2.CiliumIdentity
	if !w.Get(cilium+"ciliumidentities/"+name, &o) {
		return nil
	}
	return &o
}

func TestAnIdentityGoesAfterItHasBeenOutOfUseForLong(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"300", "301"} {
		w.Put(cilium+"ciliumidentities/"+name, &v2.CiliumIdentity{SecurityLabels: map[string]string{"k8s:app": name}})
	}
	const endpoint = cilium + "namespaces/shop/ciliumendpoints/web"
	used := &v2.CiliumEndpoint{Status: v2.EndpointStatus{Identity: &v2.EndpointIdentity{ID: 300}}}
	w.Put(endpoint, used)
	w.tenth()
	s := &identities{client: w.client, live: w.client, log: w.logger(), now: func() time.Time { return w.now }}
	sweep := func() { w.until(func() error { return s.sweep(t.Context()) }) }
	sweep()
	if w.identity("300").Annotations[kube.UnusedSince] != "" || w.identity("301").Annotations[kube.UnusedSince] == "" {
		t.Error("want 301 marked, and 300, which is used, not")
	}
	w.now = w.now.Add(identityRest - time.Second)
	w.Delete(endpoint) // 300 goes out of use
	sweep()
	if w.identity("301") == nil {
		t.Fatal("301 is gone before its time")
	}
	w.now = w.now.Add(time.Second)
	sweep()
	if w.identity("301") != nil {
		t.Error("301 is still there")
	}
	w.now = w.now.Add(identityRest - 2*time.Second)
	w.Put(endpoint, used) // 300 is in use again
	sweep()
	if o := w.identity("300"); o == nil || o.Annotations[kube.UnusedSince] != "" {
		t.Errorf("300, in use again, is %+v", o)
	}
}

func TestAnIdentityThatIsTouchedWhileItIsJudgedStays(t *testing.T) {
	w := newWorld(t)
	mark := map[string]string{kube.UnusedSince: w.now.Add(-time.Hour).Format(time.RFC3339)}
	path := cilium + "ciliumidentities/300"
	w.Put(path, &v2.CiliumIdentity{ObjectMeta: metav1.ObjectMeta{Annotations: mark}})
	var stale v2.CiliumIdentity
	w.Get(path, &stale)
	w.Put(path, &v2.CiliumIdentity{}) // an agent takes the mark away
	s := &identities{client: w.client, live: w.client, log: w.logger(), now: func() time.Time { return w.now }}
	s.look([]v2.CiliumIdentity{stale})
	w.now = w.now.Add(identityRest)
	if gone, err := s.judge(t.Context(), &stale, false); gone || err == nil || w.identity("300") == nil {
		t.Errorf("deleted an identity that an agent had just claimed (%v)", err)
	}
}

// behind is a cache that has not heard of any endpoint.
type behind struct{ client.Client }

func (b behind) List(ctx context.Context, list client.ObjectList, o ...client.ListOption) error {
	if list, ok := list.(*v2.CiliumEndpointList); ok {
		for _, o := range o {
			if o, ok := o.(*client.ListOptions); ok && o.Continue != "" {
				return errors.New("continue list option is not supported by the cache")
			}
		}
		list.Continue = "continue-not-supported" // as the real one does
		return nil
	}
	return b.Client.List(ctx, list, o...)
}

func TestAnIdentityThatTheCacheDoesNotKnowToBeUsedStays(t *testing.T) {
	w := newWorld(t)
	mark := map[string]string{kube.UnusedSince: w.now.Add(-time.Hour).Format(time.RFC3339)}
	w.Put(cilium+"ciliumidentities/300", &v2.CiliumIdentity{ObjectMeta: metav1.ObjectMeta{Annotations: mark}})
	w.Put(cilium+"namespaces/shop/ciliumendpoints/web", &v2.CiliumEndpoint{
		Status: v2.EndpointStatus{Identity: &v2.EndpointIdentity{ID: 300}},
	})
	s := &identities{client: behind{w.client}, live: w.client, log: w.logger(), now: func() time.Time { return w.now }}
	for range 2 {
		if err := s.sweep(t.Context()); err != nil || w.identity("300") == nil {
			t.Errorf("deleted an identity in use, on the word of a cache (%v)", err)
		}
		w.now = w.now.Add(identityRest)
	}
}

func TestAClockThatJumpsAgesNoIdentity(t *testing.T) {
	w := newWorld(t)
	const path = cilium + "ciliumidentities/300"
	for _, jump := range []time.Duration{time.Hour, -24 * time.Hour} { // between the mark and the operator that finds it
		mark := map[string]string{kube.UnusedSince: w.now.Add(-jump).Format(time.RFC3339)}
		w.Put(path, &v2.CiliumIdentity{ObjectMeta: metav1.ObjectMeta{Annotations: mark}})
		s := &identities{client: w.client, live: w.client, log: w.logger(), now: func() time.Time { return w.now }}
		for _, wait := range []time.Duration{0, identityRest - time.Second} {
			w.now = w.now.Add(wait)
			if err := s.sweep(t.Context()); err != nil || w.identity("300") == nil {
				t.Errorf("jump of %v: deleted %v after it was found (%v)", jump, wait, err)
			}
		}
		w.now = w.now.Add(time.Second)
		if err := s.sweep(t.Context()); err != nil || w.identity("300") != nil {
			t.Errorf("jump of %v: still there after it has rested (%v)", jump, err)
		}
	}
}

func TestAnEndpointGoesWhenItsPodWasMissingTwice(t *testing.T) {
	w := newWorld(t)
	owned := func(uid string) *v2.CiliumEndpoint {
		return &v2.CiliumEndpoint{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Pod", Name: "x", UID: types.UID(uid)},
		}}}
	}
	const ceps, pods = cilium + "namespaces/shop/ciliumendpoints/", "/api/v1/namespaces/shop/pods/"
	w.Put(pods+"lives", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "a"}})
	w.Put(pods+"replaced", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "c"}})
	w.Put(ceps+"lives", owned("a"))
	w.Put(ceps+"replaced", owned("b"))
	w.Put(ceps+"gone", &v2.CiliumEndpoint{})
	w.Put(ceps+"late", &v2.CiliumEndpoint{}) // its pod comes to the cache a little later
	s := &endpoints{w.client, w.client, w.logger(), nil}
	if err := s.sweep(t.Context()); err != nil || len(w.Paths(ceps)) != 4 {
		t.Errorf("the first sweep leaves %v (%v)", w.Paths(ceps), err)
	}
	w.Put(pods+"late", &corev1.Pod{})
	w.tenth()
	w.until(func() error { return s.sweep(t.Context()) })
	w.until(func() error { return s.sweep(t.Context()) })
	w.want("endpoints", ceps+"late\n"+ceps+"lives", strings.Join(w.Paths(ceps), "\n"))
}

func TestAPolicySaysInItsStatusWhatIsNotEnforced(t *testing.T) {
	w := newWorld(t)
	path := cilium + "namespaces/shop/ciliumnetworkpolicies/"
	web := &v2.LabelSelector{}
	w.Put(path+"whole", &v2.CiliumNetworkPolicy{Spec: &v2.Rule{EndpointSelector: web, Ingress: []v2.IngressRule{{
		IngressPeer: v2.IngressPeer{FromEndpoints: []v2.LabelSelector{{}}},
	}}}})
	w.Put(path+"part", &v2.CiliumNetworkPolicy{Spec: &v2.Rule{EndpointSelector: web, Egress: []v2.EgressRule{{
		ToFQDNs: []v2.FQDNSelector{{MatchName: "example.com"}},
	}}}})
	w.Put(path+"trap", &v2.CiliumNetworkPolicy{Spec: &v2.Rule{EndpointSelector: web, Ingress: []v2.IngressRule{}, Egress: []v2.EgressRule{{
		EgressPeer: v2.EgressPeer{ToEntities: []string{"all"}},
	}}}})
	w.Put(path+"bad", &v2.CiliumNetworkPolicy{Spec: &v2.Rule{EndpointSelector: web}})
	s := &statuses{w.client, judgement{kind: kind.Named(language.KindCilium), judge: func(_ context.Context, o kind.Object) (condition.Assessment, error) {
		return condition.Of(language.KindCilium, o, gap.Default())
	}}}
	var have []string
	for _, name := range []string{"whole", "part", "trap", "bad", "missing"} {
		request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}}
		for range 2 {
			if _, err := s.Reconcile(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		}
		var o v2.CiliumNetworkPolicy
		w.Get(path+name, &o)
		for _, c := range o.Status.Conditions {
			names := strings.Contains(c.Message, "spec.egress[0].toFQDNs") || strings.Contains(c.Message, "at least one of Ingress") || strings.Contains(c.Message, "; fix: ingress: [{}]")
			have = append(have, fmt.Sprint(name, " ", c.Type, "=", c.Status, " ", c.Reason, " names the field: ", names))
		}
	}
	w.want("conditions", `whole Valid=True WellFormed names the field: false
whole Enforced=True Enforced names the field: false
part Valid=True WellFormed names the field: true
part Enforced=False NotImplemented names the field: true
trap Valid=True WellFormed names the field: true
trap Enforced=True Enforced names the field: false
bad Valid=False Invalid names the field: true
bad Enforced=False Invalid names the field: false`, strings.Join(have, "\n"))
}

func TestAConditionKnowsSettingsAndWhatAPolicyNames(t *testing.T) {
	w := newWorld(t)
	w.Serve(v2.CIDRGroupResource)
	const path = cilium + "ciliumclusterwidenetworkpolicies/"
	inside := []v2.IngressRule{{IngressPeer: v2.IngressPeer{FromEntities: []string{"cluster"}}}}
	host := &v2.Rule{NodeSelector: &v2.LabelSelector{}, Ingress: inside}
	to := func(p v2.EgressPeer) *v2.Rule {
		return &v2.Rule{EndpointSelector: &v2.LabelSelector{}, Egress: []v2.EgressRule{{EgressPeer: p}}}
	}
	group := to(v2.EgressPeer{ToCIDRSet: []v2.CIDRRule{{CIDRGroupRef: "partners"}}})
	service := to(v2.EgressPeer{ToServices: []v2.ServiceSelector{{Service: &v2.ServiceName{Namespace: "shop", ServiceName: "db"}}}})
	node := to(v2.EgressPeer{ToNodes: []v2.LabelSelector{{}}})
	gre := to(v2.EgressPeer{ToEntities: []string{"world"}})
	gre.Egress[0].ToPorts = []v2.PortRule{{Ports: []v2.PortProtocol{{Port: "0", Protocol: "GRE"}}}}
	pods := &v2.Rule{EndpointSelector: &v2.LabelSelector{}, Ingress: inside}
	s := &statuses{w.client, judgementOf(nil, condition.Facts{Client: w.client, Groups: true}, kind.Named(language.KindClusterwide))}
	enforced := func(spec *v2.Rule, annotations map[string]string, settings map[string]string) string {
		w.Put("/api/v1/namespaces/kube-system/configmaps/cilium-config", &corev1.ConfigMap{Data: settings})
		w.Put(path+"p", &v2.CiliumClusterwideNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Annotations: annotations}, Spec: spec})
		if _, err := s.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "p"}}); err != nil {
			t.Fatal(err)
		}
		var o v2.CiliumClusterwideNetworkPolicy
		w.Get(path+"p", &o)
		c := meta.FindStatusCondition(o.Status.Conditions, condition.ConditionEnforced)
		return fmt.Sprint(c.Status, " ", c.Reason, ": ", c.Message)
	}
	const whole = "True Enforced: all of it is enforced"
	w.want("host firewall off", `False NotEnabled: spec.nodeSelector: rules for nodes do nothing while setting enable-host-firewall is not true; fix: in ConfigMap cilium-config: enable-host-firewall: "true"`, enforced(host, nil, nil))
	w.want("host firewall on", whole, enforced(host, nil, map[string]string{"enable-host-firewall": "true"}))
	w.want("peers by nodes", "False NotEnabled", enforced(node, nil, nil)[:16])
	w.want("peers by nodes, allowed", whole, enforced(node, nil, map[string]string{"enable-node-selector-labels": "true"}))
	w.want("GRE", "False NotEnabled", enforced(gre, nil, nil)[:16])
	w.want("GRE, allowed", whole, enforced(gre, nil, map[string]string{"enable-extended-ip-protocols": "true"}))
	w.want("no policies", "False NotEnabled: spec: no policy is enforced while setting policy-enforcement-mode is never", enforced(pods, nil, map[string]string{"policy-enforcement-mode": "never"}))
	w.want("audit of all", "False Audited", enforced(pods, nil, map[string]string{"policy-audit-mode": "true"})[:13])
	w.want("audit of one", "False Audited", enforced(pods, map[string]string{language.ModeAnnotation: "audit"}, nil)[:13])
	namespace := func(mode string) {
		w.Put("/api/v1/namespaces/shop", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "shop", Labels: map[string]string{"team": "blue"}, Annotations: map[string]string{language.ModeAnnotation: mode},
		}})
	}
	namespace("audit")
	inNamespace := func(key, value string) *v2.Rule {
		return &v2.Rule{EndpointSelector: &v2.LabelSelector{MatchLabels: map[string]string{key: value}}, Ingress: inside}
	}
	w.want("audit of a namespace", "False Audited: spec: what this policy would deny to pods of namespace shop", enforced(pods, nil, nil)[:74])
	w.want("audit of a namespace by name", "False Audited", enforced(inNamespace("k8s:io.kubernetes.pod.namespace", "shop"), nil, nil)[:13])
	w.want("audit of a namespace by label", "False Audited", enforced(inNamespace("k8s:io.cilium.k8s.namespace.labels.team", "blue"), nil, nil)[:13])
	w.want("audit of another namespace", whole, enforced(inNamespace("k8s:io.kubernetes.pod.namespace", "office"), nil, nil))
	w.want("audit of namespaces with other labels", whole, enforced(inNamespace("k8s:io.cilium.k8s.namespace.labels.team", "red"), nil, nil))
	w.want("audit of nodes", whole, enforced(host, nil, map[string]string{"enable-host-firewall": "true"}))
	namespace("enforce")
	w.want("no audit of a namespace", whole, enforced(pods, nil, nil))
	w.want("stage", "False Staged", enforced(pods, map[string]string{language.ModeAnnotation: "stage"}, nil)[:12])
	w.want("a group that is missing", "False NotFound: spec.egress[0]: there is no CiliumCIDRGroup partners", enforced(group, nil, nil)[:68])
	w.Put(cilium+"ciliumcidrgroups/partners", &v2.CiliumCIDRGroup{Spec: v2.CIDRGroupSpec{ExternalCIDRs: []string{"192.0.2.0/24", "192.0.2.7"}}})
	w.want("a group in part", `False NotFound: spec.egress[0]: CiliumCIDRGroup partners: spec.externalCIDRs[1]: "192.0.2.7" is not a prefi`, enforced(group, nil, nil)[:107])
	w.Put(cilium+"ciliumcidrgroups/partners", &v2.CiliumCIDRGroup{Spec: v2.CIDRGroupSpec{ExternalCIDRs: []string{"192.0.2.0/24"}}})
	w.want("a group", whole, enforced(group, nil, nil))
	w.want("a service that is missing", "False NotFound: spec.egress[0]: there is no service shop/db", enforced(service, nil, nil)[:59])
	w.Put("/api/v1/namespaces/shop/services/db", &corev1.Service{})
	w.want("a service", whole, enforced(service, nil, nil))
	w.want("the heavier reason", "False NotImplemented", enforced(&v2.Rule{NodeSelector: host.NodeSelector, Ingress: []v2.IngressRule{{
		IngressPeer: v2.IngressPeer{FromEntities: []string{"world"}}, Authentication: &v2.Authentication{Mode: "required"},
	}}}, nil, nil)[:20])
}

func TestAnEventKnowsWhatARedirectNames(t *testing.T) {
	w := newWorld(t)
	f := condition.Facts{Client: w.client, Live: w.client}
	said := func(spec v2.LocalRedirectPolicySpec, settings map[string]string) string {
		settings["enable-local-redirect-policy"] = "true"
		w.Put("/api/v1/namespaces/kube-system/configmaps/cilium-config", &corev1.ConfigMap{Data: settings})
		port := []v2.RedirectPort{{Port: "80", Protocol: "TCP"}}
		spec.RedirectBackend = v2.RedirectBackend{LocalEndpointSelector: v2.LabelSelector{MatchLabels: map[string]string{"app": "proxy"}}, ToPorts: port}
		world, done, err := f.World(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v, err := condition.Of(redirect.Kind, &v2.CiliumLocalRedirectPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}, Spec: spec}, world)
		if err := errors.Join(err, done()); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(v.Reason, " ", strings.Join(v.Problems, "; "))
	}
	begins := func(what, want, have string) { w.want(what, want, have[:min(len(have), len(want))]) }
	address := func(a string) v2.LocalRedirectPolicySpec {
		return v2.LocalRedirectPolicySpec{RedirectFrontend: v2.RedirectFrontend{AddressMatcher: &v2.RedirectAddress{IP: a, ToPorts: []v2.RedirectPort{{Port: "80", Protocol: "TCP"}}}}}
	}
	const services = "/api/v1/namespaces/shop/services/"
	web := v2.LocalRedirectPolicySpec{RedirectFrontend: v2.RedirectFrontend{ServiceMatcher: &v2.RedirectService{Name: "web", Namespace: "shop"}}}
	begins("no service", "NotFound spec.redirectFrontend.serviceMatcher.serviceName: there is no service shop/web", said(web, map[string]string{}))
	w.Put(services+"web", &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}})
	begins("a headless one", "NotFound spec.redirectFrontend.serviceMatcher.serviceName: service shop/web has no cluster address", said(web, map[string]string{}))
	w.Put(services+"web", &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.10"}})
	w.want("one with an address", " ", said(web, map[string]string{}))

	begins("an address of the pool", "Superseded spec.redirectFrontend.addressMatcher.ip: 10.1.2.3 is of the addresses of pods (10.1.0.0/16)", said(address("10.1.2.3"), map[string]string{"cluster-pool-ipv4-cidr": "10.1.0.0/16"}))
	w.Put(cilium+"ciliumnodes/a", &v2.CiliumNode{Spec: v2.NodeSpec{IPAM: v2.NodeIPAM{PodCIDRs: []string{"10.2.0.0/24"}}}})
	begins("an address of a node's prefix", "Superseded spec.redirectFrontend.addressMatcher.ip: 10.2.0.3 is of the addresses of pods (10.2.0.0/24)", said(address("10.2.0.3"), map[string]string{"ipam": "kubernetes"}))
	w.want("another address", " ", said(address("169.254.169.254"), map[string]string{"ipam": "kubernetes"}))

	skips := address("169.254.169.254")
	skips.SkipRedirectFromBackend = true
	const pods = "/api/v1/namespaces/shop/pods/"
	w.Put(pods+"own", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "proxy"}}})
	w.Put(pods+"other", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "other"}}, Spec: corev1.PodSpec{HostNetwork: true}})
	w.want("pods with a network of their own", " ", said(skips, map[string]string{}))
	w.Put(pods+"host", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "proxy"}}, Spec: corev1.PodSpec{HostNetwork: true}})
	begins("one on the host network", "NotImplemented spec.skipRedirectFromBackend: it does not hold for pod shop/host", said(skips, map[string]string{}))
}

func TestAnObjectWithoutStatusGetsAnEventAndIsRemindedOf(t *testing.T) {
	w := newWorld(t)
	w.Put("/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/deny", &networkingv1.NetworkPolicy{})
	problems := []string{"spec.egress[0].to[0].ipBlock: not enforced yet"}
	s := &reports{w.client, w, judgement{kind: kind.Named(language.KindKubernetes), judge: func(context.Context, kind.Object) (condition.Assessment, error) {
		return condition.Assessment{Reason: gap.NotImplemented, Problems: problems}, nil
	}}}
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "deny"}}
	result, err := s.Reconcile(t.Context(), request)
	if err != nil || result.RequeueAfter != remind {
		t.Errorf("again after %v (%v)", result.RequeueAfter, err)
	}
	w.want("events", "deny NotImplemented: "+problems[0], strings.Join(w.told, "\n"))
	problems = nil
	if result, _ = s.Reconcile(t.Context(), request); result.RequeueAfter != 0 || len(w.told) != 1 {
		t.Errorf("an object without problems: again after %v, events %v", result.RequeueAfter, w.told)
	}
}

func newKindsOf(t *testing.T, server *apitest.Server, log io.Writer) *kinds {
	t.Helper()
	k, err := newKinds(server.Config(), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	k.poll, k.pollLate = time.Millisecond, time.Millisecond
	return k
}

func TestTheOperatorWaitsForCRDsAndSaysWhichAreMissing(t *testing.T) {
	server := apitest.New(t)
	server.Serve(required()[1:]...)
	ctx, cancel := context.WithCancel(t.Context())
	log := &firstLine{then: cancel}
	k := newKindsOf(t, server, log)
	if err := k.await(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(log.String(), "missing=["+required()[0]+"]") {
		t.Errorf("error %v, log %s", err, log)
	}
	server.Serve(required()[0])
	if err := k.await(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAKindThatComesLateIsLookedAfter(t *testing.T) {
	w := newWorld(t)
	again := true // the library counts names of controllers for the whole process
	m, err := manager.New(w.Config(), manager.Options{
		Controller: config.Controller{SkipNameValidation: &again},
		Scheme:     newScheme(), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := newKindsOf(t, w.Server, &w.log).follow(m, condition.Facts{Client: m.GetClient()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	<-m.Elected() // it runs, and there is no such kind yet
	const path = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies/late"
	w.Serve("clusternetworkpolicies")
	o := &v1alpha2.ClusterNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "late"}, Spec: v1alpha2.ClusterNetworkPolicySpec{Tier: v1alpha2.AdminTier}}
	w.Put(path, o)
	for judged := false; !judged; {
		changed := w.Changed()
		if judged = w.Get(path, o) && len(o.Status.Conditions) > 0; judged {
			break
		}
		select {
		case <-changed:
		case err := <-ended:
			t.Fatalf("the manager has ended: %v", err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// firstLine calls then when a line is logged.
type firstLine struct {
	bytes.Buffer
	then func()
}

func (l *firstLine) Write(p []byte) (int, error) {
	defer l.then()
	return l.Buffer.Write(p)
}

func TestTheCacheKeepsOfAnEndpointWhatIsUsed(t *testing.T) {
	o := &v2.CiliumEndpoint{
		ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "a", Labels: map[string]string{"x": "y"}},
		Status:     v2.EndpointStatus{Identity: &v2.EndpointIdentity{ID: 7, Labels: []string{"k8s:app=web"}}, State: "ready"},
	}
	kept, _ := keepEndpoint(o)
	want := &v2.CiliumEndpoint{
		ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "a"}, Status: v2.EndpointStatus{Identity: &v2.EndpointIdentity{ID: 7}},
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("kept (-want +have):\n%s", diff)
	}
	pod := podMetadata()
	pod.Name, pod.Annotations = "web", map[string]string{"x": "y"}
	slim, _ := keepIdentity(pod)
	if p := slim.(*metav1.PartialObjectMetadata); p.Name != "web" || p.Annotations != nil || p.Kind != "Pod" {
		t.Errorf("kept %+v", p)
	}
}
