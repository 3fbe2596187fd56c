package remote

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
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
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// api is an API server that has two agents and a relay, and carries exec and forwarded ports as a kubelet does, by SPDY. With a real one
// test/e2e does the same.
type api struct {
	http  *httptest.Server
	dir   string
	relay string // address
	pods  []corev1.Pod
	none  bool // there is no Service hubble-relay

	mu    sync.Mutex
	asked []string
}

func (a *api) note(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, text)
}

// has tells whether something was asked.
func (a *api) has(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.asked, func(s string) bool { return strings.Contains(s, text) })
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{dir: t.TempDir()}
	ready := corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	pod := func(name, node string, labels map[string]string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system", Labels: labels}, Spec: corev1.PodSpec{NodeName: node}, Status: ready}
	}
	agent := map[string]string{"k8s-app": "cilium"}
	a.pods = []corev1.Pod{pod("cilium-b", "n2", agent), pod("cilium-a", "n1", agent), pod("relay-1", "n1", map[string]string{"k8s-app": "hubble-relay"})}
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

// agent has a pod serve flows, and another socket that says which it is.
func (a *api) agent(t *testing.T, pod string) {
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
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, pod)
			c.Close()
		}
	}()
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.note(r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization"))
	reply := func(code int, o any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(o)
	}
	part := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
	switch {
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
	case r.URL.Path == "/api/v1/namespaces/kube-system/services/hubble-relay" && !a.none:
		reply(http.StatusOK, corev1.Service{TypeMeta: metav1.TypeMeta{Kind: "Service", APIVersion: "v1"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"k8s-app": "hubble-relay"}, Ports: []corev1.ServicePort{{Port: 80}}}})
	case len(part) == 2 && part[1] == "pods":
		if part[0] != "kube-system" {
			part[1] = "" // it has none
		}
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
		for _, p := range a.pods {
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

func (a *api) exec(w http.ResponseWriter, r *http.Request, pod string) {
	command := r.URL.Query()["command"]
	conn, s := streams(w, r, "v4.channel.k8s.io", 4)
	if conn == nil {
		return
	}
	defer conn.Close()
	status := metav1.Status{Status: metav1.StatusSuccess}
	if err := Tunnel(r.Context(), s[corev1.StreamTypeStdin], s[corev1.StreamTypeStdout], filepath.Join(a.dir, pod, filepath.Base(command[len(command)-1]))); err != nil {
		fmt.Fprintln(s[corev1.StreamTypeStderr], err)
		status = metav1.Status{Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: "1"}}}, Message: "command terminated with exit code 1"}
	}
	_ = json.NewEncoder(s[corev1.StreamTypeError]).Encode(status)
	for _, one := range s {
		one.Close()
	}
}

func (a *api) forward(w http.ResponseWriter, r *http.Request, pod string) {
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
	carry(s[corev1.StreamTypeData], to)
}

// kubeconfig is a file for a user of that server.
func (a *api) kubeconfig(t *testing.T, user clientcmdapi.AuthInfo) string {
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

func (a *api) open(t *testing.T, user clientcmdapi.AuthInfo, f Flags) *Cluster {
	t.Helper()
	f.Kubeconfig = a.kubeconfig(t, user)
	c, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestASocketOfEachAgentIsReachedByExec(t *testing.T) {
	a := newAPI(t)
	for _, q := range []struct {
		flags Flags
		want  string
	}{
		{Flags{}, "n1 cilium-a, n2 cilium-b"}, {Flags{Node: "n2"}, "n2 cilium-b"}, {Flags{Pod: "shop/web"}, "n2 cilium-b"},
	} {
		c := a.open(t, clientcmdapi.AuthInfo{Token: "t"}, q.flags)
		agents, err := c.Agents(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, agent := range agents {
			conn, err := c.Dial(t.Context(), agent, "/var/run/cilium/weft.sock")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(conn)
			if err != nil {
				t.Error(err)
			}
			conn.Close()
			have = append(have, agent.Node+" "+string(text))
		}
		if strings.Join(have, ", ") != q.want {
			t.Errorf("%+v: have %q, want %s", q.flags, have, q.want)
		}
	}
	for want, f := range map[string]Flags{
		"no agent runs on node n9": {Node: "n9"}, "pod shop/none": {Pod: "shop/none"}, "is on node n2, not on n1": {Node: "n1", Pod: "shop/web"}, "namespace elsewhere": {Namespace: "elsewhere"},
	} {
		if _, err := a.open(t, clientcmdapi.AuthInfo{}, f).Agents(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	c := a.open(t, clientcmdapi.AuthInfo{Token: "t"}, Flags{})
	conn, err := c.Dial(t.Context(), Agent{Node: "n1", Pod: "cilium-a"}, "/var/run/cilium/none.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err == nil || !strings.Contains(err.Error(), "none.sock") {
		t.Errorf("have %v", err)
	}
}

// ask gives the flows that come, and what a person is told.
func ask(t *testing.T, c *Cluster) (all []string, note string, err error) {
	t.Helper()
	conn, note, err := c.Flows(t.Context(), nil)
	if err != nil {
		return nil, note, err
	}
	defer conn.Close()
	stream, err := observerpb.NewObserverClient(conn).GetFlows(t.Context(), &observerpb.GetFlowsRequest{})
	for err == nil {
		var one *observerpb.GetFlowsResponse
		if one, err = stream.Recv(); err == nil && one.GetFlow() != nil {
			all = append(all, strings.TrimSpace(one.GetFlow().GetUuid()))
		}
	}
	slices.Sort(all)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, note, err
}

func TestTheRelayIsShownTheTokenOfTheKubeconfig(t *testing.T) {
	a := newAPI(t)
	program := filepath.Join(t.TempDir(), "login")
	said := `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"by-program"}}`
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '"+said+"'\n"), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, user := range map[string]clientcmdapi.AuthInfo{
		"relay Bearer as-text []": {Token: "as-text"}, "relay Bearer of-file []": {TokenFile: file},
		"relay Bearer by-program []": {Exec: &clientcmdapi.ExecConfig{APIVersion: "client.authentication.k8s.io/v1", Command: program, InteractiveMode: clientcmdapi.NeverExecInteractiveMode}},
	} {
		if have, note, err := ask(t, a.open(t, user, Flags{})); err != nil || note != "" || !slices.Equal(have, []string{want}) {
			t.Errorf("have %q, %s, %v, want %s", have, note, err, want)
		}
	}
	have, _, err := ask(t, a.open(t, clientcmdapi.AuthInfo{Token: "t"}, Flags{Node: "n2"}))
	if err != nil || len(have) != 1 || !strings.Contains(have[0], `node_name:"/n2"`) {
		t.Errorf("have %q, %v", have, err)
	}
	if a.has("/exec") {
		t.Error("agents were asked")
	}
}

func TestWithoutATokenAllAgentsAreAskedByExec(t *testing.T) {
	a := newAPI(t)
	both := []string{"cilium-a  []", "cilium-b  []"}
	have, note, err := ask(t, a.open(t, clientcmdapi.AuthInfo{Username: "u", Password: "p"}, Flags{}))
	if err != nil || !slices.Equal(have, both) || !strings.Contains(note, "no token") {
		t.Errorf("have %q, %s, %v", have, note, err)
	}
	// The relay would show what the one who asks may see, not the one that it asks as.
	if have, _, err = ask(t, a.open(t, clientcmdapi.AuthInfo{Token: "t", Impersonate: "other"}, Flags{})); err != nil || !slices.Equal(have, both) {
		t.Errorf("have %q, %v", have, err)
	}
	if have, _, err = ask(t, a.open(t, clientcmdapi.AuthInfo{}, Flags{Node: "n2"})); err != nil || !slices.Equal(have, both[1:]) {
		t.Errorf("have %q, %v", have, err)
	}
	if a.has("/portforward") {
		t.Error("the relay was asked")
	}
	if have, _, err = ask(t, a.open(t, clientcmdapi.AuthInfo{}, Flags{ServiceAccount: "shop/viewer"})); err != nil || !slices.Equal(have, []string{"relay Bearer viewer-for-hubble-relay.weftnet.io []"}) {
		t.Errorf("have %q, %v", have, err)
	}
	a.none = true
	if have, note, err = ask(t, a.open(t, clientcmdapi.AuthInfo{Token: "t"}, Flags{})); err != nil || !slices.Equal(have, both) || !strings.Contains(note, "no Service hubble-relay") {
		t.Errorf("have %q, %s, %v", have, note, err)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	a := newAPI(t)
	if _, err := Open(Flags{Kubeconfig: "/nowhere"}); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Error(err)
	}
	if _, err := Open(Flags{Kubeconfig: a.kubeconfig(t, clientcmdapi.AuthInfo{}), Context: "other"}); err == nil || !strings.Contains(err.Error(), "other") {
		t.Error(err)
	}
	if _, _, err := ask(t, a.open(t, clientcmdapi.AuthInfo{}, Flags{ServiceAccount: "viewer"})); err == nil || !strings.Contains(err.Error(), "NAMESPACE/NAME") {
		t.Error(err)
	}
	a.pods = a.pods[:2]
	if _, _, err := ask(t, a.open(t, clientcmdapi.AuthInfo{Token: "t"}, Flags{})); err == nil || !strings.Contains(err.Error(), "no pod of the relay is ready") {
		t.Error(err)
	}
	t.Setenv("KUBECONFIG", "/nowhere")
	if Known() {
		t.Error("a file that is not there is known")
	}
	if _, err := Open(Flags{}); err == nil || !strings.Contains(err.Error(), "which cluster?") {
		t.Error(err)
	}
}

func TestATunnelEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	in, _ := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Tunnel(ctx, in, io.Discard, l.Addr().String()) }()
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
