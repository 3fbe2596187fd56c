package graph

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/filter"
	"weftnet.io/weftnet/internal/tenancy"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// draw makes flows of an hour and a half.
func draw(t *rapid.T) (all []*flowpb.Flow) {
	for i := range rapid.IntRange(0, 30).Draw(t, "flows") {
		at := epoch.Add(time.Duration(rapid.IntRange(-3600, 1800).Draw(t, "at")) * time.Second)
		all = append(all, tenancytest.Flow(t, rapid.SampledFrom(tenancytest.Nodes).Draw(t, "node"), at, i))
	}
	return all
}

var filters = []*flowpb.FlowFilter{
	nil,
	{Verdict: []flowpb.Verdict{flowpb.Verdict_DROPPED}},
	{SourcePod: []string{"a/"}},
	{DestinationPod: []string{"b/db"}},
	{SourceLabel: []string{"app=web"}},
	{DestinationWorkload: []*flowpb.Workload{{Name: "db"}}},
	{Reply: []bool{true}},
	{NodeName: []string{"n1"}},
	{DestinationService: []string{"a/"}},
	{Protocol: []string{"http"}},
	{TrafficDirection: []flowpb.TrafficDirection{flowpb.TrafficDirection_EGRESS}, SourceIdentity: []uint32{1000}},
	{EventType: []*flowpb.EventTypeFilter{{Type: flow.EventTrace}}},
}

// naive adds up each flow by itself, as text.
func naive(flows []*flowpb.Flow, since time.Time, level observerv1.Level, show Show) string {
	type side struct{ packets, bytes uint64 }
	type where struct {
		connections    uint64
		sent, received side
	}
	edges, flowsOf, tallies, last := map[string]map[string]*[3]where{}, map[string]int{}, map[string]map[string]int{}, map[string]time.Time{}
	for _, f := range flows {
		if f.GetTime().AsTime().Before(since) {
			continue
		}
		f, _ = show(f)
		if f == nil {
			continue
		}
		x, pod := extraOf(f), observerv1.Level_LEVEL_POD
		ends, exacts := []string{idOf(f.GetSource(), x.Source.VM, level), idOf(f.GetDestination(), x.Destination.VM, level)}, []string{idOf(f.GetSource(), x.Source.VM, pod), idOf(f.GetDestination(), x.Destination.VM, pod)}
		if f.GetIsReply().GetValue() {
			slices.Reverse(ends)
			slices.Reverse(exacts)
		}
		src, dst, exact := ends[0], ends[1], strings.Join(exacts, " ")
		name := src + " " + dst
		if edges[name] == nil {
			edges[name], tallies[name] = map[string]*[3]where{}, map[string]int{}
		}
		if edges[name][exact] == nil {
			edges[name][exact] = &[3]where{}
		}
		flowsOf[name]++
		tallies[name][f.GetVerdict().String()]++
		if f.GetDropReasonDesc() != 0 {
			tallies[name][f.GetDropReasonDesc().String()]++
		}
		if at := f.GetTime().AsTime(); at.After(last[name]) {
			last[name] = at
		}
		at := 2
		if f.GetSource().GetID() != 0 {
			at = 0
		} else if f.GetDestination().GetID() != 0 {
			at = 1
		}
		var s structpb.Struct
		_ = f.GetExtensions().UnmarshalTo(&s)
		for _, kind := range []string{"close", "progress"} {
			c := s.GetFields()[kind].GetStructValue().GetFields()
			w := &edges[name][exact][at]
			if c != nil && kind == "close" {
				w.connections++
			}
			for n, to := range map[string]*side{"sent": &w.sent, "received": &w.received} {
				to.packets += uint64(c[n].GetStructValue().GetFields()["packets"].GetNumberValue())
				to.bytes += uint64(c[n].GetStructValue().GetFields()["bytes"].GetNumberValue())
			}
		}
	}
	var lines []string
	for name, pods := range edges {
		var sum where
		for _, w := range pods {
			sum.connections += max(w[0].connections, w[1].connections, w[2].connections)
			sum.sent.packets += max(w[0].sent.packets, w[1].sent.packets, w[2].sent.packets)
			sum.sent.bytes += max(w[0].sent.bytes, w[1].sent.bytes, w[2].sent.bytes)
			sum.received.packets += max(w[0].received.packets, w[1].received.packets, w[2].received.packets)
			sum.received.bytes += max(w[0].received.bytes, w[1].received.bytes, w[2].received.bytes)
		}
		lines = append(lines, fmt.Sprintf("%s %v %d %v %v %s", name, tallies[name], sum.connections, sum.sent, sum.received, last[name].UTC().Format(time.TimeOnly)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// idOf is the id of an end: what the proto file says of it.
func idOf(e *flowpb.Endpoint, vm string, level observerv1.Level) string {
	app := ""
	for _, l := range e.GetLabels() {
		if name, is := strings.CutPrefix(l, "k8s:app="); is {
			app = name
		}
	}
	switch {
	case e.GetNamespace() == "" && e.GetIdentity() == 1:
		return "reserved:host"
	case e.GetNamespace() == "" && slices.Contains([]uint32{2, 1<<24 | 1}, e.GetIdentity()):
		return "reserved:world"
	case e.GetNamespace() == "" && e.GetIdentity() == 5:
		return "reserved:init"
	case e.GetNamespace() == "" && e.GetIdentity() == 6:
		return "reserved:remote-node"
	case e.GetNamespace() == "":
		return "unknown"
	case level == observerv1.Level_LEVEL_NAMESPACE:
		return "namespace:" + e.GetNamespace()
	case vm != "":
		return "vm:" + e.GetNamespace() + "/" + vm[strings.IndexByte(vm, '/')+1:]
	case level == observerv1.Level_LEVEL_WORKLOAD && len(e.GetWorkloads()) > 0:
		return "workload:" + e.GetNamespace() + "/" + e.GetWorkloads()[0].GetKind() + "/" + e.GetWorkloads()[0].GetName()
	case level == observerv1.Level_LEVEL_WORKLOAD && app != "":
		return "workload:" + e.GetNamespace() + "/" + app
	case e.GetPodName() != "":
		return "pod:" + e.GetNamespace() + "/" + e.GetPodName()
	}
	return "namespace:" + e.GetNamespace()
}

// text is a response as naive prints one.
func text(r *observerv1.AggregateResponse) string {
	var lines []string
	for _, e := range r.GetEdges() {
		tally := map[string]int{}
		for _, v := range e.GetVerdicts() {
			tally[v.GetVerdict().String()] = int(v.GetFlows())
		}
		for _, d := range e.GetDrops() {
			tally[d.GetReason().String()] = int(d.GetFlows())
		}
		side := func(c *observerv1.Carried) string { return fmt.Sprintf("{%d %d}", c.GetPackets(), c.GetBytes()) }
		lines = append(lines, fmt.Sprintf("%s %s %v %d %s %s %s", e.GetSource(), e.GetDestination(), tally, e.GetConnections(), side(e.GetSent()), side(e.GetReceived()), e.GetLastSeen().AsTime().Format(time.TimeOnly)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestAGraphIsTheSumOfWhatIsShownAndWantedOfEachFlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := draw(t)
		s := New(Limits{})
		now := epoch.Add(30 * time.Minute)
		for _, f := range all {
			s.Add(f, now)
		}
		level := rapid.SampledFrom([]observerv1.Level{observerv1.Level_LEVEL_NAMESPACE, observerv1.Level_LEVEL_WORKLOAD, observerv1.Level_LEVEL_POD}).Draw(t, "level")
		chosen := rapid.SampledFrom(filters).Draw(t, "filter")
		var include []*flowpb.FlowFilter
		if chosen != nil {
			include = append(include, chosen)
		}
		want, err := filter.New(include, nil)
		if err != nil || !Keeps(include...) {
			t.Fatal(err, chosen)
		}
		tenant := rapid.Bool().Draw(t, "tenant")
		show := func(f *flowpb.Flow) (*flowpb.Flow, error) {
			if tenant {
				f = tenancy.Show(f, tenancytest.Sees)
			}
			if f == nil || !want(f) {
				return nil, nil
			}
			return f, nil
		}
		since := s.Since(now)
		if first := rapid.SampledFrom([]time.Time{epoch, since, epoch.Add(15 * time.Minute)}).Draw(t, "since"); first.After(since) {
			since = first
		}
		g, left, err := s.Sum(since, level, show)
		if err != nil || left != 0 {
			t.Fatal(left, err)
		}
		r := g.Response(1000)
		if have, want := text(r), naive(all, since, level, show); have != want {
			t.Fatalf("have\n%s\nwant\n%s", have, want)
		}
		known := map[string]bool{}
		for _, v := range r.GetVertices() {
			known[v.GetId()] = true
		}
		for _, e := range r.GetEdges() {
			if !known[e.GetSource()] || !known[e.GetDestination()] {
				t.Fatalf("an end of %v is no vertex", e)
			}
		}
	})
}

func TestFlowsOfAClassAreAlikeAndNoOthersAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := New(Limits{}), epoch.Add(time.Hour)
		stripped := func(f *flowpb.Flow) *flowpb.Flow { return strip(f, extraOf(f)) }
		same := func(a, b *flowpb.Flow) bool { // the bytes of what is alike need not be
			a, b, equal := proto.CloneOf(a), proto.CloneOf(b), extraOf(a) == extraOf(b)
			a.Extensions, b.Extensions = nil, nil
			return equal && proto.Equal(a, b)
		}
		var all []*flowpb.Flow
		for i := range 6 {
			all = append(all, tenancytest.Flow(t, "n1", epoch, i))
		}
		twin := proto.CloneOf(all[0]) // the same but for what is single
		twin.Uuid, twin.IP.Source, twin.L4, twin.Time = "other", "10.9.9.9", flow.L4(6, 1, 2, 3), timestamppb.New(epoch.Add(time.Second))
		all = append(all, twin)
		classes := make([]*class, len(all))
		for i, f := range all {
			s.Add(f, now)
			x := extraOf(f)
			classes[i] = s.class(f, keyOf(f, x), x)
		}
		for i, f := range all {
			for j, o := range all {
				if alike := same(stripped(f), stripped(o)); alike != (classes[i] == classes[j]) {
					t.Fatalf("of one class: %v, alike: %v:\n%v\n%v", classes[i] == classes[j], alike, stripped(f), stripped(o))
				}
			}
		}
		if !same(classes[0].flow, stripped(all[0])) {
			t.Fatalf("have %v, want %v", classes[0].flow, stripped(all[0]))
		}
	})
}

// Each field of a filter is of classes, or it is not: one that Hubble adds is to be decided.
func TestEachFieldOfFiltersIsKeptOrIsOfSingleFlows(t *testing.T) {
	single := []protoreflect.Name{
		"uuid", "source_ip", "source_ip_xlated", "destination_ip", "source_fqdn", "destination_fqdn", "source_port", "destination_port", "http_status_code", "http_method",
		"http_path", "http_url", "http_header", "dns_query", "tcp_flags", "trace_id", "ip_trace_id", "experimental",
	}
	fields := (&flowpb.FlowFilter{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if name := fields.Get(i).Name(); kept[name] == slices.Contains(single, name) {
			t.Errorf("field %s is new: is it the same for all flows of a class?", name)
		}
	}
	if Keeps(&flowpb.FlowFilter{SourceIp: []string{"10.0.0.1"}}) || Keeps(nil, &flowpb.FlowFilter{Interface: []*flowpb.NetworkInterface{{Index: 3}}}) || !Keeps() {
		t.Error("Keeps is wrong")
	}
}

// flowOf is of a pod with a number, to db.
func flowOf(number int, at time.Time) *flowpb.Flow {
	return &flowpb.Flow{
		Time: timestamppb.New(at), Verdict: flowpb.Verdict_FORWARDED,
		Source:      &flowpb.Endpoint{ID: 1, Namespace: "shop", PodName: fmt.Sprint("web-", number), Labels: []string{"k8s:app=web"}},
		Destination: &flowpb.Endpoint{Namespace: "shop", PodName: "db-0", Labels: []string{"k8s:app=db"}},
	}
}

func sum(t *testing.T, s *Store, since time.Time) (flows uint64, left uint64) {
	t.Helper()
	g, left, err := s.Sum(since, observerv1.Level_LEVEL_NAMESPACE, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g.Response(10).GetFlows(), left
}

func TestWhatAStoreKeepsIsBoundedAndItSaysFromWhenOn(t *testing.T) {
	const classes, cells = 20, 60
	s := New(Limits{Classes: classes, Cells: cells})
	now := epoch
	for minute := range 200 {
		now = epoch.Add(time.Duration(minute) * time.Minute)
		for i := range 3 * (1 + minute%9) {
			s.Add(flowOf(minute%5*10+i, now), now)
		}
		kept := 0
		for _, c := range s.classes {
			kept += len(c.cells)
		}
		parts := 2 // db, and the node that has no name
		for _, c := range s.classes {
			if c.key.source.uses > 0 {
				parts++
			}
		}
		if len(s.classes) > classes || kept > cells || kept != s.cells || len(s.parts) != parts {
			t.Fatalf("%d classes, %d cells of which %d are counted, %d parts, should be %d", len(s.classes), kept, s.cells, len(s.parts), parts)
		}
		if since := s.Since(now); since.After(now) || since.Before(now.Add(-time.Hour-Step)) {
			t.Fatalf("at %s since %s", now, since)
		}
	}
	// All of one step: what there is no room for is counted.
	full := New(Limits{Classes: classes})
	for i := range 50 {
		full.Add(flowOf(i, now), now)
	}
	if flows, left := sum(t, full, now); flows != classes || left != 50-classes {
		t.Errorf("%d flows, %d left out", flows, left)
	}
	full.Add(flowOf(0, now.Add(2*time.Hour)), now.Add(2*time.Hour))
	if flows, left := sum(t, full, now); flows != 1 || left != 0 || len(full.parts) != 3 {
		t.Errorf("%d flows, %d left out, %d parts", flows, left, len(full.parts))
	}
	full.Add(flowOf(0, now), now)                  // too late
	full.Add(flowOf(0, now.Add(9*time.Hour)), now) // of a clock that is wrong
	if flows, _ := sum(t, full, now); flows != 2 {
		t.Errorf("%d flows", flows)
	}
}

func TestAConnectionThatTwoNodesSawCountsOnce(t *testing.T) {
	end := func(here bool, name string) *flowpb.Endpoint {
		e := &flowpb.Endpoint{Namespace: "shop", PodName: name + "-1", Workloads: []*flowpb.Workload{{Kind: "Deployment", Name: name}}}
		if here {
			e.ID = 7
		}
		return e
	}
	before := flow.Carried{Packets: 3, Bytes: 200}
	c := flow.Close{Ending: "fin", Sent: flow.Carried{Packets: 5, Bytes: 300}, Received: flow.Carried{Packets: 4, Bytes: 9000}, ToldSent: before}
	s := New(Limits{})
	for i, here := range []bool{true, false} {
		for point, x := range map[int32]flow.Extra{flow.PointProgress: {Progress: &flow.Close{Sent: before}}, flow.PointClose: {Close: &c}} {
			s.Add(&flowpb.Flow{
				Time: timestamppb.New(epoch.Add(time.Duration(i) * time.Second)), NodeName: fmt.Sprint("n", i), Verdict: flowpb.Verdict_FORWARDED, IsReply: wrapperspb.Bool(false),
				EventType: &flowpb.CiliumEventType{Type: flow.EventTrace, SubType: point}, Source: end(here, "web"), Destination: end(!here, "db"), Extensions: x.Extension(),
			}, epoch)
		}
	}
	s.Add(&flowpb.Flow{
		Time: timestamppb.New(epoch), NodeName: "n1", Verdict: flowpb.Verdict_DROPPED, DropReasonDesc: flowpb.DropReason_POLICY_DENIED, IsReply: wrapperspb.Bool(true),
		Source: end(true, "db"), Destination: end(false, "web"),
	}, epoch)
	g, _, err := s.Sum(epoch, observerv1.Level_LEVEL_UNSPECIFIED, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "workload:shop/Deployment/web workload:shop/Deployment/db map[DROPPED:1 FORWARDED:4 POLICY_DENIED:1] 1 {5 300} {4 9000} 12:00:01"
	if have := text(g.Response(10)); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}

func TestVerticesHaveIdsThatStay(t *testing.T) {
	for _, c := range []struct {
		end     *flowpb.Endpoint
		vm      string
		network uint32
		level   observerv1.Level
		want    string
	}{
		{&flowpb.Endpoint{Namespace: "shop", PodName: "virt-launcher-db-x7"}, "shop/db", 0, observerv1.Level_LEVEL_POD, "vm:shop/db"},
		{&flowpb.Endpoint{Namespace: "shop", PodName: "virt-launcher-db-k2", Labels: []string{"k8s:vm.kubevirt.io/name=db"}}, "", 0, observerv1.Level_LEVEL_WORKLOAD, "vm:shop/db"},
		{&flowpb.Endpoint{Namespace: "shop", PodName: "virt-launcher-db-k2"}, "shop/db", 7, observerv1.Level_LEVEL_NAMESPACE, "namespace:shop@7"},
		{&flowpb.Endpoint{Namespace: "shop", PodName: "web-1"}, "", 7, observerv1.Level_LEVEL_POD, "pod:shop/web-1@7"},
		{&flowpb.Endpoint{Namespace: "shop", PodName: "web-1"}, "", 0, observerv1.Level_LEVEL_WORKLOAD, "pod:shop/web-1"},
		{&flowpb.Endpoint{Namespace: "shop", PodName: "web-1", Labels: []string{"k8s:app=a", "k8s:app.kubernetes.io/name=web"}}, "", 0, observerv1.Level_LEVEL_WORKLOAD, "workload:shop/web"},
		{&flowpb.Endpoint{Identity: 1<<24 | 3, Labels: []string{"cidr:192.0.2.0/24=", "cidr:0.0.0.0/0", "reserved:world"}}, "", 0, observerv1.Level_LEVEL_POD, "cidr:192.0.2.0/24"},
		{&flowpb.Endpoint{Identity: 2, Labels: []string{"reserved:world"}}, "", 0, observerv1.Level_LEVEL_POD, "reserved:world"},
		{&flowpb.Endpoint{Namespace: "shop"}, "", 0, observerv1.Level_LEVEL_POD, "namespace:shop"},
		{&flowpb.Endpoint{}, "", 0, observerv1.Level_LEVEL_POD, "unknown"},
	} {
		if have := vertexOf(c.end, c.vm, c.network, c.level).id(); have != c.want {
			t.Errorf("%v at %v: have %s, want %s", c.end, c.level, have, c.want)
		}
	}
}

func TestAGraphOfTooManyEdgesHasThoseOfTheMostFlows(t *testing.T) {
	s := New(Limits{})
	for i := range 9 {
		for range i + 1 {
			s.Add(flowOf(i, epoch), epoch)
		}
	}
	g, _, err := s.Sum(epoch, observerv1.Level_LEVEL_POD, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := g.Response(2)
	if r.GetEdgesLeftOut() != 7 || r.GetFlows() != 45 || len(r.GetVertices()) != 3 || r.GetEdges()[0].GetSource() != "pod:shop/web-7" || r.GetEdges()[1].GetSource() != "pod:shop/web-8" {
		t.Errorf("have %v", r)
	}
}

// BenchmarkSum is a graph of 1,000 workloads of 5 pods, each of which calls ten others.
func BenchmarkSum(b *testing.B) {
	s := New(Limits{})
	for i := range 50_000 {
		f := flowOf(i%5000, epoch)
		f.Destination = &flowpb.Endpoint{Namespace: "shop", PodName: fmt.Sprint("web-", i*7919%5000), Labels: []string{fmt.Sprint("k8s:app=", i*7919%1000)}}
		f.Source.Labels = []string{fmt.Sprint("k8s:app=", i%1000)}
		s.Add(f, epoch)
	}
	b.ReportAllocs()
	for b.Loop() {
		g, _, err := s.Sum(epoch, observerv1.Level_LEVEL_WORKLOAD, nil)
		if err != nil || len(g.Response(10_000).GetEdges()) == 0 {
			b.Fatal(err)
		}
	}
}

// BenchmarkAdd takes in flows of 1,000 pairs.
func BenchmarkAdd(b *testing.B) {
	s := New(Limits{})
	var all []*flowpb.Flow
	for i := range 1000 {
		all = append(all, flowOf(i, epoch))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Add(all[i%1000], epoch)
	}
}
