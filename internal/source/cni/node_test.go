package cni_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/derive/link"
	"weftnet.io/weftnet/internal/derive/need"
	"weftnet.io/weftnet/internal/derive/workload"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// node is an agent without kernel and API server: tables, and a fake of everything between an Attachment and its Ready.
type node struct {
	*table.Tables
	db      *state.DB
	dir     string // state folder
	netns   string // a file that stands for a network namespace
	log     strings.Builder
	ifindex int

	broken atomic.Pointer[func() bool]                     // tells whether an attempt of the fake kernel fails
	holds  atomic.Pointer[func(a table.Attachment) string] // what keeps an attachment from becoming ready, "" if nothing
}

func (n *node) fail(when func() bool) { n.broken.Store(&when) }

func (n *node) hold(why func(a table.Attachment) string) { n.holds.Store(&why) }

func newNode(t testing.TB, cidrs ...string) *node {
	dir := tempDir(t)
	n := &node{dir: filepath.Join(dir, "state"), netns: filepath.Join(dir, "netns")}
	if err := os.WriteFile(n.netns, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.reset(cidrs...)
	return n
}

// tempDir is in memory if possible: these tests sync files to disk thousands of times.
func tempDir(t testing.TB) string {
	if _, measures := t.(*testing.B); measures {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "weft-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// reset is what a restart of the agent does to its tables: they are empty, and the API server fills them again.
func (n *node) reset(cidrs ...string) {
	n.Tables, n.db = table.New()
	n.fail(func() bool { return rand.IntN(10) == 0 })
	n.hold(func(table.Attachment) string { return "" })
	n.write(func(tx *state.Tx) {
		n.Configs.MarkSynced(tx)
		n.own(tx, cidrs...)
	})
}

func (n *node) own(tx *state.Tx, cidrs ...string) {
	row := table.Node{Name: "n1", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}}
	for _, c := range cidrs {
		row.PodCIDRs = append(row.PodCIDRs, netip.MustParsePrefix(c))
	}
	n.Nodes.Put(tx, row)
}

func (n *node) write(f func(tx *state.Tx)) {
	if err := n.db.Write(func(tx *state.Tx) error { f(tx); return nil }); err != nil {
		panic(err)
	}
}

func (n *node) server(t testing.TB) *cni.Server {
	t.Helper()
	s, err := cni.New(n.options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (n *node) options() cni.Options {
	return cni.Options{
		Tables: n.Tables, DB: n.db, StateDir: n.dir, Rest: 10 * time.Second,
		Log: slog.New(slog.NewTextHandler(&n.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// run plays derivations but that of needs, sinks and kernel until ctx ends.
func (n *node) run(ctx context.Context) {
	feed := n.Attachments.Feed(n.db)
	defer feed.Close()
	var needs sync.WaitGroup
	needs.Go(func() { _ = need.Needs(n.Tables, workload.Needs, link.Needs).Run(ctx, n.db) }) // its error is that of ctx
	defer needs.Wait()
	for {
		changes, _, more := feed.Next()
		for _, c := range changes {
			if c.Deleted {
				n.detach(c.Old)
			} else {
				n.attach(c.Row)
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) attach(a table.Attachment) {
	link := table.Link{HostName: a.HostName, ContainerID: a.ContainerID, Interface: a.Interface, Incarnation: a.Incarnation, MTU: 1450}
	n.write(func(tx *state.Tx) { n.Links.Put(tx, link) })
	st := status.Status{Table: n.Links.Name(), Key: n.Links.Key(link)}
	for (*n.broken.Load())() {
		st.Attempts, st.Err = st.Attempts+1, "make veth: device or resource busy"
		n.write(func(tx *state.Tx) { status.Statuses.Put(tx, st) })
	}
	if why := (*n.holds.Load())(a); why != "" {
		st.Attempts, st.Err = st.Attempts+1, why
		n.write(func(tx *state.Tx) { status.Statuses.Put(tx, st); n.caughtUp(tx) })
		return
	}
	n.ifindex++
	st = status.Status{Table: st.Table, Key: st.Key, Done: true, Rev: n.Links.Revision(n.db.Snapshot(), st.Key)}
	n.write(func(tx *state.Tx) {
		n.Devices.Put(tx, table.Device{Index: n.ifindex, Name: a.HostName})
		status.Statuses.Put(tx, st)
		n.caughtUp(tx)
		n.Ready.Put(tx, table.Ready{ContainerID: a.ContainerID, Interface: a.Interface, HostName: a.HostName})
	})
}

func (n *node) detach(a table.Attachment) {
	n.write(func(tx *state.Tx) {
		n.Links.Delete(tx, state.Join(a.HostName))
		n.Ready.Delete(tx, table.AttachmentKey(a.ContainerID, a.Interface))
	})
	for (*n.broken.Load())() {
	}
	n.write(func(tx *state.Tx) {
		for d := range n.Devices.By(tx, table.ByName, state.Join(a.HostName)) {
			n.Devices.Delete(tx, n.Devices.Key(d))
		}
		status.Statuses.Delete(tx, status.KeyOf(n.Links, state.Join(a.HostName)))
		n.caughtUp(tx)
	})
}

func (n *node) caughtUp(tx *state.Tx) {
	status.Statuses.Put(tx, status.Status{Table: n.Links.Name(), Done: true, Rev: n.Links.LastRevision(tx)})
}

// pod makes a pod and its workload known, with an identity.
func (n *node) pod(namespace, name string, number identity.Number) {
	labels := identity.NewLabels(map[string]string{"k8s:app": name})
	n.write(func(tx *state.Tx) {
		n.Pods.Put(tx, table.Pod{Namespace: namespace, Name: name})
		n.Pods.MarkSynced(tx)
		n.Workloads.Put(tx, table.Workload{ContainerID: "c1", Interface: "eth0", Namespace: namespace, Pod: name, Subject: table.Subject{Labels: labels, Identity: number}})
	})
}

func conf(keys ...string) json.RawMessage {
	text := `{"cniVersion":"1.1.0","name":"weft","type":"weft-cni"` + strings.Join(append([]string{""}, keys...), ",") + "}"
	return json.RawMessage(text)
}

func (n *node) request(id string, keys ...string) agent.Request {
	return agent.Request{ContainerID: id, Interface: "eth0", Netns: n.netns, Config: conf(keys...)}
}

func (n *node) addresses() string {
	var out []string
	for a := range n.Attachments.All(n.db.Snapshot()) {
		out = append(out, fmt.Sprint(a.ContainerID, " ", a.Addresses))
	}
	return strings.Join(out, ", ")
}

func result(t testing.TB, answer any, err error) *types100.Result {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := types100.NewResultFromResult(answer.(types.Result))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func refused(t testing.TB, err error, code uint, parts ...string) {
	t.Helper()
	e, ok := err.(*types.Error)
	if !ok || e.Code != code {
		t.Fatalf("error is %T %v, want code %d", err, err, code)
	}
	for _, p := range parts {
		if !strings.Contains(e.Error(), p) {
			t.Errorf("error is %q, which does not say %q", e.Error(), p)
		}
	}
}
