package cni_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestARestartBringsBackEveryAttachmentBeforeTheTableIsSynced(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		for i := range 3 {
			if _, err := s.Add(ctx, n.request(fmt.Sprint("c", i))); err != nil {
				t.Fatal(err)
			}
		}
		want := n.addresses()
		if err := os.Remove(n.netns); err != nil { // a container that is gone is for the runtime to declare gone
			t.Fatal(err)
		}
		n.reset()
		if n.Attachments.IsSynced(n.db.Snapshot()) {
			t.Error("synced before the journal was read")
		}
		n.server(t)
		if got := n.addresses(); got != want || !n.Attachments.IsSynced(n.db.Snapshot()) {
			t.Errorf("after the restart %s, before it %s", got, want)
		}
		if strings.Count(n.log.String(), "kept until DEL or GC") != 3 {
			t.Errorf("log: %s", n.log.String())
		}
	})
}

func TestWhatEndedWithTheMachineIsDroppedAndItsAddressesRest(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		if _, err := s.Add(ctx, n.request("unknown")); err != nil { // by a version that did not know of runs
			t.Fatal(err)
		}
		begin := func(boot string) *cni.Server {
			n.reset(dual...)
			o := n.options()
			o.Boot = boot
			s, err := cni.New(o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s = begin("one")
		go n.run(ctx)
		if _, err := s.Add(ctx, n.request("c1")); err != nil {
			t.Fatal(err)
		}
		both := n.addresses()
		begin("one")
		if got := n.addresses(); got != both {
			t.Errorf("in the same run there are %s, want %s", got, both)
		}
		s = begin("two")
		if got := n.addresses(); strings.Contains(got, "c1") || !strings.Contains(got, "unknown") {
			t.Errorf("after the machine has been restarted there are %s", got)
		}
		go n.run(ctx)
		if _, err := s.Add(ctx, n.request("c2")); err != nil {
			t.Fatal(err)
		}
		if got := n.addresses(); strings.Contains(got, "10.244.1.3") || !strings.Contains(got, "10.244.1.4") {
			t.Errorf("an address was given again at once: %s", got)
		}
		if left, _ := filepath.Glob(filepath.Join(n.dir, "attachments", "c1*")); len(left) > 0 {
			t.Errorf("left on disk: %v", left)
		}
	})
}

func TestARestartSweepsWhatACrashLeftHalfWritten(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		if _, err := s.Add(ctx, n.request("c1")); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"", "attachments"} {
			if err := os.WriteFile(filepath.Join(n.dir, dir, ".tmp-x.json-1"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n.reset()
		n.server(t)
		for _, dir := range []string{"", "attachments"} {
			if left, _ := filepath.Glob(filepath.Join(n.dir, dir, ".tmp-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		}
	})
}

func TestTheJournalIsReadableByTheNextVersion(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		r := n.request("c1")
		r.Args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u1"
		if _, err := s.Add(ctx, r); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(n.dir, "attachments", "c1-eth0.json"))
		want := `{"version":1,"networkName":"weft","attachment":{"ContainerID":"c1","Interface":"eth0","Netns":"NETNS","Namespace":"default",` +
			`"Pod":"web","UID":"u1","Network":0,"Addresses":["10.244.1.2","fd00:244:1::2"],"MAC":"d2:ac:6e:2b:12:f4",` +
			`"HostMAC":"3a:8f:15:76:32:66","HostName":"weftd72e032fed","Incarnation":1,"MTU":0}}` + "\n"
		if text := strings.ReplaceAll(string(got), n.netns, "NETNS"); err != nil || text != want {
			t.Errorf("record is %s, want %s: %v\nWith another form, raise its version and read both.", text, want, err)
		}
	})
}

func TestADamagedRecordIsMovedAsideAndTheOthersLoad(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		for i := range 4 {
			if _, err := s.Add(ctx, n.request(fmt.Sprint("c", i))); err != nil {
				t.Fatal(err)
			}
		}
		file := func(i int) string { return filepath.Join(n.dir, "attachments", fmt.Sprintf("c%d-eth0.json", i)) }
		for i, content := range []string{`{"version":1,`, "", `{"version":1,"attachment":{}}`} {
			if err := os.WriteFile(file(i), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			n.reset(dual...)
			n.server(t)
			if got, want := n.addresses(), "c3 [10.244.1.5 fd00:244:1::5]"; got != want {
				t.Errorf("attached: %s, want %s", got, want)
			}
		}
		for i := range 3 {
			if strings.Count(n.log.String(), "now "+file(i)+".damaged") != 1 {
				t.Errorf("%s is not reported once: %s", file(i), n.log.String())
			}
		}
	})
}

func TestADELThatCameWhileTheAgentWasAwayIsDone(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		for i := range 4 {
			if _, err := s.Add(ctx, n.request(fmt.Sprint("c", i))); err != nil {
				t.Fatal(err)
			}
		}
		queue := journal.Queue[agent.Request](n.dir)
		put := func(id string) {
			if err := queue.Put(journal.Name(id, "eth0"), n.request(id)); err != nil {
				t.Fatal(err)
			}
		}
		put("c0")
		put("never")
		n.reset(dual...)
		go n.run(ctx)
		s = n.server(t)
		if got, want := n.addresses(), "c1 [10.244.1.3 fd00:244:1::3], c2 [10.244.1.4 fd00:244:1::4], c3 [10.244.1.5 fd00:244:1::5]"; got != want {
			t.Errorf("attached: %s, want %s", got, want)
		}

		put("c1") // an ADD of the same comes before it was looked at
		answer, err := s.Add(ctx, n.request("c1"))
		if got := result(t, answer, err).IPs[0].Address.IP.String(); got != "10.244.1.6" {
			t.Errorf("an ADD after a queued DEL got %s: it is the attachment that is to go", got)
		}

		put("c2") // and a DEL of another makes the agent look
		go s.Run(ctx)
		synctest.Wait()
		put("c3")
		if _, err := s.Del(ctx, n.request("other")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := n.addresses(), "c1 [10.244.1.6 fd00:244:1::6]"; got != want {
			t.Errorf("attached: %s, want %s", got, want)
		}
		if left, _, err := queue.All(); len(left) != 0 || err != nil {
			t.Errorf("queue: %v, %v", left, err)
		}
	})
}

func TestIncarnationsGoOnFarAwayWhenTheirFileIsLost(t *testing.T) {
	for _, lose := range []func(path string) error{os.Remove, func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) }} {
		on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
			if _, err := s.Add(ctx, n.request("c1")); err != nil {
				t.Fatal(err)
			}
			if err := lose(n.dir + "/numbers.json"); err != nil {
				t.Fatal(err)
			}
			n.reset(dual...)
			go n.run(ctx)
			s = n.server(t)
			if _, err := s.Add(ctx, n.request("c2")); err != nil {
				t.Fatal(err)
			}
			if a, _ := n.Attachments.One(n.db.Snapshot(), table.AttachmentKey("c2", "eth0")); a.Incarnation != 2+1<<24 {
				t.Errorf("incarnation is %d", a.Incarnation)
			}
		})
	}
}

// history is what a runtime and a kernel remember of a node over all its restarts.
type history struct {
	attached     map[string]string // container -> its row, as answered
	incarnations map[uint32]string
	back         map[netip.Addr]time.Time
}

func TestNoCrashLosesOrDoublesAnything(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := newNode(t, "10.244.1.0/28", "fd00::/124")
		var clock atomic.Int64 // seconds; servers that crashed may still look at it
		now := func() time.Time { return time.Unix(clock.Load(), 0) }
		start := func() (*cni.Server, context.CancelFunc) {
			o := n.options()
			o.Now = now
			s, err := cni.New(o)
			if err != nil {
				r.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			over := make(chan struct{})
			go func() { n.run(ctx); close(over) }()
			return s, func() { cancel(); <-over }
		}
		s, stop := start()
		defer func() { stop() }()
		h := history{map[string]string{}, map[uint32]string{}, map[netip.Addr]time.Time{}}
		crash := func(r *rapid.T) {
			stop()
			dir := filepath.Join(tempDir(t), "state")
			if err := os.CopyFS(dir, os.DirFS(n.dir)); err != nil && !os.IsNotExist(err) {
				r.Fatal(err)
			}
			n = &node{dir: dir, netns: n.netns} // the old one may still be busy dying
			n.reset("10.244.1.0/28", "fd00::/124")
			s, stop = start()
		}
		id := rapid.SampledFrom([]string{"c1", "c2", "c3", "c4", "c5", "c6", "c7"})
		r.Repeat(map[string]func(*rapid.T){
			"add": func(r *rapid.T) {
				c := id.Draw(r, "container")
				if _, err := s.Add(context.Background(), n.request(c)); err == nil {
					h.check(r, n, c, now())
				}
			},
			"add and crash before it answers": func(r *rapid.T) {
				c := id.Draw(r, "container")
				if _, attached := h.attached[c]; attached {
					return
				}
				n.hold(func(table.Attachment) string { return "never" })
				full := make(chan struct{})
				_, _, seen := n.Attachments.WatchOne(n.db.Snapshot(), table.AttachmentKey(c, "eth0"))
				go func(s *cni.Server, r agent.Request) {
					s.Add(context.Background(), r)
					close(full)
				}(s, n.request(c))
				select {
				case <-seen:
				case <-full:
				}
				crash(r)
				n.queueDel(r, c)
				crash(r)
			},
			"del": func(r *rapid.T) {
				c := id.Draw(r, "container")
				a, had := n.Attachments.One(n.db.Snapshot(), table.AttachmentKey(c, "eth0"))
				if _, err := s.Del(context.Background(), n.request(c)); err != nil {
					r.Fatal(err)
				}
				delete(h.attached, c)
				for _, x := range a.Addresses {
					if had {
						h.back[x] = now()
					}
				}
			},
			"del while the agent is away": func(r *rapid.T) {
				c := id.Draw(r, "container")
				a, _ := n.Attachments.One(n.db.Snapshot(), table.AttachmentKey(c, "eth0"))
				n.queueDel(r, c)
				delete(h.attached, c)
				for _, x := range a.Addresses {
					h.back[x] = now()
				}
				crash(r)
			},
			"crash":       crash,
			"time passes": func(r *rapid.T) { clock.Add(int64(rapid.IntRange(1, 12).Draw(r, "s"))) },
			"": func(r *rapid.T) {
				for c, want := range h.attached {
					if a, ok := n.Attachments.One(n.db.Snapshot(), table.AttachmentKey(c, "eth0")); !ok || fmt.Sprint(a) != want {
						r.Fatalf("%s is %v, was answered %s", c, a, want)
					}
				}
				if got := n.Attachments.Len(n.db.Snapshot()); got != len(h.attached) {
					r.Fatalf("%d attachments, the runtime knows of %d", got, len(h.attached))
				}
			},
		})
	})
}

func (n *node) queueDel(r *rapid.T, c string) {
	if err := journal.Queue[agent.Request](n.dir).Put(journal.Name(c, "eth0"), n.request(c)); err != nil {
		r.Fatal(err)
	}
}

// check holds an ADD that was answered against all that was ever answered.
func (h *history) check(r *rapid.T, n *node, c string, now time.Time) {
	a, _ := n.Attachments.One(n.db.Snapshot(), table.AttachmentKey(c, "eth0"))
	row := fmt.Sprint(a)
	if old, ok := h.attached[c]; ok && old != row {
		r.Fatalf("a second ADD of %s gave %s, the first %s", c, row, old)
	} else if ok {
		return
	}
	if by, used := h.incarnations[a.Incarnation]; used {
		r.Fatalf("incarnation %d of %s was that of %s", a.Incarnation, c, by)
	}
	for b := range n.Attachments.All(n.db.Snapshot()) {
		if b.ContainerID != c && (b.Addresses[0] == a.Addresses[0] || b.Addresses[1] == a.Addresses[1]) {
			r.Fatalf("%v and %v share an address", a, b)
		}
	}
	for _, x := range a.Addresses {
		if back, ok := h.back[x]; ok && now.Sub(back) < 10*time.Second {
			r.Fatalf("%v came back %v ago and was given to %s", x, now.Sub(back), c)
		}
	}
	h.attached[c], h.incarnations[a.Incarnation] = row, c
}

func FuzzARequestNeverPanics(f *testing.F) {
	f.Add("c1", "eth0", "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web", `{"cniVersion":"1.1.0","name":"weft","type":"weft-cni"}`)
	f.Add("c1", "eth0", "CommonArgs=1;IP=10.0.0.1,::1", `{"cniVersion":"0.3.1","name":"weft","type":"cilium-cni","prevResult":{"cniVersion":"0.3.1","ips":[{"version":"4","address":"10.0.0.2/24","interface":7}]}}`)
	f.Add("c1", "eth0", "MAC=02:00:00:00:00:01", `{"cniVersion":"1.1.0","name":"weft","type":"weft-cni","runtimeConfig":{"ips":["10.0.0.1/8","::ffff:10.0.0.1"]},"cni.dev/valid-attachments":[{}]}`)
	n := newNode(f)
	n.write(func(tx *state.Tx) { n.own(tx) })
	s := n.server(f)
	f.Fuzz(func(t *testing.T, id, ifname, args, config string) {
		r := agent.Request{ContainerID: id, Interface: ifname, Args: args, Config: json.RawMessage(config), Netns: n.netns}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, call := range []func(context.Context, agent.Request) (any, error){s.Add, s.Check, s.Status, s.GC} {
			if _, err := call(ctx, r); err != nil && err.Error() == "" {
				t.Error("an error without a text")
			}
		}
		name := journal.Name(id, ifname)
		if strings.ContainsAny(name, "/\x00") || len(name) > 250+3*len(ifname) || strings.HasPrefix(name, ".") {
			t.Errorf("record name %q", name)
		}
	})
}
