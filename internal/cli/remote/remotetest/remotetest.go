// Package remotetest is a cluster to ask from afar: an API server with two agents and a relay, without a cluster.
//
//	a := remotetest.New(t)
//	cluster, err := remote.Open(remote.Flags{Kubeconfig: a.Kubeconfig(t, clientcmdapi.AuthInfo{Token: "t"})})
package remotetest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"
	authn "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"weftnet.io/weftnet/internal/cli/remote"
)

// API is an API server that has two agents and a relay, and carries exec and forwarded ports as a kubelet does, by SPDY. With a real one
// test/e2e does the same.
type API struct {
	http  *httptest.Server
	dir   string
	relay string // address
	Pods  []corev1.Pod
	None  bool // there is no Service hubble-relay

	Forbidden string // what no user may do: a path that ends so is refused; empty: nothing

	Answer func(pod string, w http.ResponseWriter, r *http.Request) // of agents' other socket, by HTTP; nil: the name of the pod

	mu    sync.Mutex
	asked []string
}

func (a *API) note(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, text)
}

// Has tells whether something was asked.
func (a *API) Has(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.asked, func(s string) bool { return strings.Contains(s, text) })
}

// New starts one.
func New(t *testing.T) *API {
	t.Helper()
	a := &API{dir: t.TempDir()}
	ready := corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	pod := func(name, node string, labels map[string]string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system", Labels: labels}, Spec: corev1.PodSpec{NodeName: node}, Status: ready}
	}
	agent := map[string]string{"k8s-app": "cilium"}
	a.Pods = []corev1.Pod{pod("cilium-b", "n2", agent), pod("cilium-a", "n1", agent), pod("relay-1", "n1", map[string]string{"k8s-app": "hubble-relay"})}
	for _, p := range []string{"cilium-a", "cilium-b"} {
		a.agent(t, p)
	}
	a.relay = serveFlows(t, "tcp", "127.0.0.1:0", &flows{node: "relay"})
	a.http = httptest.NewTLSServer(a)
	t.Cleanup(a.http.Close)
	return a
}

// flows is an observer of one flow, which says what it was asked.
type flows struct {
	observerpb.UnimplementedObserverServer
	node string
}

func (f *flows) GetFlows(r *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	said := metadata.ValueFromIncomingContext(stream.Context(), "authorization")
	return stream.Send(&observerpb.GetFlowsResponse{Time: timestamppb.New(time.Unix(1, 0)), NodeName: f.node, ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: &flowpb.Flow{
		Uuid: f.node + " " + strings.Join(said, " ") + " " + fmt.Sprint(r.GetWhitelist()),
	}}})
}

func serveFlows(t *testing.T, network, address string, f *flows) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	observerpb.RegisterObserverServer(s, f)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// agent has a pod serve flows, and another socket.
func (a *API) agent(t *testing.T, pod string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(a.dir, pod), 0o755); err != nil {
		t.Fatal(err)
	}
	serveFlows(t, "unix", filepath.Join(a.dir, pod, "hubble.sock"), &flows{node: pod})
	l, err := net.Listen("unix", filepath.Join(a.dir, pod, "weft.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test's
			if a.Answer == nil {
				fmt.Fprint(w, pod)
				return
			}
			a.Answer(pod, w, r)
		}))
	}()
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.note(r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization"))
	reply := func(code int, o any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(o)
	}
	part := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
	switch {
	case a.Forbidden != "" && strings.HasSuffix(r.URL.Path, a.Forbidden):
		reply(http.StatusForbidden, metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
			Message: fmt.Sprintf("%s is forbidden: User \"u\" cannot do that in the namespace \"kube-system\"", strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/kube-system/")),
		})
	case r.Header.Get("Upgrade") == "websocket":
		http.Error(w, "no WebSocket here", http.StatusBadRequest)
	case strings.HasSuffix(r.URL.Path, "/exec"):
		a.exec(w, r, part[2])
	case strings.HasSuffix(r.URL.Path, "/portforward"):
		a.forward(w, r, part[2])
	case strings.HasSuffix(r.URL.Path, "/token"):
		var ask authn.TokenRequest
		_ = json.NewDecoder(r.Body).Decode(&ask)
		ask.TypeMeta = metav1.TypeMeta{Kind: "TokenRequest", APIVersion: "authentication.k8s.io/v1"}
		ask.Status.Token = part[2] + "-for-" + strings.Join(ask.Spec.Audiences, " ")
		reply(http.StatusCreated, ask)
	case r.URL.Path == "/api/v1/namespaces/kube-system/services/hubble-relay" && !a.None:
		reply(http.StatusOK, corev1.Service{TypeMeta: metav1.TypeMeta{Kind: "Service", APIVersion: "v1"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"k8s-app": "hubble-relay"}, Ports: []corev1.ServicePort{{Port: 80}}}})
	case len(part) == 2 && part[1] == "pods":
		if part[0] != "kube-system" {
			part[1] = "" // it has none
		}
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
		for _, p := range a.Pods {
			app, node := strings.TrimPrefix(r.FormValue("labelSelector"), "k8s-app="), strings.TrimPrefix(r.FormValue("fieldSelector"), "spec.nodeName=")
			if part[1] != "" && p.Labels["k8s-app"] == app && (node == "" || p.Spec.NodeName == node) {
				list.Items = append(list.Items, p)
			}
		}
		reply(http.StatusOK, list)
	case r.URL.Path == "/api/v1/namespaces/shop/pods/web":
		reply(http.StatusOK, corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, Spec: corev1.PodSpec{NodeName: "n2"}})
	default:
		reply(http.StatusNotFound, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: "it is not there"})
	}
}

// streams accepts an upgrade to SPDY, and gives the streams by type, once there are as many as are wanted.
func streams(w http.ResponseWriter, r *http.Request, protocol string, want int) (httpstream.Connection, map[string]httpstream.Stream) {
	if _, err := httpstream.Handshake(r, w, []string{protocol}); err != nil {
		return nil, nil
	}
	came := make(chan httpstream.Stream, want)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error { came <- s; return nil })
	if conn == nil {
		return nil, nil
	}
	all := map[string]httpstream.Stream{}
	for len(all) < want {
		s := <-came
		all[s.Headers().Get(corev1.StreamType)] = s
	}
	return conn, all
}

func (a *API) exec(w http.ResponseWriter, r *http.Request, pod string) {
	command := r.URL.Query()["command"]
	conn, s := streams(w, r, "v4.channel.k8s.io", 4)
	if conn == nil {
		return
	}
	defer conn.Close()
	status := metav1.Status{Status: metav1.StatusSuccess}
	if err := remote.Tunnel(r.Context(), s[corev1.StreamTypeStdin], s[corev1.StreamTypeStdout], filepath.Join(a.dir, pod, filepath.Base(command[len(command)-1]))); err != nil {
		fmt.Fprintln(s[corev1.StreamTypeStderr], err)
		status = metav1.Status{Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: "1"}}}, Message: "command terminated with exit code 1"}
	}
	_ = json.NewEncoder(s[corev1.StreamTypeError]).Encode(status)
	for _, one := range s {
		one.Close()
	}
}

func (a *API) forward(w http.ResponseWriter, r *http.Request, pod string) {
	conn, s := streams(w, r, "portforward.k8s.io", 2)
	if conn == nil {
		return
	}
	defer conn.Close()
	to, err := net.Dial("tcp", a.relay)
	if err != nil || pod != "relay-1" {
		fmt.Fprintf(s[corev1.StreamTypeError], "nothing listens: %v", err)
		s[corev1.StreamTypeError].Close()
		return
	}
	s[corev1.StreamTypeError].Close()
	go func() { _, _ = io.Copy(to, s[corev1.StreamTypeData]); to.Close() }()
	_, _ = io.Copy(s[corev1.StreamTypeData], to)
	s[corev1.StreamTypeData].Close()
}

// Kubeconfig writes a file for a user of that server.
func (a *API) Kubeconfig(t *testing.T, user clientcmdapi.AuthInfo) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: a.http.URL, CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.http.Certificate().Raw})}}, AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": &user},
		Contexts: map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}}, CurrentContext: "x",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
