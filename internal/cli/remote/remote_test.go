package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"weftnet.io/weftnet/internal/cli/remote"
	"weftnet.io/weftnet/internal/cli/remote/remotetest"
)

func open(t *testing.T, a *remotetest.API, user clientcmdapi.AuthInfo, f remote.Flags) *remote.Cluster {
	t.Helper()
	f.Kubeconfig = a.Kubeconfig(t, user)
	c, err := remote.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestASocketOfEachAgentIsReachedByExec(t *testing.T) {
	a := remotetest.New(t)
	for _, q := range []struct {
		flags remote.Flags
		want  string
	}{
		{remote.Flags{}, "n1 cilium-a, n2 cilium-b"}, {remote.Flags{Node: "n2"}, "n2 cilium-b"}, {remote.Flags{Pod: "shop/web"}, "n2 cilium-b"},
	} {
		c := open(t, a, clientcmdapi.AuthInfo{Token: "t"}, q.flags)
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
			fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
			text, err := io.ReadAll(conn)
			if err != nil {
				t.Error(err)
			}
			conn.Close()
			_, pod, _ := strings.Cut(string(text), "\r\n\r\n")
			have = append(have, agent.Node+" "+pod)
		}
		if strings.Join(have, ", ") != q.want {
			t.Errorf("%+v: have %q, want %s", q.flags, have, q.want)
		}
	}
	for want, f := range map[string]remote.Flags{
		"no agent runs on node n9": {Node: "n9"}, "pod shop/none": {Pod: "shop/none"}, "is on node n2, not on n1": {Node: "n1", Pod: "shop/web"}, "namespace elsewhere": {Namespace: "elsewhere"},
	} {
		if _, err := open(t, a, clientcmdapi.AuthInfo{}, f).Agents(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	c := open(t, a, clientcmdapi.AuthInfo{Token: "t"}, remote.Flags{})
	conn, err := c.Dial(t.Context(), remote.Agent{Node: "n1", Pod: "cilium-a"}, "/var/run/cilium/none.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err == nil || !strings.Contains(err.Error(), "none.sock") {
		t.Errorf("have %v", err)
	}
}

// ask gives the flows that come, and what a person is told.
func ask(t *testing.T, c *remote.Cluster) (all []string, note string, err error) {
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
	a := remotetest.New(t)
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
		if have, note, err := ask(t, open(t, a, user, remote.Flags{})); err != nil || note != "" || !slices.Equal(have, []string{want}) {
			t.Errorf("have %q, %s, %v, want %s", have, note, err, want)
		}
	}
	have, _, err := ask(t, open(t, a, clientcmdapi.AuthInfo{Token: "t"}, remote.Flags{Node: "n2"}))
	if err != nil || len(have) != 1 || !strings.Contains(have[0], `node_name:"/n2"`) {
		t.Errorf("have %q, %v", have, err)
	}
	if a.Has("/exec") {
		t.Error("agents were asked")
	}
}

func TestWithoutATokenAllAgentsAreAskedByExec(t *testing.T) {
	a := remotetest.New(t)
	both := []string{"cilium-a  []", "cilium-b  []"}
	have, note, err := ask(t, open(t, a, clientcmdapi.AuthInfo{Username: "u", Password: "p"}, remote.Flags{}))
	if err != nil || !slices.Equal(have, both) || !strings.Contains(note, "no token") {
		t.Errorf("have %q, %s, %v", have, note, err)
	}
	// The relay would show what the one who asks may see, not the one that it asks as.
	if have, _, err = ask(t, open(t, a, clientcmdapi.AuthInfo{Token: "t", Impersonate: "other"}, remote.Flags{})); err != nil || !slices.Equal(have, both) {
		t.Errorf("have %q, %v", have, err)
	}
	if have, _, err = ask(t, open(t, a, clientcmdapi.AuthInfo{}, remote.Flags{Node: "n2"})); err != nil || !slices.Equal(have, both[1:]) {
		t.Errorf("have %q, %v", have, err)
	}
	if a.Has("/portforward") {
		t.Error("the relay was asked")
	}
	if have, _, err = ask(t, open(t, a, clientcmdapi.AuthInfo{}, remote.Flags{ServiceAccount: "shop/viewer"})); err != nil || !slices.Equal(have, []string{"relay Bearer viewer-for-hubble-relay.weftnet.io []"}) {
		t.Errorf("have %q, %v", have, err)
	}
	a.None = true
	if have, note, err = ask(t, open(t, a, clientcmdapi.AuthInfo{Token: "t"}, remote.Flags{})); err != nil || !slices.Equal(have, both) || !strings.Contains(note, "no Service hubble-relay") {
		t.Errorf("have %q, %s, %v", have, note, err)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	a := remotetest.New(t)
	if _, err := remote.Open(remote.Flags{Kubeconfig: "/nowhere"}); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Error(err)
	}
	if _, err := remote.Open(remote.Flags{Kubeconfig: a.Kubeconfig(t, clientcmdapi.AuthInfo{}), Context: "other"}); err == nil || !strings.Contains(err.Error(), "other") {
		t.Error(err)
	}
	if _, _, err := ask(t, open(t, a, clientcmdapi.AuthInfo{}, remote.Flags{ServiceAccount: "viewer"})); err == nil || !strings.Contains(err.Error(), "NAMESPACE/NAME") {
		t.Error(err)
	}
	a.Pods = a.Pods[:2]
	if _, _, err := ask(t, open(t, a, clientcmdapi.AuthInfo{Token: "t"}, remote.Flags{})); err == nil || !strings.Contains(err.Error(), "no pod of the relay is ready") {
		t.Error(err)
	}
	t.Setenv("KUBECONFIG", "/nowhere")
	if remote.Known() {
		t.Error("a file that is not there is known")
	}
	if _, err := remote.Open(remote.Flags{}); err == nil || !strings.Contains(err.Error(), "which cluster?") {
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
	in, say := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- remote.Tunnel(ctx, in, io.Discard, l.Addr().String()) }()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	for _, step := range []func([]byte) (int, error){say.Write, far.Read} { // what is carried shows that the connection is made at this end, too
		if n, err := step(make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
