package net

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

// gate is between agents and the API server.
type gate struct {
	*apitest.Server
	mode atomic.Pointer[string] // up, away, slow, or a status code
}

func (g *gate) be(mode string) { g.mode.Store(&mode) }

// ServeHTTP fails as the mode says.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var code int
	switch mode := *g.mode.Load(); mode {
	case "up":
	case "away":
		panic(http.ErrAbortHandler) // closes the connection without a word
	case "slow":
		time.Sleep(300 * time.Millisecond)
	default:
		_, _ = fmt.Sscan(mode, &code)
		w.Header().Set("Retry-After", "1")
		http.Error(w, "this test lets requests fail", code)
		return
	}
	if list, ok := discovery[r.URL.Path]; ok && r.Method == http.MethodGet {
		answer := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")}
		for _, one := range list {
			answer.APIResources = append(answer.APIResources, metav1.APIResource{
				Name: strings.ToLower(one.kind) + one.plural, Kind: one.kind + strings.Replace(strings.TrimSuffix(one.plural, "s"), "ie", "y", 1), Namespaced: one.namespaced, Verbs: metav1.Verbs{"get", "list", "watch"},
			})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // who asked has gone
		return
	}
	if strings.Contains(r.Header.Get("Content-Type"), "protobuf") {
		if err := plain(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	g.Server.ServeHTTP(w, r)
}

// plain puts JSON in place of a body of protobuf, which the server does not read.
func plain(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	o, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return err
	}
	o.GetObjectKind().SetGroupVersionKind(*gvk)
	text, err := json.Marshal(o)
	r.Body = io.NopCloser(bytes.NewReader(text))
	return err
}

// discovery is what clients ask that know kinds and look for resources.
var discovery = map[string][]struct {
	kind, plural string
	namespaced   bool
}{
	"/api/v1":                    {{"Node", "s", false}, {"Namespace", "s", false}, {"Pod", "s", true}, {"ConfigMap", "s", true}, {"Service", "s", true}},
	"/apis/networking.k8s.io/v1": {{"NetworkPolic", "ies", true}},
	"/apis/cilium.io/v2": {
		{"CiliumNode", "s", false},
		{"CiliumIdentit", "ies", false},
		{"CiliumEndpoint", "s", true},
		{"CiliumNetworkPolic", "ies", true},
		{"CiliumClusterwideNetworkPolic", "ies", false},
		{"CiliumLoadBalancerIPPool", "s", false},
		{"CiliumBandwidthPolic", "ies", false},
	},
}

// served is two nodes whose agents have an API server, and pods on them.
type served struct {
	*testing.T
	*gate
	*nettest.Cluster
	a, b         *nettest.Node
	web, spy, db *nettest.Pod
}

func newServed(t *testing.T) *served {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	dir, err := os.MkdirTemp("", "weft") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c, err := nettest.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{T: t, gate: &gate{Server: apitest.New(t)}, Cluster: c}
	t.Cleanup(c.Close)
	s.be("up")
	s.gate.Serve(v2.NodeResource, v2.IdentityResource, v2.EndpointResource, v2.NetworkPolicyResource, v2.ClusterwideNetworkPolicyResource)
	s.gate.Put("/api/v1/namespaces/kube-system/configmaps/cilium-config", &corev1.ConfigMap{Data: map[string]string{"enable-ipv6": "true"}})
	s.gate.Put("/api/v1/namespaces/default", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelMetadataName: "default"}}})
	for i, name := range []string{"a", "b"} {
		s.gate.Put("/api/v1/nodes/"+name, &corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("172.30.0.%d", i+1)}, {Type: corev1.NodeInternalIP, Address: fmt.Sprintf("fd30::%d", i+1)},
		}}})
		s.gate.Put("/apis/cilium.io/v2/ciliumnodes/"+name, &v2.CiliumNode{Spec: v2.NodeSpec{IPAM: v2.NodeIPAM{
			PodCIDRs: []string{fmt.Sprintf("10.244.%d.0/24", i+1), fmt.Sprintf("fd00:244:0:%d::/64", i+1)},
		}}})
	}
	c.API = s.gate
	s.allow("web")
	s.a, s.b = s.node("a"), s.node("b")
	s.web, s.spy, s.db = s.pod(s.a, "web"), s.pod(s.a, "spy"), s.pod(s.b, "db")
	return s
}

func (s *served) must(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

func (s *served) node(name string) *nettest.Node {
	n, err := s.AddNode(name, nil)
	s.must("node "+name, err)
	return n
}

// pod is one that the API server knows before its CNI ADD.
func (s *served) pod(n *nettest.Node, name string) *nettest.Pod {
	labels := map[string]string{"app": name}
	s.gate.Put("/api/v1/namespaces/default/pods/"+name, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{NodeName: n.Name, ServiceAccountName: "default", Containers: []corev1.Container{{Name: "main"}}},
	})
	p, err := n.AddPod(s.Context(), nettest.PodSpec{Name: name, Labels: labels})
	s.must("pod "+name, err)
	return p
}

// allow lets one app call db.
func (s *served) allow(app string) {
	rule := v2.IngressRule{}
	rule.FromEndpoints = []v2.LabelSelector{{MatchLabels: map[string]string{"app": app}}}
	s.gate.Put("/apis/cilium.io/v2/namespaces/default/ciliumnetworkpolicies/db", &v2.CiliumNetworkPolicy{Spec: &v2.Rule{
		EndpointSelector: &v2.LabelSelector{MatchLabels: map[string]string{"app": "db"}}, Ingress: []v2.IngressRule{rule},
	}})
}

// reaches tells whether a pod reaches db.
func (s *served) reaches(p *nettest.Pod, wait time.Duration) bool {
	s.must("serve", s.db.Serve(5432))
	ctx, cancel := context.WithTimeout(s.Context(), wait)
	defer cancel()
	_, err := p.Dial(ctx, "udp", netip.AddrPortFrom(s.db.Addresses[0], 5432), 0, 0)
	return err == nil
}

// await tries until it is so.
func (s *served) await(what string, so func() bool) {
	s.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-look.C {
		if time.Now().After(end) {
			s.Fatalf("never: %s\nagent of a said:\n%s\nagent of b said:\n%s", what, tail(s.a.Log(), 30), tail(s.b.Log(), 30))
		}
	}
}

const glimpse = 300 * time.Millisecond

// away is how long each fault of the API server lasts after all that the test does meanwhile. With -away 1m clients' own
// patience is over, too.
var away = flag.Duration("away", 0, "how much longer the API server fails, in each of its ways")

func TestAnAPIServerThatFailsCutsNothingAndIsCaughtUpWith(t *testing.T) {
	s := newServed(t)
	s.await("web reaches db", func() bool { return s.reaches(s.web, glimpse) })
	if s.reaches(s.spy, glimpse) {
		t.Error("spy reaches db, though policy does not allow it")
	}
	allowed, denied := s.web, s.spy
	for _, fault := range []string{"away", "429", "500", "slow", "410"} {
		t.Log("the API server is", fault)
		late := s.pod(s.a, "late-"+fault)
		s.be(fault)
		s.Forget() // watches end; what happens now is in no watch
		allowed, denied = denied, allowed
		s.allow(allowed.PodSpec.Name)
		if fault != "slow" { // no watch has told of the change
			if !s.reaches(denied, patient) || s.reaches(allowed, glimpse) {
				t.Errorf("%s: what the API server said last is not in force", fault)
			}
		}
		s.a.Kill()
		s.must("start the agent of a", s.a.Launch())
		s.must("DEL", late.Del())
		if fault != "slow" && !s.reaches(denied, patient) {
			t.Errorf("%s: an agent that cannot read from the API server cut a connection", fault)
		}
		s.goesOn(fault, denied)
		s.be("up")
		s.must("settle", s.Settle(s.Context()))
		s.await(fault+": the change is in force", func() bool { return s.reaches(allowed, glimpse) && !s.reaches(denied, glimpse) })
		s.await(fault+": the DEL is done", func() bool { return !s.has(s.a, "attachments", "late-"+fault) })
		s.await(fault+": its endpoint is gone everywhere", func() bool { return !s.has(s.b, "endpoints", "late-"+fault) })
	}
}

// goesOn watches a pod reach db while the fault lasts.
func (s *served) goesOn(fault string, p *nettest.Pod) {
	s.Helper()
	over := time.After(*away)
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-over:
			return
		case <-look.C:
			if fault != "slow" && !s.reaches(p, patient) {
				s.Errorf("%s: what worked before does no longer", fault)
			}
		}
	}
}

func (s *served) has(n *nettest.Node, table, name string) bool {
	t, err := n.Table(s.Context(), table)
	s.must("table "+table, err)
	for _, row := range t.Cells {
		if strings.Contains(strings.Join(row, " "), name) {
			return true
		}
	}
	return false
}

func TestARunningAgentFollowsTheRoutingMode(t *testing.T) {
	s := newServed(t)
	s.await("web reaches db", func() bool { return s.reaches(s.web, glimpse) })
	s.must("serve", s.db.Serve(5432))
	var talks []*netns.Conversation
	for _, network := range []string{"tcp", "udp"} {
		for _, address := range s.db.Addresses {
			talk, err := s.web.Open(s.Context(), network, 0, netip.AddrPortFrom(address, 5432))
			s.must("open "+network, err)
			talks = append(talks, talk)
		}
	}
	goOn := func(when string) {
		for _, talk := range talks {
			_, err := talk.Say(s.Context(), "hello", 0)
			s.must("talk on "+when, err)
		}
	}
	goOn("before")
	s.gate.Put("/api/v1/namespaces/kube-system/configmaps/cilium-config", &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "cilium-config"}, Data: map[string]string{
			"enable-ipv4": "true", "enable-ipv6": "true", "routing-mode": "native", "auto-direct-node-routes": "true",
			"ipv4-native-routing-cidr": "10.244.0.0/16", "ipv6-native-routing-cidr": "fd00:244::/48", "service-no-backend-response": "drop",
		},
	})
	goOn("while the agents change over")
	for _, p := range []*nettest.Pod{s.web, s.db} {
		s.await("the MTU of "+p.PodSpec.Name+" follows", func() bool { mtu, err := p.MTU(); return err == nil && mtu == 1500 })
	}
	s.await("web reaches db without the tunnel", func() bool { return s.reaches(s.web, glimpse) && !s.reaches(s.spy, glimpse) })
	s.must("a packet that does not fit into the tunnel", s.web.Ping(s.Context(), s.db.Addresses[0], 1472))
	goOn("without the tunnel")
	status, err := s.a.Status(s.Context())
	s.must("status", err)
	notes := map[string]string{}
	for _, line := range status.Settings {
		notes[line.Name] = line.Note
	}
	if notes["routing-mode"] != "" || notes["service-no-backend-response"] != "" { // both are in force
		t.Errorf("status says of routing-mode %q, of service-no-backend-response %q", notes["routing-mode"], notes["service-no-backend-response"])
	}
}
