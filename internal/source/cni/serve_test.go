package cni_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	agent "weftnet.io/weftnet/api/agent/v1"
)

func TestCallsComeOverTheSocket(t *testing.T) {
	n := newNode(t, dual...)
	s := n.server(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go n.run(ctx)
	mux := http.NewServeMux()
	s.Register(mux)
	socket := filepath.Join(t.TempDir(), "weft.sock")
	l, err := agent.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	defer server.Close()
	call := func(path string, r agent.Request) (string, error) {
		body, err := agent.Call(ctx, socket, path, r)
		return string(body), err
	}

	first, err := call(agent.PathAdd, n.request("c1"))
	if err != nil || !json.Valid([]byte(first)) {
		t.Fatalf("%s, %v", first, err)
	}
	if second, err := call(agent.PathAdd, n.request("c1")); err != nil || second != first {
		t.Errorf("%s, %v", second, err)
	}
	if body, err := call(agent.PathCheck, n.request("c1", `"prevResult":`+first)); err != nil || body != "" {
		t.Errorf("%s, %v", body, err)
	}
	for _, path := range []string{agent.PathStatus, agent.PathDel, agent.PathGC} {
		if body, err := call(path, n.request("c1", `"cni.dev/valid-attachments":[]`)); err != nil || body != "" {
			t.Errorf("%s: %s, %v", path, body, err)
		}
	}
	_, err = call(agent.PathCheck, n.request("c1", `"prevResult":`+first))
	refused(t, err, 3, "container c1 eth0 is not attached")
	_, err = call("/v1/cni/none", n.request("c1"))
	if away := (*agent.UnreachableError)(nil); !errors.As(err, &away) {
		t.Errorf("a path that no agent serves: %v", err)
	}
	_, err = agent.Call(ctx, socket, agent.PathAdd, []int{1})
	if e := (*types.Error)(nil); !errors.As(err, &e) || e.Code != 6 {
		t.Errorf("error is %v", err)
	}
}
