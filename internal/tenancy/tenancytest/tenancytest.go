// Package tenancytest makes flows of tenants, and puts other things in the place of all that one of them may not see.
//
//	world := tenancytest.Draw(t)                 // flows by node
//	other := tenancytest.Disguise(t, world)      // what Sees may not see is another
//
// Invariant: what a reader with right Sees is told of the one must be what it is told of the other. Disguise says by itself what is hidden:
// it is the specification of package tenancy and uses nothing of it.
package tenancytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/flow"
)

// Sees is the right of the reader.
func Sees(namespace string) bool { return namespace == "a" || namespace == "a2" }

// Nodes are where flows are seen.
var Nodes = []string{"n1", "n2"}

// Item is a flow, or the news that some were lost, as a node tells it.
type Item struct {
	Node string
	At   time.Time
	Flow *flowpb.Flow
	Lost *flowpb.LostEvent
}

// Values that ends and filters take, few so that they meet.
var (
	Namespaces = []string{"a", "a2", "b", "c"}
	Pods       = []string{"web-1", "db-1", "db-2"}
	Apps       = []string{"web", "db", "cache"}
	Addresses  = []string{"10.0.0.1", "10.0.0.2", "10.0.1.7", "192.0.2.9"}
	Names      = []string{"db.example.com", "www.example.org", "x.b.svc.cluster.local"}
	Numbers    = []uint32{0, 1, 2, 6, 104, 1000, 1001, 70000, 1<<24 | 1}
	Ports      = []uint32{80, 5432, 40000}
	epoch      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func one[T any](t *rapid.T, label string, values []T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

func maybe(t *rapid.T, label string) bool { return rapid.Bool().Draw(t, label) }

// Draw makes some flows. No two are of one time.
func Draw(t *rapid.T) (all []Item) {
	n := rapid.IntRange(0, 12).Draw(t, "flows")
	for i := range n {
		item := Item{Node: one(t, "node", Nodes), At: epoch.Add(time.Duration(i) * time.Second)}
		if rapid.IntRange(0, 7).Draw(t, "lost") == 0 {
			item.Lost = Lost(t)
		} else {
			item.Flow = Flow(t, item.Node, item.At, i)
		}
		all = append(all, item)
	}
	return all
}

// Lost makes news of a loss.
func Lost(t *rapid.T) *flowpb.LostEvent {
	return &flowpb.LostEvent{
		Source: flowpb.LostEventSource_PERF_EVENT_RING_BUFFER, NumEventsLost: rapid.Uint64Range(1, 1000).Draw(t, "number"),
		Cpu: wrapperspb.Int32(rapid.Int32Range(0, 3).Draw(t, "cpu")),
	}
}

// Flow makes a flow with all that one may have.
func Flow(t *rapid.T, node string, at time.Time, number int) *flowpb.Flow {
	f := &flowpb.Flow{
		Time: timestamppb.New(at), Uuid: fmt.Sprint(number), Emitter: &flowpb.Emitter{Name: "Weftnet"},
		Verdict: one(t, "verdict", []flowpb.Verdict{flowpb.Verdict_FORWARDED, flowpb.Verdict_DROPPED}), Type: flowpb.FlowType_L3_L4,
		Source: End(t, "source"), Destination: End(t, "destination"),
		EventType:        &flowpb.CiliumEventType{Type: one(t, "type", []int32{flow.EventDrop, flow.EventTrace, flow.EventPolicyVerdict})},
		TrafficDirection: one(t, "direction", []flowpb.TrafficDirection{0, flowpb.TrafficDirection_INGRESS, flowpb.TrafficDirection_EGRESS}),
		IsReply:          wrapperspb.Bool(maybe(t, "reply")), L4: flow.L4(6, uint16(one(t, "from", Ports)), uint16(one(t, "to", Ports)), 2),
	}
	//lint:ignore SA1019 it is what clients print
	f.Summary = flow.Summary(f.GetL4())
	if f.GetEventType().GetType() == flow.EventTrace && maybe(t, "close") {
		f.EventType.SubType = one(t, "point", []int32{flow.PointClose, flow.PointProgress})
		//lint:ignore SA1019 it is what clients print
		f.Summary = "TCP closed by FIN"
	}
	f.Extensions = extension(t, f.GetEventType().GetSubType())
	side(t, f, node, true)
	side(t, f, node, false)
	where(t, f, node)
	beside(t, f)
	if maybe(t, "l7") {
		f.L7 = request(t)
		//lint:ignore SA1019 it is what clients print
		f.Summary = one(t, "summary", Names)
	}
	f.PolicyLog, f.PolicyMatchType = []string{one(t, "log", Names)}, rapid.Uint32Range(0, 4).Draw(t, "match")
	return f
}

// End makes an end: a pod, something outside, or what is not known.
func End(t *rapid.T, label string) *flowpb.Endpoint {
	switch rapid.IntRange(0, 9).Draw(t, label) {
	case 0:
		return &flowpb.Endpoint{Identity: one(t, "open", []uint32{1, 2, 6, 1<<24 | 1}), Labels: []string{"reserved:world"}}
	case 1:
		return &flowpb.Endpoint{Identity: one(t, "unknown", []uint32{0, 5, 1000})}
	case 2: // a pod of which only the identity is known
		return &flowpb.Endpoint{Identity: 1001, Labels: []string{"k8s:app=db", "k8s:io.kubernetes.pod.namespace=" + one(t, "namespace", Namespaces)}}
	case 3: // an address that was another pod's
		e := pod(t, one(t, "namespace", Namespaces))
		e.Labels = []string{"k8s:io.kubernetes.pod.namespace=" + one(t, "former", Namespaces)}
		return e
	}
	return pod(t, one(t, "namespace", Namespaces))
}

func pod(t *rapid.T, namespace string) *flowpb.Endpoint {
	app := one(t, "app", Apps)
	return &flowpb.Endpoint{
		ID: rapid.Uint32Range(0, 1).Draw(t, "id"), Identity: one(t, "identity", []uint32{1000, 1001, 70000}), ClusterName: one(t, "cluster", []string{"default", "two"}), Namespace: namespace,
		PodName: one(t, "pod", Pods), Labels: []string{"k8s:app=" + app, "k8s:io.kubernetes.pod.namespace=" + namespace},
		Workloads: []*flowpb.Workload{{Name: app, Kind: "Deployment"}},
	}
}

// side sets what a flow has of one of its ends, beside the end.
func side(t *rapid.T, f *flowpb.Flow, _ string, source bool) {
	if f.IP == nil {
		f.IP, f.Ethernet = &flowpb.IP{IpVersion: flowpb.IPVersion_IPv4}, &flowpb.Ethernet{}
	}
	at, names := one(t, "address", Addresses), []string{one(t, "dns", Names)}
	s := &flowpb.Service{Name: one(t, "service", Apps), Namespace: one(t, "service's", Namespaces)}
	allowed, denied := policies(t), policies(t)
	if source {
		f.IP.Source, f.IP.SourceXlated, f.Ethernet.Source = at, one(t, "translated", Addresses), at
		f.SourceNames, f.SourceService, f.EgressAllowedBy, f.EgressDeniedBy = names, s, allowed, denied
		return
	}
	f.IP.Destination, f.Ethernet.Destination = at, at
	f.DestinationNames, f.DestinationService, f.IngressAllowedBy, f.IngressDeniedBy = names, s, allowed, denied
}

func policies(t *rapid.T) []*flowpb.Policy {
	return []*flowpb.Policy{
		{Name: one(t, "clusterwide", Apps), Kind: "CiliumClusterwideNetworkPolicy"},
		{Name: one(t, "policy", Apps), Namespace: one(t, "policy's", Namespaces), Kind: "CiliumNetworkPolicy"},
	}
}

// where sets what a flow says of the node that saw it.
func where(t *rapid.T, f *flowpb.Flow, node string) {
	f.NodeName, f.NodeLabels = "default/"+node, []string{"zone=" + node}
	f.Interface = &flowpb.NetworkInterface{Index: rapid.Uint32Range(1, 3).Draw(t, "interface"), Name: one(t, "device", Pods)}
}

// beside sets fields that are of neither end, and of which it is not known whose they are.
func beside(t *rapid.T, f *flowpb.Flow) {
	n := rapid.Uint32Range(1, 3)
	f.Tunnel = &flowpb.Tunnel{Vni: n.Draw(t, "vni"), IP: &flowpb.IP{Source: one(t, "outer", Addresses)}}
	f.File = &flowpb.FileInfo{Name: one(t, "file", Pods), Line: n.Draw(t, "line")}
	f.IpTraceId = &flowpb.IPTraceID{TraceId: uint64(n.Draw(t, "ip trace"))}
	f.TraceContext = &flowpb.TraceContext{Parent: &flowpb.TraceParent{TraceId: one(t, "trace", Pods)}}
	f.DebugCapturePoint = flowpb.DebugCapturePoint(n.Draw(t, "capture"))
	f.ProxyPort, f.SocketCookie, f.CgroupId = n.Draw(t, "proxy"), uint64(n.Draw(t, "cookie")), uint64(n.Draw(t, "cgroup"))
	f.Aggregate = &flowpb.Aggregate{IngressFlowCount: n.Draw(t, "aggregate")}
}

// extension is what Hubble has no field for.
func extension(t *rapid.T, point int32) *anypb.Any {
	end := func(label string) *structpb.Value {
		return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"vm": structpb.NewStringValue(one(t, label, Pods))}})
	}
	all := map[string]*structpb.Value{
		"schema": structpb.NewStringValue("weftnet.flow.v1"), "source": end("source's vm"), "destination": end("destination's vm"), "unknown": end("unknown"),
	}
	switch point {
	case flow.PointClose:
		all["close"] = end("close")
	case flow.PointProgress:
		all["progress"] = end("progress")
	}
	return pack(all)
}

func pack(all map[string]*structpb.Value) *anypb.Any {
	out := &anypb.Any{}
	if err := anypb.MarshalFrom(out, &structpb.Struct{Fields: all}, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(err) // it has texts alone
	}
	return out
}

// replace puts others in the place of fields of an extension.
func replace(t *rapid.T, f *flowpb.Flow, names ...string) {
	var mine, other structpb.Struct
	if f.GetExtensions().UnmarshalTo(&mine) != nil || extension(t, flow.PointClose).UnmarshalTo(&other) != nil {
		panic("it is no Struct")
	}
	for _, name := range names {
		mine.Fields[name] = other.GetFields()[name]
	}
	f.Extensions = pack(mine.GetFields())
}

func request(t *rapid.T) *flowpb.Layer7 {
	l := &flowpb.Layer7{Type: one(t, "l7 type", []flowpb.L7FlowType{flowpb.L7FlowType_REQUEST, flowpb.L7FlowType_RESPONSE}), LatencyNs: 5}
	named(t, l)
	return l
}

// named sets what only those know who ask.
func named(t *rapid.T, l *flowpb.Layer7) {
	l.Record = &flowpb.Layer7_Http{Http: &flowpb.HTTP{
		Code: 200, Method: "GET", Protocol: "HTTP/1.1", Url: "http://" + one(t, "url", Names) + "/", Headers: []*flowpb.HTTPHeader{{Key: "x", Value: one(t, "header", Names)}},
	}}
}

// hidden tells whether an end is another tenant's, or may be.
func hidden(e *flowpb.Endpoint) bool { return !mine(e) && !outside(e) }

// mine: each namespace that is said of it may be seen, and there is one.
func mine(e *flowpb.Endpoint) bool {
	all := []string{e.GetNamespace()}
	for _, l := range e.GetLabels() {
		if n, is := strings.CutPrefix(l, "k8s:io.kubernetes.pod.namespace="); is {
			all = append(all, n)
		}
	}
	all = slices.DeleteFunc(all, func(n string) bool { return n == "" })
	return len(all) > 0 && !slices.ContainsFunc(all, func(n string) bool { return !Sees(n) })
}

func outside(e *flowpb.Endpoint) bool {
	return e.GetPodName() == "" && e.GetNamespace() == "" && slices.Contains([]uint32{1, 2, 6, 1<<24 | 1}, e.GetIdentity()) && slices.Equal(e.GetLabels(), []string{"reserved:world"})
}

// Visible tells whether a flow is the reader's business.
func Visible(f *flowpb.Flow) bool { return mine(f.GetSource()) || mine(f.GetDestination()) }

// Disguise puts other things in the place of all that the reader may not see: flows of others come and go, and in its own ones the other
// tenant is another, as far as it is not known by its namespace.
func Disguise(t *rapid.T, all []Item) (out []Item) {
	stranger := func(at time.Time) {
		f := Flow(t, one(t, "node", Nodes), at, 999)
		f.Source, f.Destination = pod(t, "b"), pod(t, one(t, "namespace", []string{"b", "c"}))
		out = append(out, Item{Node: strings.TrimPrefix(f.GetNodeName(), "default/"), At: at, Flow: f})
	}
	for _, i := range all {
		if maybe(t, "another's") {
			stranger(i.At.Add(time.Millisecond))
		}
		switch {
		case i.Lost != nil:
			i.Lost = Lost(t)
			out = append(out, i)
		case !Visible(i.Flow):
			if maybe(t, "replaced") {
				stranger(i.At)
			}
		default:
			i.Flow = proto.CloneOf(i.Flow)
			disguise(t, &i)
			out = append(out, i)
		}
	}
	return out
}

func disguise(t *rapid.T, i *Item) {
	f := i.Flow
	src, dst := hidden(f.GetSource()), hidden(f.GetDestination())
	if src || dst {
		between(t, i, src, dst)
	}
	for _, s := range []**flowpb.Service{&f.SourceService, &f.DestinationService} {
		if !Sees((*s).GetNamespace()) {
			*s = one(t, "other service", []*flowpb.Service{nil, {Name: "other", Namespace: "b"}, {Name: "other", Namespace: "c"}})
		}
	}
	for _, list := range [][]*flowpb.Policy{f.GetEgressAllowedBy(), f.GetEgressDeniedBy(), f.GetIngressAllowedBy(), f.GetIngressDeniedBy()} {
		for _, p := range list {
			if p.GetNamespace() != "" && !Sees(p.GetNamespace()) {
				p.Name = one(t, "other policy", Apps)
			}
		}
	}
	if !mine(f.GetSource()) {
		f.EgressAllowedBy, f.EgressDeniedBy = policies(t), policies(t)
	}
	if !mine(f.GetDestination()) {
		f.IngressAllowedBy, f.IngressDeniedBy = policies(t), policies(t)
	}
	decided := mine(f.GetSource()) && mine(f.GetDestination())
	switch f.GetTrafficDirection() {
	case flowpb.TrafficDirection_EGRESS:
		decided = mine(f.GetSource())
	case flowpb.TrafficDirection_INGRESS:
		decided = mine(f.GetDestination())
	}
	if !decided {
		f.PolicyLog, f.PolicyMatchType = []string{one(t, "log", Names)}, rapid.Uint32Range(0, 4).Draw(t, "match")
	}
}

// between: one end is another tenant's.
func between(t *rapid.T, i *Item, src, dst bool) {
	f := i.Flow
	if local := mine(f.GetSource()) && f.GetSource().GetID() != 0 || mine(f.GetDestination()) && f.GetDestination().GetID() != 0; !local {
		i.Node = one(t, "node", Nodes)
	}
	where(t, f, i.Node)
	beside(t, f)
	replace(t, f, "unknown")
	client := src
	if f.GetL7().GetType() == flowpb.L7FlowType_RESPONSE {
		client = dst
	}
	if f.GetL7() != nil && client {
		named(t, f.L7)
	}
	if f.GetL7() != nil {
		//lint:ignore SA1019 it is what clients print
		f.Summary = one(t, "summary", Names)
	}
	whole := proto.CloneOf(f)
	side(t, f, "", true)
	side(t, f, "", false)
	if !src {
		f.IP.Source, f.SourceNames, f.SourceService, f.EgressAllowedBy, f.EgressDeniedBy = whole.GetIP().GetSource(), whole.GetSourceNames(), whole.GetSourceService(), whole.GetEgressAllowedBy(), whole.GetEgressDeniedBy()
	}
	if !dst {
		f.IP.Destination, f.DestinationNames, f.DestinationService, f.IngressAllowedBy, f.IngressDeniedBy = whole.GetIP().GetDestination(), whole.GetDestinationNames(), whole.GetDestinationService(), whole.GetIngressAllowedBy(), whole.GetIngressDeniedBy()
	}
	if src {
		replace(t, f, "source")
		f.Source = stranger(t, f.GetSource())
	}
	if dst {
		replace(t, f, "destination")
		f.Destination = stranger(t, f.GetDestination())
	}
}

// stranger is another end that is as little known: it has the same name of a namespace.
func stranger(t *rapid.T, e *flowpb.Endpoint) *flowpb.Endpoint {
	named := e.GetNamespace()
	if named == "" {
		return &flowpb.Endpoint{Identity: one(t, "unknown", []uint32{0, 5, 1000, 1001}), Labels: one(t, "labels", [][]string{nil, {"k8s:io.kubernetes.pod.namespace=b"}, {"k8s:io.kubernetes.pod.namespace=c", "k8s:app=db"}})}
	}
	out := pod(t, named)
	if Sees(named) { // it is foreign by what else is said of it
		out.Labels = []string{"k8s:io.kubernetes.pod.namespace=" + one(t, "former", []string{"b", "c"})}
	}
	return out
}
