package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/source/cni/plugin"
)

// TestMain is the program itself when a test runs it as one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WEFT_TEST_STATE"); dir != "" {
		os.Exit(plugin.Plugin{StateDir: dir, Out: os.Stdout}.Run("about"))
	}
	os.Exit(m.Run())
}

// runtime is a container runtime that runs the program.
type runtime struct {
	dir, socket string
	keys        string // further keys of the configuration
}

func newRuntime(t *testing.T) runtime {
	dir := t.TempDir()
	return runtime{dir: dir, socket: filepath.Join(dir, "weft.sock")}
}

func (r runtime) call(t *testing.T, command, version string) (exit int, out map[string]any) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{
		"WEFT_TEST_STATE=" + r.dir, "CNI_COMMAND=" + command, "CNI_PATH=/opt/cni/bin:" + r.dir, "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0",
		"CNI_NETNS=/var/run/netns/none", "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web",
	}
	cmd.Stdin = strings.NewReader(`{"cniVersion":"` + version + `","name":"weft","type":"weft-cni","socket":"` + r.socket + `"` + r.keys + `}`)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
			t.Fatalf("%s: %q is no JSON: %v", command, stdout.String(), err)
		}
	}
	return cmd.ProcessState.ExitCode(), out
}

// serve is an agent that gives one answer to everything and notes what it was asked.
func (r runtime) serve(t *testing.T, status int, answer string) (asked func() []string) {
	t.Helper()
	l, err := agent.Listen(r.socket)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var paths []string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var request agent.Request
		if err := json.NewDecoder(q.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, q.Method+" "+q.URL.Path+" "+request.ContainerID+" "+request.Interface+" "+request.Args)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(paths)
	}
}

func TestEveryCallIsHandedOver(t *testing.T) {
	r := newRuntime(t)
	r.keys = `,"log-file":"` + r.dir + `/log"`
	asked := r.serve(t, 200, `{"cniVersion":"1.1.0"}`)
	for _, command := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
		exit, out := r.call(t, command, "1.1.0")
		if exit != 0 || (command != "DEL") != (out["cniVersion"] == "1.1.0") {
			t.Errorf("%s: exit code %d, %v", command, exit, out)
		}
		got := asked()
		if want := "POST /v1/cni/" + strings.ToLower(command) + " c1 eth0 IgnoreUnknown=1;K8S_POD_NAME=web"; got[len(got)-1] != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	}
	if log, _ := os.ReadFile(r.dir + "/log"); strings.Count(string(log), "\n") != 5 {
		t.Errorf("log: %s", log)
	}
	if left, _, _ := journal.Queue[agent.Request](r.dir).All(); len(left) != 0 {
		t.Errorf("queued: %v", left)
	}
}

func TestALogFileIsNoLinkAndNoPipe(t *testing.T) {
	r := newRuntime(t)
	r.serve(t, 200, `{"cniVersion":"1.1.0"}`)
	r.keys = `,"log-file":"` + r.dir + `/log"`
	precious := r.dir + "/precious"
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, put := range map[string]func() error{
		"a link":              func() error { return os.Symlink(precious, r.dir+"/log") },
		"a link to nothing":   func() error { return os.Symlink(r.dir+"/new", r.dir+"/log") },
		"a pipe without ends": func() error { return syscall.Mkfifo(r.dir+"/log", 0o600) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if exit, out := r.call(t, "ADD", "1.1.0"); exit != 0 {
			t.Errorf("%s: a pod does not start for it: %v", what, out)
		}
		if err := os.Remove(r.dir + "/log"); err != nil {
			t.Error(err)
		}
	}
	if text, _ := os.ReadFile(precious); len(text) > 0 {
		t.Errorf("a link is followed: %s", text)
	}
	if _, err := os.Stat(r.dir + "/new"); err == nil {
		t.Error("a link is followed, and makes a file")
	}
}

func TestWhatTheAgentRefusesIsRefused(t *testing.T) {
	r := newRuntime(t)
	r.serve(t, 503, `{"code":11,"msg":"pod default/web: no identity yet","details":"wait"}`)
	for _, command := range []string{"ADD", "DEL", "STATUS"} {
		if exit, out := r.call(t, command, "1.1.0"); exit != 1 || out["code"] != 11.0 || out["msg"] != "pod default/web: no identity yet" {
			t.Errorf("%s: exit code %d, %v", command, exit, out)
		}
	}
}

func TestVersionNeedsNoAgent(t *testing.T) {
	exit, out := newRuntime(t).call(t, "VERSION", "1.1.0")
	versions, _ := json.Marshal(out["supportedVersions"])
	if exit != 0 || string(versions) != `["0.3.1","0.4.0","1.0.0","1.1.0"]` {
		t.Errorf("exit code %d, %v", exit, out)
	}
	if exit, out := newRuntime(t).call(t, "ADD", "0.2.0"); exit != 1 || out["code"] != 1.0 {
		t.Errorf("exit code %d, %v", exit, out)
	}
}

func TestWithoutAnAgentAddFailsForNowAndDelSucceedsForGood(t *testing.T) {
	r := newRuntime(t)
	for command, code := range map[string]float64{"ADD": 11, "CHECK": 11, "GC": 11, "STATUS": 50} {
		exit, out := r.call(t, command, "1.1.0")
		message, _ := out["msg"].(string)
		if exit != 1 || out["code"] != code || !strings.Contains(message, "weft-agent does not answer on "+r.socket) {
			t.Errorf("%s: exit code %d, %v", command, exit, out)
		}
	}
	for range 2 {
		if exit, out := r.call(t, "DEL", "0.3.1"); exit != 0 || out != nil {
			t.Errorf("DEL: exit code %d, %v", exit, out)
		}
	}
	queued, _, err := journal.Queue[agent.Request](r.dir).All()
	if err != nil || len(queued) != 1 || queued[0].Value.ContainerID != "c1" || queued[0].Value.Interface != "eth0" {
		t.Errorf("queued: %v, %v", queued, err)
	}

	// A socket of an agent that is gone, and one that hangs up, are as good as none.
	l, err := net.Listen("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	if exit, out := r.call(t, "ADD", "1.1.0"); exit != 1 || out["code"] != 11.0 {
		t.Errorf("ADD: exit code %d, %v", exit, out)
	}
	if exit, _ := r.call(t, "DEL", "1.1.0"); exit != 0 {
		t.Errorf("DEL: exit code %d", exit)
	}
	l.Close()
}

func TestAnAgentThatIsStillStartingIsAsGoodAsNone(t *testing.T) {
	r := newRuntime(t)
	r.serve(t, 404, "404 page not found\n")
	exit, out := r.call(t, "ADD", "1.1.0")
	if message, _ := out["msg"].(string); exit != 1 || out["code"] != 11.0 || !strings.Contains(message, "the agent is starting") {
		t.Errorf("ADD: exit code %d, %v", exit, out)
	}
	if exit, out := r.call(t, "DEL", "1.1.0"); exit != 0 {
		t.Errorf("DEL: exit code %d, %v", exit, out)
	}
	if queued, _, _ := journal.Queue[agent.Request](r.dir).All(); len(queued) != 1 {
		t.Errorf("queued: %v", queued)
	}
}

func TestADelThatCannotBeKeptFails(t *testing.T) {
	r := newRuntime(t)
	if err := os.WriteFile(r.dir+"/"+journal.Deletes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, out := r.call(t, "DEL", "1.1.0"); exit != 1 || out["code"] != 5.0 {
		t.Errorf("exit code %d, %v", exit, out)
	}
}

func TestTheSocketIsForRootAloneAndReplacesAnOldOne(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "made", "weft.sock")
	for range 2 {
		l, err := agent.Listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(socket)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if entries, _ := os.ReadDir(filepath.Dir(socket)); len(entries) != 1 {
			t.Errorf("left behind: %v", entries)
		}
		l.Close()
	}
	_, err := agent.Call(context.Background(), socket, agent.PathAdd, agent.Request{Config: []byte("{}")})
	away := (*agent.UnreachableError)(nil)
	if !errors.As(err, &away) {
		t.Errorf("a socket that no program listens on: %v", err)
	}
}

func TestAnAnswerThatIsNoneIsAnError(t *testing.T) {
	for _, answer := range []string{
		"", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
	} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := agent.Listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte(answer))
			conn.Close()
		}()
		body, err := agent.Call(context.Background(), socket, agent.PathAdd, agent.Request{Config: []byte("{}")})
		away, refused := (*agent.UnreachableError)(nil), (*types.Error)(nil)
		if !errors.As(err, &away) && !errors.As(err, &refused) {
			t.Errorf("%q: %q, %v", answer, body, err)
		}
		l.Close()
	}
}

func TestADELTakesAwayWhatPortmapHasForHostPorts(t *testing.T) {
	r := newRuntime(t)
	r.serve(t, http.StatusOK, "{}")
	heard := filepath.Join(r.dir, "heard")
	if err := os.WriteFile(filepath.Join(r.dir, "portmap"), []byte("#!/bin/sh\n{ echo $CNI_COMMAND $CNI_CONTAINERID; cat; } >"+heard+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if exit, out := r.call(t, "DEL", "1.0.0"); exit != 0 {
		t.Fatal(out)
	}
	if _, err := os.Stat(heard); err == nil {
		t.Error("portmap is called for a pod without hostPorts, or where it is chained")
	}
	r.keys = `,"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}`
	if exit, out := r.call(t, "DEL", "1.0.0"); exit != 0 {
		t.Fatal(out)
	}
	got, _ := os.ReadFile(heard)
	for _, want := range []string{"DEL c1\n", `"hostPort":8080`, `"type":"portmap"`, `"name":"weft"`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("portmap hears %s, want %s", got, want)
		}
	}
}
