package hubble

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/proto"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/goldentest"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/observe/peer"
	"weftnet.io/weftnet/internal/observe/serve"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/relaytest"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

// Versions of the API that clients are of, and the files that say so.
var versions = map[string]string{"v1.15.19": "go.mod", "v1.20.2": "latest.mod"}

// epoch is when the kernel of these tests booted.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clients are the programs, by version.
var clients = map[string]string{}

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "weft-hubble")
	if err == nil {
		err = build(dir)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build makes both clients. Their files are read, so that the go command knows that tests depend on them.
func build(dir string) error {
	sources, err := filepath.Glob("client/*")
	for _, file := range sources {
		if err == nil {
			_, err = os.ReadFile(file)
		}
	}
	if err != nil {
		return err
	}
	for version, file := range versions {
		path := filepath.Join(dir, version)
		c := exec.Command("go", "build", "-C", "client", "-modfile", file, "-o", path, ".")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("build a client of %s: %w\n%s", version, err, out)
		}
		clients[version] = path
	}
	return nil
}

func TestTheClientsAreOfTheOldestVersionAndOfTheOneThatWeftnetIsBuiltWith(t *testing.T) {
	for version, path := range clients {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range info.Deps {
			if d.Path == "github.com/cilium/cilium" && d.Version != version {
				t.Errorf("the client of %s is of %s", version, d.Version)
			}
		}
	}
	own, err := os.ReadFile("../../go.mod")
	if err != nil || !strings.Contains(string(own), "\tgithub.com/cilium/cilium v1.20.2\n") {
		t.Errorf("the newer client is not of the version in go.mod: %v", err)
	}
}

// said is a message as a client read it.
type said struct {
	lines []string // its type, and then its fields
	again []byte   // what the client would pass on of it
}

// ask has the client of a version ask, and is what it read.
func ask(t *testing.T, version, address, method, request string, most int) (all []said) {
	t.Helper()
	c := exec.CommandContext(t.Context(), clients[version], address, method, request, fmt.Sprint(most))
	var wrong bytes.Buffer
	c.Stderr = &wrong
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s of a client of %s: %v\n%s", method, version, err, wrong.String())
	}
	one := said{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		raw, last := strings.CutPrefix(line, "= ")
		if !last {
			one.lines = append(one.lines, line)
			continue
		}
		if one.again, err = hex.DecodeString(raw); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
		one = said{}
	}
	return all
}

var (
	number  = regexp.MustCompile(`\.[A-Za-z0-9_]*\((\d+)\)(\[\d+\])?`)
	unknown = regexp.MustCompile(`^(\S*\.\(\d+\)) is unknown$`)
	unnamed = regexp.MustCompile(`^(.* = \d+) unknown$`)
)

// numbers is the path of a line, without names and places in lists.
func numbers(line string) string {
	path, _, _ := strings.Cut(line, " ")
	return number.ReplaceAllString(path, ".($1)")
}

// compare holds what two clients read of one message against each other, and is the fields that the older one does not have.
func compare(older, newer []string) (lacks []string, wrong []string) {
	has, without := map[string]bool{}, map[string]bool{}
	for _, line := range older {
		if m := unknown.FindStringSubmatch(line); m != nil {
			without[numbers(m[1])] = true
			continue
		}
		has[line] = true
	}
	read := map[string]bool{}
	for _, line := range newer {
		read[line] = true
		number, _, named := strings.Cut(line, " = ")
		value, _, _ := strings.Cut(line[min(len(line), len(number)+3):], " ")
		if has[line] || named && has[number+" = "+value+" unknown"] {
			continue
		}
		path, lacking := numbers(line), ""
		for p := path; p != "" && lacking == ""; p = p[:strings.LastIndexByte(p, '.')] {
			if without[p] {
				lacking = p
			}
		}
		if lacking == "" {
			wrong = append(wrong, "only the newer one has "+line)
			continue
		}
		if lacking == path {
			path, _, _ = strings.Cut(line, " ")
			lacks = append(lacks, regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path, ""))
		}
	}
	for line := range has {
		if !read[line] && !unnamed.MatchString(line) {
			wrong = append(wrong, "only the older one has "+line)
		}
	}
	slices.Sort(wrong)
	return lacks, wrong
}

// both asks by both clients, holds what they read against each other, and is what the older one read and which fields it lacks.
func both(t *testing.T, address, method, request string, most int) (older []said, lacks []string) {
	t.Helper()
	older = ask(t, "v1.15.19", address, method, request, most)
	newer := ask(t, "v1.20.2", address, method, request, most)
	if len(older) != len(newer) || len(older) == 0 {
		t.Fatalf("%s: the older client has %d messages, the newer one %d", method, len(older), len(newer))
	}
	for i := range older {
		more, wrong := compare(timeless(older[i].lines), timeless(newer[i].lines))
		lacks = append(lacks, more...)
		if len(wrong) > 0 {
			t.Errorf("%s, message %d:\n%s", method, i, strings.Join(wrong, "\n"))
		}
		for _, line := range newer[i].lines {
			if strings.HasSuffix(line, " unknown") {
				t.Errorf("%s, message %d: the newer client has %s", method, i, line)
			}
		}
	}
	slices.Sort(lacks)
	return older, slices.Compact(lacks)
}

// timeless are lines without what tells when the request was answered.
func timeless(lines []string) []string {
	node := slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, ".node_status(") })
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		return node && strings.HasPrefix(l, ".time(") || strings.HasPrefix(l, ".uptime_ns(")
	})
}

// node is an observer of a little cluster that has seen an event of each type, on a unix socket.
func node(t *testing.T) (address string) {
	t.Helper()
	tables, db := table.New()
	labels := func(app string) identity.Labels {
		return identity.NewLabels(map[string]string{"k8s:app": app, "k8s:io.kubernetes.pod.namespace": "shop"})
	}
	ip := netip.MustParseAddr
	if err := db.Write(func(tx *state.Tx) error {
		named := settings.Config{Identity: settings.Identity{ClusterName: "test"}}
		tables.Configs.Put(tx, table.Config{Concern: settings.OfIdentity, Settings: named})
		tables.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Labels: map[string]string{"zone": "a"}, Addresses: []netip.Addr{ip("192.0.2.1")}})
		tables.Nodes.MarkSynced(tx)
		tables.Workloads.Put(tx, table.Workload{
			ContainerID: "c1", Interface: "eth0", Namespace: "shop", Pod: "web-1", Subject: table.Subject{Labels: labels("web"), Identity: 300}, Addresses: []netip.Addr{ip("10.0.0.5")},
		})
		tables.Attachments.Put(tx, table.Attachment{
			ContainerID: "c1", Interface: "eth0", HostName: "weft7", Namespace: "shop", Pod: "web-1", Incarnation: 12, Addresses: []netip.Addr{ip("10.0.0.5")},
		})
		tables.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "web-1", Labels: map[string]string{identity.LabelVMName: "web"}})
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "db-0", Identity: 400, Addresses: []netip.Addr{ip("10.0.0.9")}})
		tables.Identities.Put(tx, table.Identity{Number: 300, Labels: labels("web")})
		tables.Identities.Put(tx, table.Identity{Number: 400, Labels: labels("db")})
		tables.Devices.Put(tx, table.Device{Index: 7, Name: "weft7"})
		tables.Frontends.Put(tx, table.Frontend{Address: ip("10.96.0.1"), Port: 80, Protocol: 6, Namespace: "shop", Name: "db"})
		tables.RuleLists.Put(tx, table.RuleList{Number: 9, Rules: []policy.Origin{{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "db", UID: "u", Path: "ingress[0]", Log: "ticket 7"}}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	o := observe.New(tables, db, observe.Options{
		Node: "n1", Version: "1", UUID: func() [16]byte { return [16]byte{1} },
		Now: func() time.Time { return epoch.Add(time.Hour) }, Mono: func() int64 { return int64(time.Hour) },
	})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "hubble.sock"))
	if err != nil {
		t.Fatal(err)
	}
	feed := observetest.NewFeed()
	s := &serve.Server{Flows: o, Peers: peer.New(tables, db), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- o.Run(ctx, feed) }()
	go func() { done <- s.Socket(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done; <-done })
	for _, record := range records() {
		feed.Records <- record
	}
	return "unix://" + l.Addr().String()
}

// records are one of each type of event, and of each kind of it that clients tell apart.
func records() (all [][]byte) {
	addr := func(text string) abi.Addr { return abi.From(netip.MustParseAddr(text)) }
	event := abi.Event{
		Hook: abi.HookFromPod, Direction: abi.DirectionEgress, Match: abi.MatchL3L4, Protocol: 6, TcpFlags: 2, Source: 300, Destination: 400, Ifindex: 7,
		SrcPort: 4000, DstPort: 5432, Src: addr("10.0.0.5"), Dst: addr("10.0.0.9"), Rules: 9,
	}
	for i, change := range []func(*abi.Event){
		func(e *abi.Event) { e.Type, e.Verdict = abi.EventVerdict, abi.VerdictAllow },
		func(e *abi.Event) { e.Type, e.Verdict = abi.EventVerdict, abi.VerdictDeny },
		func(e *abi.Event) {
			e.Type, e.Verdict, e.Direction = abi.EventVerdict, abi.VerdictAudit, abi.DirectionIngress
		},
		func(e *abi.Event) { e.Type, e.Reason = abi.EventDrop, abi.DropPolicy },
		func(e *abi.Event) {
			e.Type, e.Flags, e.Service, e.ServicePort = abi.EventTrace, abi.EventNew|abi.EventToOverlay|abi.EventService, addr("10.96.0.1"), 80
		},
		func(e *abi.Event) { e.Type, e.Flags = abi.EventTrace, abi.EventReply },
		func(e *abi.Event) {
			e.Type, e.Flags, e.Protocol, e.SrcPort, e.DstPort = abi.EventTrace, abi.EventToNetwork, 17, 53, 53
		},
		func(e *abi.Event) {
			e.Type, e.Flags, e.Protocol, e.SrcPort, e.DstPort = abi.EventTrace, abi.EventToStack, 1, 8, 0
		},
	} {
		e := event
		change(&e)
		e.Time = uint64(time.Duration(i+1) * time.Second)
		all = append(all, observetest.Record(e))
	}
	ended := event
	ended.Type, ended.Time = abi.EventClose, uint64(time.Minute)
	all = append(all, observetest.Record(abi.CloseEvent{
		Event: ended, Opened: uint64(time.Second), Last: uint64(31 * time.Second), Sent: abi.Carried{Packets: 3, Bytes: 200}, Received: abi.Carried{Packets: 2, Bytes: 5000}, Ending: abi.EndingFin,
	}))
	return all
}

// What a client of 1.15 reads of an agent is in testdata, line by line.
func TestClientsOfBothVersionsReadAllThatANodeSays(t *testing.T) {
	at := node(t)
	var text strings.Builder
	for _, c := range []struct {
		method, request string
		most            int
	}{
		{"observer.Observer/GetFlows", `{"follow": true, "since": "2026-03-01T12:00:00Z"}`, len(records())}, // all have come then
		{"observer.Observer/GetFlows", `{"number": "1"}`, 0},
		{"observer.Observer/GetFlows", `{"first": true, "number": "1", "whitelist": [{"verdict": ["DROPPED"], "event_type": [{"type": 1}], "destination_pod": ["shop/db-0"]}]}`, 0},
		{"observer.Observer/GetAgentEvents", `{"follow": true, "since": "2026-03-01T12:00:00Z"}`, 1},
		{"observer.Observer/GetNodes", `{}`, 0},
		{"observer.Observer/GetNamespaces", `{}`, 0},
		{"observer.Observer/ServerStatus", `{}`, 0},
		{"peer.Peer/Notify", `{}`, 1},
	} {
		older, _ := both(t, at, c.method, c.request, c.most)
		fmt.Fprintf(&text, "-- %s %s --\n", c.method, c.request)
		for _, one := range older {
			text.WriteString(strings.Join(timeless(one.lines), "\n") + "\n")
		}
	}
	goldentest.Equal(t, "testdata/node.txt", text.String())
}

// agent is one that tells of all there is.
type agent struct{ *relaytest.Agent }

// GetAgentEvents implements observer.Observer.
func (a agent) GetAgentEvents(_ *observerpb.GetAgentEventsRequest, stream observerpb.Observer_GetAgentEventsServer) error {
	for round := range rounds {
		if err := stream.Send(event(round)); err != nil {
			return err
		}
	}
	return nil
}

// What a client of 1.15 does not have of all that there is, is in testdata.
func TestClientsOfBothVersionsReadEachFieldAndNumberThatARelayPassesOn(t *testing.T) {
	a := agent{relaytest.New("n1")}
	var all []tenancytest.Item
	for round := range rounds {
		all = append(all, item(round))
	}
	a.Have(all)
	conn, _ := relaytest.Serve(t, nil, func(s grpcRegistrar) { observerpb.RegisterObserverServer(s, a) })
	r := relay.NewServer(peers.Fixed{{Name: "n1", Available: true, Conn: conn}}, relay.Options{Version: "1", Gate: relay.Open{}})
	served, _ := relaytest.Serve(t, r.Interceptors(), r.Register)

	older, lacks := both(t, served.Target(), "observer.Observer/GetFlows", `{}`, 0)
	var passed []*observerpb.GetFlowsResponse
	for _, one := range older {
		m := &observerpb.GetFlowsResponse{}
		if err := proto.Unmarshal(one.again, m); err != nil {
			t.Fatal(err)
		}
		if m.GetNodeStatus() == nil {
			passed = append(passed, m)
		}
	}
	if len(passed) != len(all) {
		t.Fatalf("%d messages of %d came", len(passed), len(all))
	}
	for i, m := range passed {
		if want := all[i]; !proto.Equal(m.GetFlow(), want.Flow) || !proto.Equal(m.GetLostEvents(), want.Lost) {
			t.Errorf("message %d:\n%v\nwas sent, and what the older client would pass on is\n%v", i, want, m)
		}
	}
	_, more := both(t, served.Target(), "observer.Observer/GetAgentEvents", `{}`, 0)
	goldentest.Equal(t, "testdata/lacking.txt", strings.Join(slices.Concat(lacks, more), "\n")+"\n")
}
