package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/observe/loss"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/observe/ring"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

// epoch is when the kernel of these tests booted.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// size is how many flows and news clients may see.
func size(o *Observer) uint64 {
	oldest, next := o.journal.Kept()
	return next - oldest
}

// lose has the kernel hold back some events.
func lose(o *Observer, n uint64) { o.lost(n, o.started, o.o.Now()) }

func addr(text string) abi.Addr { return abi.From(netip.MustParseAddr(text)) }

// syn is the first packet from shop/web-1 to shop/db-0, as a verdict of web-1's egress.
func syn(change func(*abi.Event)) []byte {
	e := abi.Event{
		Time: uint64(time.Second), Type: abi.EventVerdict, Hook: abi.HookFromPod, Direction: abi.DirectionEgress, Verdict: abi.VerdictAllow,
		Match: abi.MatchL3L4, Protocol: 6, TcpFlags: 2, Source: 300, Destination: 400, Ifindex: 7, SrcPort: 4000, DstPort: 5432,
		Src: addr("10.0.0.5"), Dst: addr("10.0.0.9"),
	}
	change(&e)
	return observetest.Record(e)
}

// world fills tables with a little cluster.
func world(t testing.TB) (*table.Tables, *state.DB) {
	t.Helper()
	tables, db := table.New()
	labels := func(app string) identity.Labels {
		return identity.NewLabels(map[string]string{"k8s:app": app, "k8s:io.kubernetes.pod.namespace": "shop"})
	}
	err := db.Write(func(tx *state.Tx) error {
		ip := netip.MustParseAddr
		named := settings.Config{Identity: settings.Identity{ClusterName: "test"}}
		tables.Configs.Put(tx, table.Config{Concern: settings.OfIdentity, Settings: named})
		tables.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Labels: map[string]string{"zone": "a", "arch": "x"}})
		tables.Workloads.Put(tx, table.Workload{
			ContainerID: "c1", Interface: "eth0", Namespace: "shop", Pod: "web-1", Subject: table.Subject{Labels: labels("web"), Identity: 300},
			Addresses: []netip.Addr{ip("10.0.0.5"), ip("fd00::5")},
		})
		tables.Attachments.Put(tx, table.Attachment{
			ContainerID: "c1", Interface: "eth0", Namespace: "shop", Pod: "web-1", Incarnation: 12, Addresses: []netip.Addr{ip("10.0.0.5")},
		})
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "db-0", Identity: 400, Addresses: []netip.Addr{ip("10.0.0.9"), ip("fd00::9")}})
		tables.Identities.Put(tx, table.Identity{Number: 300, Labels: labels("web")})
		tables.Identities.Put(tx, table.Identity{Number: 400, Labels: labels("db")})
		tables.Devices.Put(tx, table.Device{Index: 7, Name: "weft7"})
		tables.Frontends.Put(tx, table.Frontend{Address: ip("10.96.0.1"), Port: 80, Protocol: 6, Namespace: "shop", Name: "db"})
		tables.RuleLists.Put(tx, table.RuleList{Number: 9, Rules: []policy.Origin{
			{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "db", UID: "u", Path: "ingress[0]"},
			{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "db", UID: "u", Path: "ingress[1]", Log: "ticket 7"},
			{Kind: "NetworkPolicy", Namespace: "shop", Name: "lock"},
		}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tables, db
}

// observer makes one whose clocks stand still at epoch plus a minute.
func observer(t *testing.T, change func(*Options)) *Observer {
	t.Helper()
	tables, db := world(t)
	o := Options{
		Node: "n1", Version: "1", Capacity: 8, Machine: machine.In,
		Now: func() time.Time { return epoch.Add(time.Minute) }, Mono: func() int64 { return int64(time.Minute) }, UUID: func() [16]byte { return [16]byte{1} },
	}
	change(&o)
	return New(tables, db, o)
}

// lines prints what is stored, as `weft observe --print-policy-names` does.
func lines(t *testing.T, list ...*observerpb.GetFlowsResponse) string {
	t.Helper()
	var b bytes.Buffer
	p := flow.NewPrinter(&b, flow.PrinterOptions{Output: flow.Compact, IPTranslation: true, PolicyNames: true, TimeFormat: "05.000"})
	for _, r := range list {
		if err := p.Print(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestFlowsNameTheClusterAsItIsCalledNow(t *testing.T) {
	tables, db := world(t)
	o := New(tables, db, Options{Node: "n1"})
	for _, name := range []string{"test", "other"} {
		named := settings.Config{Identity: settings.Identity{ClusterName: name}}
		if err := db.Write(func(tx *state.Tx) error {
			tables.Configs.Put(tx, table.Config{Concern: settings.OfIdentity, Settings: named})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		r := db.Snapshot()
		f := &Flow{node: o.originOf(r)}
		if err := decode(syn(func(*abi.Event) {}), f); err != nil {
			t.Fatal(err)
		}
		o.resolver.resolve(r, f)
		m := f.Message()
		if have := []string{m.GetNodeName(), m.GetSource().GetClusterName(), m.GetDestination().GetClusterName()}; !slices.Equal(have, []string{name + "/n1", name, name}) {
			t.Errorf("%s: a flow has %v", name, have)
		}
	}
}

func TestAFlowHasTheTextThatTheDecidingRulesAsksFor(t *testing.T) {
	tables, db := world(t)
	n := newResolver(tables, nil, nil)
	if d := n.decisionOf(db.Snapshot(), 9); !slices.Equal(d.log, []string{"ticket 7"}) || len(d.policies) != 2 {
		t.Errorf("%+v", d)
	}
	f := &flowpb.Flow{Verdict: flowpb.Verdict_FORWARDED}
	decided(f, abi.DirectionIngress, n.decisionOf(db.Snapshot(), 9))
	if !slices.Equal(f.GetPolicyLog(), []string{"ticket 7"}) {
		t.Errorf("policy_log %q", f.GetPolicyLog())
	}
}

func TestAnEventBecomesTheLineThatHubbleUsersExpect(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*abi.Event)
		want   string
	}{
		{
			"an egress allow", func(e *abi.Event) { e.Rules = 9 },
			"shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) policy-verdict:L3-L4 EGRESS ALLOWED BY db (CiliumNetworkPolicy), lock (NetworkPolicy) (TCP Flags: SYN)",
		},
		{
			"an allow by the absence of policies", func(e *abi.Event) { e.Direction, e.Match = abi.DirectionIngress, abi.MatchAll },
			"shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) policy-verdict:all INGRESS ALLOWED (TCP Flags: SYN)",
		},
		{"a missing allow", func(e *abi.Event) {
			e.Direction, e.Match, e.Verdict, e.Rules = abi.DirectionIngress, abi.MatchNone, abi.VerdictDenyImplicit, 9
		}, "shop/web-1:4000 (ID:300) <> shop/db-0:5432 (ID:400) policy-verdict:none INGRESS DENIED BY db (CiliumNetworkPolicy), lock (NetworkPolicy) (TCP Flags: SYN)"},
		{
			"an audit", func(e *abi.Event) { e.Verdict, e.Rules = abi.VerdictAudit, 9 },
			"shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) policy-verdict:L3-L4 EGRESS AUDITED BY db (CiliumNetworkPolicy), lock (NetworkPolicy) (TCP Flags: SYN)",
		},
		{
			"what a staged policy would do", func(e *abi.Event) { e.Staged, e.StagedRules = uint8(abi.VerdictDeny), 9 },
			"shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) policy-verdict:L3-L4 EGRESS ALLOWED [staged: would be denied by cnp shop/db ingress[0], cnp shop/db ingress[1], netpol shop/lock] (TCP Flags: SYN)",
		},
		{
			"a drop", func(e *abi.Event) { e.Type, e.Verdict, e.Reason = abi.EventDrop, abi.VerdictDeny, abi.DropPolicyDeny },
			"shop/web-1:4000 (ID:300) <> shop/db-0:5432 (ID:400) Policy denied by denylist DROPPED (TCP Flags: SYN)",
		},
		{
			"a delivery", func(e *abi.Event) { e.Type, e.Flags = abi.EventTrace, abi.EventNew },
			"shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) to-endpoint FORWARDED (TCP Flags: SYN)",
		},
		{"an answer", func(e *abi.Event) {
			e.Type, e.Flags, e.TcpFlags = abi.EventTrace, abi.EventReply, 0x12
			e.Src, e.Dst, e.SrcPort, e.DstPort, e.Source, e.Destination = e.Dst, e.Src, 5432, 4000, 400, 300
		}, "shop/web-1:4000 (ID:300) <- shop/db-0:5432 (ID:400) to-endpoint FORWARDED (TCP Flags: SYN, ACK)"},
		{
			"a way into the overlay", func(e *abi.Event) {
				e.Type, e.Flags, e.Dst = abi.EventTrace, abi.EventNew|abi.EventToOverlay, addr("fd00::9")
			},
			"shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) to-overlay FORWARDED (TCP Flags: SYN)",
		},
		{"a way to the stack", func(e *abi.Event) {
			e.Type, e.Flags, e.Dst, e.Destination = abi.EventTrace, abi.EventToStack, addr("192.168.0.1"), 1
		}, "shop/web-1:4000 (ID:300) -> 192.168.0.1:5432 (host) to-stack FORWARDED (TCP Flags: SYN)"},
		{"a ping to the world", func(e *abi.Event) {
			e.Type, e.Flags, e.Dst, e.Destination = abi.EventTrace, abi.EventToNetwork, addr("1.1.1.1"), 2
			e.Protocol, e.SrcPort, e.DstPort = 1, 8, 0
		}, "shop/web-1 (ID:300) -> 1.1.1.1 (world) to-network FORWARDED (ICMPv4 EchoRequest)"},
		{"a service without backends", func(e *abi.Event) {
			e.Type, e.Direction, e.Reason, e.Dst, e.DstPort, e.Destination = abi.EventDrop, 0, abi.DropNoBackend, addr("10.96.0.1"), 80, 0
		}, "shop/web-1:4000 (ID:300) <> shop/db:80 (unknown) Service backend not found DROPPED (TCP Flags: SYN)"},
		{
			"a packet that is no packet", func(e *abi.Event) { *e = abi.Event{Type: abi.EventDrop, Reason: abi.DropUnsupportedL2, Time: e.Time} },
			" (unknown) <>  (unknown) Unsupported L2 protocol DROPPED ()",
		},
	} {
		o := observer(t, func(*Options) {})
		o.take(syn(c.change))
		have := lines(t, response(o.journal.Find(0)))
		if want := "01.000: " + c.want + "\n"; have != want {
			t.Errorf("%s:\nhave %swant %s", c.name, have, want)
		}
	}
}

func TestADecisionIsNamedThoughTheEventWasFasterThanTheListOfRules(t *testing.T) {
	o := observer(t, func(*Options) {})
	o.take(syn(func(e *abi.Event) { e.Rules = 11 }))
	_ = o.db.Write(func(tx *state.Tx) error {
		o.tables.RuleLists.Put(tx, table.RuleList{Number: 11, Rules: []policy.Origin{{Kind: "NetworkPolicy", Namespace: "shop", Name: "late"}}})
		return nil
	})
	if have := lines(t, response(o.journal.Find(0))); !strings.Contains(have, "BY late (NetworkPolicy)") {
		t.Error(have)
	}
}

func response(f *Flow) *observerpb.GetFlowsResponse {
	return &observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f.Message()}}
}

func TestAFlowHasWhatItsReadersLookFor(t *testing.T) {
	o := observer(t, func(*Options) {})
	o.take(syn(func(e *abi.Event) {
		e.Verdict, e.Rules, e.Flags, e.Service, e.ServicePort = abi.VerdictDeny, 9, abi.EventService, addr("10.96.0.1"), 80
	}))
	f := o.journal.Find(0).Message()
	for _, c := range []struct{ what, have, want string }{
		{"node", f.GetNodeName(), "test/n1"},
		{"node labels", strings.Join(f.GetNodeLabels(), " "), "arch=x zone=a"},
		{"time", f.GetTime().AsTime().Format(time.RFC3339), "2026-03-01T12:00:01Z"},
		{"labels", strings.Join(f.GetSource().GetLabels(), " "), "k8s:app=web k8s:io.kubernetes.pod.namespace=shop"},
		{"cluster", f.GetDestination().GetClusterName(), "test"},
		{"service", f.GetDestinationService().GetNamespace() + "/" + f.GetDestinationService().GetName(), "shop/db"},
		{"reason", f.GetDropReasonDesc().String(), "POLICY_DENY"},
		{"interface", f.GetInterface().GetName(), "weft7"},
		{"direction", f.GetTrafficDirection().String(), "EGRESS"},
		{"policy", strings.Join(f.GetEgressDeniedBy()[0].GetLabels(), " "), "k8s:io.cilium.k8s.policy.derived-from=CiliumNetworkPolicy k8s:io.cilium.k8s.policy.name=db k8s:io.cilium.k8s.policy.namespace=shop k8s:io.cilium.k8s.policy.uid=u"},
	} {
		if c.have != c.want {
			t.Errorf("%s: have %s, want %s", c.what, c.have, c.want)
		}
	}
	if f.GetSource().GetID() != 12 || len(f.GetEgressDeniedBy()) != 2 || f.GetIsReply() != nil {
		t.Errorf("have %v", f)
	}
}

func TestDirectionsAreThoseOfTheConnection(t *testing.T) {
	for _, c := range []struct {
		flags abi.EventFlag
		want  flowpb.TrafficDirection
	}{
		{abi.EventNew, flowpb.TrafficDirection_INGRESS},
		{abi.EventReply, flowpb.TrafficDirection_EGRESS},
		{abi.EventNew | abi.EventToOverlay, flowpb.TrafficDirection_EGRESS},
		{abi.EventReply | abi.EventToOverlay, flowpb.TrafficDirection_INGRESS},
	} {
		o := observer(t, func(*Options) {})
		o.take(syn(func(e *abi.Event) { e.Type, e.Flags = abi.EventTrace, c.flags }))
		if have := o.journal.Find(0).Message().GetTrafficDirection(); have != c.want {
			t.Errorf("%s: have %s", c.flags, have)
		}
	}
}

func TestARecordThatMakesNoSenseIsCountedAndPassedOver(t *testing.T) {
	o := observer(t, func(*Options) {})
	o.take(nil)
	o.take(observetest.Record(abi.Event{})[:50])
	o.take(observetest.Record(abi.Event{Type: 77}))
	if o.malformed.Load() != 3 || size(o) != 0 {
		t.Errorf("have %d malformed, %d stored", o.malformed.Load(), size(o))
	}
	o.take(append(syn(func(*abi.Event) {}), 1, 2, 3))
	if size(o) != 1 {
		t.Error("a longer record was refused")
	}
}

func TestTheClockFollowsTheWall(t *testing.T) {
	var c clock
	mono := func() int64 { return int64(10 * time.Second) }
	at := epoch.Add(10 * time.Second)
	now := func() time.Time { return at }
	if have := c.wall(int64(3*time.Second), at, now, mono); !have.Equal(epoch.Add(3 * time.Second)) {
		t.Errorf("have %s", have)
	}
	// The clock is set an hour ahead.
	at = at.Add(time.Hour)
	if have := c.wall(int64(3*time.Second), at, now, mono); !have.Equal(epoch.Add(time.Hour + 3*time.Second)) {
		t.Errorf("have %s", have)
	}
}

func TestFlowsKeepTheirOrderThoughTheAgentHasToWaitWhileItReadsTheClocks(t *testing.T) {
	var c clock
	var since time.Duration // since the kernel booted
	held := time.Duration(0)
	now := func() time.Time {
		since += held // before the wall's clock is read
		held = 0
		return epoch.Add(since)
	}
	mono := func() int64 { return int64(since) }
	last := time.Time{}
	for range 100 {
		since += 100 * time.Millisecond
		held = 30 * time.Millisecond
		event := since
		have := c.wall(int64(event), epoch.Add(since), now, mono)
		if have.Before(last) {
			t.Fatalf("an event of %v is at %v, the one before at %v", event, have, last)
		}
		if last = have; !have.Equal(epoch.Add(event)) {
			t.Fatalf("an event of %v is at %v", event, have)
		}
	}
}

func TestTheRateIsThatOfTheLastMinute(t *testing.T) {
	var r rate
	for i := range 120 {
		r.add(epoch.Add(time.Duration(i) * time.Second))
		r.add(epoch.Add(time.Duration(i) * time.Second))
	}
	if have := r.perSecond(epoch.Add(119*time.Second), time.Hour); have != 2 {
		t.Errorf("have %f", have)
	}
	if have := r.perSecond(epoch.Add(time.Hour), time.Hour); have != 0 {
		t.Errorf("have %f", have)
	}
}

func TestLossesOfTheKernelAreNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var total, working atomic.Uint64
		total.Store(5)
		o := observer(t, func(o *Options) {
			o.Lost = loss.Watch{Now: time.Now, Log: slog.New(slog.DiscardHandler), Count: func() (uint64, error) {
				if working.Load() == 0 {
					return 0, errors.New("no map")
				}
				return total.Load(), nil
			}}.Run
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		source := observetest.NewFeed()
		go func() { done <- o.Run(ctx, source) }()
		step := func() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		step()
		working.Store(1)
		step()
		total.Store(8)
		step()
		step()
		source.Records <- syn(func(*abi.Event) {})
		synctest.Wait()
		if size(o) != 2 || o.journal.Find(0).lost.GetNumEventsLost() != 3 || o.journal.Find(1).lost != nil {
			t.Errorf("have %d entries", size(o))
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("have %v", err)
		}
	})
}

// client serves an observer on a socket and gives a client of it.
func client(t *testing.T, o *Observer) observerpb.ObserverClient {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	o.Register(s)
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	c, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return observerpb.NewObserverClient(c)
}

// ask collects the source ports (in these tests: the number of a flow) of an answer; "-n" is the loss of n.
func ask(t *testing.T, c observerpb.ObserverClient, r *observerpb.GetFlowsRequest) (ports []uint16, err error) {
	t.Helper()
	stream, err := c.GetFlows(t.Context(), r)
	if err != nil {
		return nil, err
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			if err.Error() == "EOF" {
				return ports, nil
			}
			return ports, err
		}
		if r.GetNodeName() != "test/n1" {
			t.Errorf("node %s", r.GetNodeName())
		}
		port, _, _ := flow.Ports(r.GetFlow())
		ports = append(ports, port)
	}
}

// fill stores flows 1 to n, one a second, those with odd numbers dropped.
func fill(o *Observer, from, n int) {
	for i := from; i <= n; i++ {
		o.take(syn(func(e *abi.Event) {
			e.SrcPort, e.Time = uint16(i), uint64(i)*uint64(time.Second)
			if i%2 == 1 {
				e.Type, e.Reason = abi.EventDrop, abi.DropPolicy
			}
		}))
	}
	o.journal.Wake()
}

func TestGetFlowsAnswersAsHubbleDoes(t *testing.T) {
	o := observer(t, func(*Options) {})
	fill(o, 1, 12) // of which 5 to 12 are still there
	c := client(t, o)
	at := func(seconds int) *timestamppb.Timestamp {
		return timestamppb.New(epoch.Add(time.Duration(seconds) * time.Second))
	}
	dropped := []*flowpb.FlowFilter{{Verdict: []flowpb.Verdict{flowpb.Verdict_DROPPED}}}
	for _, q := range []struct {
		name string
		r    *observerpb.GetFlowsRequest
		want []uint16
	}{
		{"all", &observerpb.GetFlowsRequest{}, []uint16{5, 6, 7, 8, 9, 10, 11, 12}},
		{"last", &observerpb.GetFlowsRequest{Number: 3}, []uint16{10, 11, 12}},
		{"more than there are", &observerpb.GetFlowsRequest{Number: 300}, []uint16{5, 6, 7, 8, 9, 10, 11, 12}},
		{"first", &observerpb.GetFlowsRequest{Number: 3, First: true}, []uint16{5, 6, 7}},
		{"last that match", &observerpb.GetFlowsRequest{Number: 3, Whitelist: dropped}, []uint16{7, 9, 11}},
		{"first that do not match", &observerpb.GetFlowsRequest{Number: 2, First: true, Blacklist: dropped}, []uint16{6, 8}},
		{"since", &observerpb.GetFlowsRequest{Since: at(10)}, []uint16{10, 11, 12}},
		{"between", &observerpb.GetFlowsRequest{Since: at(6), Until: at(8)}, []uint16{6, 7, 8}},
		{"last until", &observerpb.GetFlowsRequest{Number: 2, Until: at(8)}, []uint16{7, 8}},
	} {
		have, err := ask(t, c, q.r)
		if err != nil || !slices.Equal(have, q.want) {
			t.Errorf("%s: have %v, %v, want %v", q.name, have, err, q.want)
		}
	}
	for _, q := range []struct {
		r    *observerpb.GetFlowsRequest
		want string
	}{
		{&observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{{SourceIp: []string{"x"}}}}, "whitelist[0].source_ip"},
		{&observerpb.GetFlowsRequest{First: true, Follow: true}, "first:"},
		{&observerpb.GetFlowsRequest{Since: at(8), Until: at(6)}, "until:"},
		{&observerpb.GetFlowsRequest{Since: &timestamppb.Timestamp{Nanos: -1}}, "since:"},
		{&observerpb.GetFlowsRequest{FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"sauce"}}}, "field mask"},
	} {
		if _, err := ask(t, c, q.r); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), q.want) {
			t.Errorf("have %v, want %s", err, q.want)
		}
	}
}

func TestAFollowerGetsWhatComesAndIsToldWhatItMissed(t *testing.T) {
	o := observer(t, func(*Options) {})
	fill(o, 1, 3)
	c := client(t, o)
	stream, err := c.GetFlows(t.Context(), &observerpb.GetFlowsRequest{Number: 1, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *observerpb.GetFlowsResponse {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	port := func(r *observerpb.GetFlowsResponse) uint16 { p, _, _ := flow.Ports(r.GetFlow()); return p }
	if have := port(next()); have != 3 {
		t.Errorf("have %d", have)
	}
	fill(o, 4, 4)
	if have := port(next()); have != 4 {
		t.Errorf("have %d", have)
	}
	lose(o, 7)
	if have := next().GetLostEvents(); have.GetNumEventsLost() != 7 || have.GetSource() != flowpb.LostEventSource_PERF_EVENT_RING_BUFFER {
		t.Errorf("have %v", have)
	}
}

// slow is a stream whose client takes one answer and then lets the store run over.
type slow struct {
	grpc.ServerStream
	ctx  context.Context
	sent []*observerpb.GetFlowsResponse
	then func()
}

func (s *slow) Context() context.Context { return s.ctx }

func (s *slow) Send(r *observerpb.GetFlowsResponse) error {
	s.sent = append(s.sent, r)
	s.then()
	return nil
}

func TestAClientThatIsTooSlowIsTold(t *testing.T) {
	o := observer(t, func(*Options) {})
	ctx, cancel := context.WithCancel(t.Context())
	s := &slow{ctx: ctx}
	s.then = func() {
		switch len(s.sent) {
		case 1:
			fill(o, 2, 20)
		case 10:
			cancel()
		}
	}
	fill(o, 1, 1)
	err := (&server{o: o}).GetFlows(&observerpb.GetFlowsRequest{Number: 1, Follow: true}, s)
	if err != nil {
		t.Fatal(err)
	}
	if have := s.sent[1].GetLostEvents(); have.GetNumEventsLost() != 11 || have.GetSource() != flowpb.LostEventSource_HUBBLE_RING_BUFFER {
		t.Errorf("have %v", s.sent[1])
	}
	if port, _, _ := flow.Ports(s.sent[2].GetFlow()); port != 13 {
		t.Errorf("have %v", s.sent[2])
	}
}

func TestAClientThatReadsTheStoreTooSlowlyIsTold(t *testing.T) {
	o := observer(t, func(o *Options) { o.Capacity = journal.Queue })
	fill(o, 1, journal.Queue)
	s := &slow{ctx: t.Context()}
	s.then = func() {
		if len(s.sent) == 1 {
			fill(o, journal.Queue+1, journal.Queue+10)
		}
	}
	if err := (&server{o: o}).GetFlows(&observerpb.GetFlowsRequest{}, s); err != nil {
		t.Fatal(err)
	}
	if have := s.sent[1].GetLostEvents().GetNumEventsLost(); have != 9 || len(s.sent) != journal.Queue-8 {
		t.Errorf("of 10 that were overwritten, one was sent: the client is told of %d, and has %d answers", have, len(s.sent))
	}
}

func TestTheOtherCallsAnswer(t *testing.T) {
	o := observer(t, func(*Options) {})
	fill(o, 1, 12)
	c := client(t, o)
	if r, err := c.ServerStatus(t.Context(), &observerpb.ServerStatusRequest{}); err != nil || r.GetNumFlows() != 8 || r.GetMaxFlows() != 8 || r.GetSeenFlows() != 12 {
		t.Errorf("have %v, %v", r, err)
	}
	if r, err := c.GetNodes(t.Context(), &observerpb.GetNodesRequest{}); err != nil || r.GetNodes()[0].GetName() != "test/n1" {
		t.Errorf("have %v, %v", r, err)
	}
	if r, err := c.GetNamespaces(t.Context(), &observerpb.GetNamespacesRequest{}); err != nil || len(r.GetNamespaces()) != 1 || r.GetNamespaces()[0].GetNamespace() != "shop" {
		t.Errorf("have %v, %v", r, err)
	}
	agent, err := c.GetAgentEvents(t.Context(), &observerpb.GetAgentEventsRequest{Number: 20})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := agent.Recv(); err != nil || r.GetAgentEvent().GetType() != flowpb.AgentEventType_AGENT_STARTED || r.GetNodeName() != "test/n1" || !r.GetTime().AsTime().Equal(o.o.Now()) {
		t.Errorf("have %v, %v", r, err)
	}
	if _, err := agent.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("have %v", err)
	}
	debug, err := c.GetDebugEvents(t.Context(), &observerpb.GetDebugEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := debug.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("have %v", err)
	}
	if header, err := debug.Header(); err != nil || len(header.Get(Reason)) != 1 {
		t.Errorf("have %v, %v", header, err)
	}
	if have := o.recent(o.o.Now().Add(2 * time.Hour)); len(have) != 0 {
		t.Errorf("have %v", have)
	}
}

func TestDropsAreCountedByTheTextOfTheirReason(t *testing.T) {
	o := observer(t, func(*Options) {})
	lose(o, 3)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(o, func() (map[ring.CounterKey]abi.Counter, error) {
		return map[ring.CounterKey]abi.Counter{
			{Reason: abi.DropPolicy, Hook: abi.HookToPod}:       {Packets: 2, Bytes: 200},
			{Reason: abi.DropPolicy, Hook: abi.HookFromOverlay}: {Packets: 1, Bytes: 100},
			{Hook: abi.HookFromPod}:                             {Packets: 7, Bytes: 700},
		}, nil
	}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			text := f.GetName()
			for _, l := range m.GetLabel() {
				text += " " + l.GetValue()
			}
			if n := m.GetCounter().GetValue(); n > 0 {
				have = append(have, fmt.Sprintf("%s %v", text, n))
			}
		}
	}
	want := []string{
		"cilium_drop_bytes_total INGRESS Policy denied 300", "cilium_drop_count_total INGRESS Policy denied 3",
		"cilium_forward_bytes_total EGRESS 700", "cilium_forward_count_total EGRESS 7",
		"hubble_lost_events_total PERF_EVENT_RING_BUFFER 3",
	}
	if !slices.Equal(have, want) {
		t.Errorf("have\n%s", strings.Join(have, "\n"))
	}
}

func FuzzAnyRecordIsDecodedOrRefused(f *testing.F) {
	f.Add([]byte{})
	f.Add(syn(func(*abi.Event) {}))
	f.Add(syn(func(e *abi.Event) { e.Type, e.Flags, e.Rules = abi.EventTrace, 255, 9 }))
	tables, db := table.New()
	n := newResolver(tables, nil, nil)
	f.Fuzz(func(t *testing.T, record []byte) {
		seen := &Flow{node: &origin{}}
		if decode(record, seen) != nil {
			return
		}
		n.resolve(db.Snapshot(), seen)
		fl := seen.Message()
		if fl.GetVerdict() == flowpb.Verdict_VERDICT_UNKNOWN || fl.GetEventType().GetType() == 0 {
			t.Errorf("have %v", fl)
		}
		_ = flow.NewPrinter(&bytes.Buffer{}, flow.PrinterOptions{}).Print(response(seen))
	})
}
