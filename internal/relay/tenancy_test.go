package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/relaytest"
	"weftnet.io/weftnet/internal/tenancy"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

// rights is a gate: what the client of a token may see; all, if that is so of no namespace.
type rights map[string]func(namespace string) bool

func (r rights) Admit(_ context.Context, token string) (tenancy.Reader, error) {
	may, known := r[token]
	if !known {
		return nil, status.Error(codes.Unauthenticated, "no such token")
	}
	return tenant{token, may}, nil
}

type tenant struct {
	name string
	may  func(namespace string) bool
}

func (t tenant) Name() string                                          { return t.name }
func (t tenant) All(context.Context) (bool, error)                     { return t.may(""), nil }
func (t tenant) May(_ context.Context, namespace string) (bool, error) { return t.may(namespace), nil }

// hall is a relay with agents that have what tests say.
type hall struct {
	agents []*relaytest.Agent
	client observerpb.ObserverClient
	log    *bytes.Buffer
}

func newHall(t *testing.T, gate tenancy.Gate) *hall {
	t.Helper()
	h := &hall{log: &bytes.Buffer{}}
	var all peers.Fixed
	for _, node := range tenancytest.Nodes {
		a := relaytest.New(node)
		a.Seen = 3
		h.agents = append(h.agents, a)
		conn, _ := relaytest.Serve(t, nil, a.Register)
		all = append(all, peers.Peer{Name: node, Address: "192.0.2.1:4244", ServerName: node, Available: true, Conn: conn})
	}
	s := NewServer(all, Options{Version: "v1", Answer: time.Minute, Window: time.Minute, Gate: gate, Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	conn, _ := relaytest.Serve(t, s.Interceptors(), s.Register)
	h.client = observerpb.NewObserverClient(conn)
	return h
}

func (h *hall) have(all []tenancytest.Item) {
	for _, a := range h.agents {
		a.Have(all)
	}
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// words is what a client hears of all that it may ask, as text.
func (h *hall) words(ctx context.Context, r *observerpb.GetFlowsRequest) (all []string) {
	print := prototext.MarshalOptions{}.Format // of one process: the same for the same
	stream, err := h.client.GetFlows(ctx, r)
	for err == nil {
		var one *observerpb.GetFlowsResponse
		if one, err = stream.Recv(); err == nil {
			if one.GetNodeStatus() != nil {
				one.Time = nil // that of the relay
			}
			all = append(all, print(one))
		}
	}
	if !errors.Is(err, io.EOF) {
		all = append(all, err.Error())
	}
	s, err := h.client.ServerStatus(ctx, &observerpb.ServerStatusRequest{})
	all = append(all, print(s), fmt.Sprint(err))
	n, err := h.client.GetNodes(ctx, &observerpb.GetNodesRequest{})
	all = append(all, print(n), fmt.Sprint(err))
	m, err := h.client.GetNamespaces(ctx, &observerpb.GetNamespacesRequest{})
	return append(all, print(m), fmt.Sprint(err))
}

func sample[T any](t *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

// filterOf is a filter of one field or two, of those that may be about what is hidden.
func filterOf(t *rapid.T) *flowpb.FlowFilter {
	f := &flowpb.FlowFilter{}
	for range rapid.IntRange(1, 2).Draw(t, "fields") {
		pod := sample(t, "pod", "a/", "b/", "b/db-1", "a/web", "/db", "web-1", "a2/db-2")
		name, address := sample(t, "name", tenancytest.Names...), sample(t, "address", append([]string{"10.0.0.0/16", "0.0.0.0/0"}, tenancytest.Addresses...)...)
		label := sample(t, "label", "app=web", "app!=db", "!app", "app", "reserved:world", "k8s:io.kubernetes.pod.namespace=b")
		number, port := sample(t, "number", tenancytest.Numbers...), sample(t, "port", "80", "5432")
		workload, node := sample(t, "workload", tenancytest.Apps...), sample(t, "node", "n1", "default/n2", "*")
		for _, set := range [][]func(){
			{func() { f.SourcePod = []string{pod} }, func() { f.DestinationPod = []string{pod} }, func() { f.SourceService = []string{pod} }, func() { f.DestinationService = []string{pod} }},
			{func() { f.SourceIp = []string{address} }, func() { f.DestinationIp = []string{address} }, func() { f.SourceIpXlated = []string{address} }},
			{func() { f.SourceLabel = []string{label} }, func() { f.DestinationLabel = []string{label} }, func() { f.NodeLabels = []string{"zone=n1"} }},
			{func() { f.SourceIdentity = []uint32{number} }, func() { f.DestinationIdentity = []uint32{number} }},
			{func() { f.SourceFqdn = []string{name} }, func() { f.DestinationFqdn = []string{"*" + name} }},
			{func() { f.SourceWorkload = []*flowpb.Workload{{Name: workload}} }, func() { f.DestinationWorkload = []*flowpb.Workload{{Kind: "Deployment"}} }},
			{func() { f.SourcePort = []string{port} }, func() { f.DestinationPort = []string{port} }, func() { f.Verdict = []flowpb.Verdict{flowpb.Verdict_DROPPED} }},
			{func() { f.NodeName = []string{node} }, func() { f.Interface = []*flowpb.NetworkInterface{{Name: "db-1"}} }, func() { f.Reply = []bool{true} }},
			{func() { f.TraceId = []string{"db-1"} }, func() { f.IpTraceId = []uint64{1} }, func() { f.HttpUrl = []string{"http://db.*"} }, func() { f.SourceClusterName = []string{"two"} }},
			{func() { f.Uuid = []string{"3"} }, func() { f.Protocol = []string{sample(t, "protocol", "tcp", "http")} }, func() { f.Experimental = expression(t) }},
		}[rapid.IntRange(0, 9).Draw(t, "kind")] {
			if rapid.Bool().Draw(t, "set") {
				set()
			}
		}
	}
	return f
}

// expression is one of CEL, which may ask for any field.
func expression(t *rapid.T) *flowpb.FlowFilter_Experimental {
	return &flowpb.FlowFilter_Experimental{CelExpression: []string{sample(t, "expression",
		`_flow.destination.pod_name == "db-1"`, `_flow.IP.source.startsWith("10.0.1")`, `size(_flow.source.labels) > 1`, `!(_flow.destination.identity == 1000u)`,
		`_flow.ingress_denied_by.exists(p, p.name == "db")`, `has(_flow.l7)`, `_flow.nonsense == 1`, `_flow.destination.labels[0] == "k8s:app=db"`,
	)}}
}

func requestOf(t *rapid.T) *observerpb.GetFlowsRequest {
	r := &observerpb.GetFlowsRequest{}
	for range rapid.IntRange(0, 2).Draw(t, "whitelist") {
		r.Whitelist = append(r.Whitelist, filterOf(t))
	}
	for range rapid.IntRange(0, 1).Draw(t, "blacklist") {
		r.Blacklist = append(r.Blacklist, filterOf(t))
	}
	r.Number = rapid.Uint64Range(0, 4).Draw(t, "number")
	r.First = rapid.Bool().Draw(t, "first")
	second := rapid.Int64Range(0, 12)
	if rapid.Bool().Draw(t, "since") {
		r.Since = at(int(second.Draw(t, "since") * 1000))
	}
	if rapid.Bool().Draw(t, "until") {
		r.Until = at(int(second.Draw(t, "until") * 1000))
		r.Follow = rapid.Bool().Draw(t, "follow")
	}
	if rapid.Bool().Draw(t, "mask") {
		r.FieldMask = &fieldmaskpb.FieldMask{Paths: rapid.SliceOfN(rapid.SampledFrom([]string{
			"uuid", "source", "source.labels", "destination.pod_name", "destination.identity", "IP", "l7", "node_name", "policy_log", "destination_names", "extensions", "interface", "nonsense",
		}), 1, 3).Draw(t, "paths")}
	}
	return r
}

func TestATenantLearnsNothingOfAnother(t *testing.T) {
	h := newHall(t, rights{"a": tenancytest.Sees})
	rapid.Check(t, func(r *rapid.T) {
		world, request := tenancytest.Draw(r), requestOf(r)
		other := tenancytest.Disguise(r, world)
		h.have(world)
		want := h.words(as(t.Context(), "a"), request)
		h.have(other)
		if have := h.words(as(t.Context(), "a"), request); !slices.Equal(have, want) {
			r.Fatalf("to %v\na hears\n%s\nand where what is hidden is another\n%s", request, strings.Join(want, "\n"), strings.Join(have, "\n"))
		}
	})
}

// A slow filter: of all flows, as they are shown, those that are wanted.
func TestATenantGetsAllThatItMaySeeAndWants(t *testing.T) {
	h := newHall(t, rights{"a": tenancytest.Sees})
	rapid.Check(t, func(r *rapid.T) {
		world, request := tenancytest.Draw(r), requestOf(r)
		request.FieldMask = nil
		q, err := query.New(request)
		if err != nil {
			return
		}
		var want []string
		for _, i := range world {
			shown := tenancy.Show(i.Flow, tenancytest.Sees)
			early, late := !q.Since.IsZero() && i.At.Before(q.Since), !q.Until.IsZero() && i.At.After(q.Until)
			if i.Flow != nil && shown != nil && q.Want(shown) && !early && !late {
				want = append(want, shown.GetUuid())
			}
		}
		switch n := int(q.Number); {
		case n == 0 || n >= len(want):
		case q.First:
			want = want[:n]
		default:
			want = want[len(want)-n:]
		}
		if q.Follow && q.Number == 0 && q.Since.IsZero() {
			want = nil // nothing of the past was asked for
		}
		h.have(world)
		stream, err := h.client.GetFlows(as(t.Context(), "a"), request)
		if err != nil {
			r.Fatal(err)
		}
		var have []string
		for {
			one, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				r.Fatal(err)
			}
			if one.GetFlow() != nil {
				have = append(have, one.GetFlow().GetUuid())
			}
		}
		if !slices.Equal(have, want) {
			r.Fatalf("to %v have %q, want %q", request, have, want)
		}
	})
}

func TestAClientThatMaySeeEverythingDoes(t *testing.T) {
	h := newHall(t, rights{"all": func(string) bool { return true }})
	open := newHall(t, Open{})
	rapid.Check(t, func(r *rapid.T) {
		world, request := tenancytest.Draw(r), requestOf(r)
		h.have(world)
		open.have(world)
		have, want := h.words(as(t.Context(), "all"), request), open.words(t.Context(), request)
		if !slices.Equal(have, want) {
			r.Fatalf("to %v have\n%s\nwant\n%s", request, strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestClientsWithoutATokenGetNothing(t *testing.T) {
	h := newHall(t, rights{"a": tenancytest.Sees})
	calls := map[string]func(ctx context.Context) error{
		"GetFlows": func(ctx context.Context) error {
			stream, err := h.client.GetFlows(ctx, &observerpb.GetFlowsRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"GetAgentEvents": func(ctx context.Context) error {
			stream, err := h.client.GetAgentEvents(ctx, &observerpb.GetAgentEventsRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"GetDebugEvents": func(ctx context.Context) error {
			stream, err := h.client.GetDebugEvents(ctx, &observerpb.GetDebugEventsRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"ServerStatus": func(ctx context.Context) error {
			_, err := h.client.ServerStatus(ctx, &observerpb.ServerStatusRequest{})
			return err
		},
		"GetNodes": func(ctx context.Context) error {
			_, err := h.client.GetNodes(ctx, &observerpb.GetNodesRequest{})
			return err
		},
		"GetNamespaces": func(ctx context.Context) error {
			_, err := h.client.GetNamespaces(ctx, &observerpb.GetNamespacesRequest{})
			return err
		},
	}
	all := observerpb.Observer_ServiceDesc
	if len(all.Methods)+len(all.Streams) != len(calls) {
		t.Errorf("%d methods are tried, of %d and %d", len(calls), len(all.Methods), len(all.Streams))
	}
	with := func(said ...string) context.Context {
		ctx := t.Context()
		for _, s := range said {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", s)
		}
		return ctx
	}
	for name, call := range calls {
		for _, c := range []struct {
			said []string
			want string
		}{
			{nil, "kubectl create token"},
			{[]string{"Bearer "}, "kubectl create token"},
			{[]string{"a"}, "kubectl create token"},
			{[]string{"Bearer a", "Bearer b"}, "kubectl create token"},
			{[]string{"Basic a"}, "not base64"},
			{[]string{"Bearer secret-of-another-cluster"}, "no such token"},
		} {
			if err := call(with(c.said...)); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s with %q: have %v", name, c.said, err)
			}
		}
		for _, said := range []string{"Bearer a", "bearer a", "Basic dG9rZW46YQ=="} { // token:a
			if err := call(with(said)); status.Code(err) == codes.Unauthenticated {
				t.Errorf("%s with %q: have %v", name, said, err)
			}
		}
	}
	if strings.Contains(h.log.String(), "secret") {
		t.Errorf("the log has a token: %s", h.log)
	}
}

// ending is the gate of a reader whose rights end: to all, or of one namespace it cannot be found out.
type ending struct {
	all   bool
	asked *atomic.Int32
}

func (e ending) Admit(context.Context, string) (tenancy.Reader, error) { return e, nil }
func (e ending) Name() string                                          { return "a" }
func (e ending) All(context.Context) (bool, error)                     { return e.all && e.asked.Add(1) <= 2, nil }
func (e ending) May(_ context.Context, namespace string) (bool, error) {
	if namespace == "gone" {
		return false, status.Error(codes.Unavailable, "there is no telling")
	}
	return true, nil
}

func TestARequestEndsWithTheRightToItsFlows(t *testing.T) {
	world := []tenancytest.Item{
		{Node: "n1", At: epoch, Flow: &flowpb.Flow{Uuid: "1", Source: &flowpb.Endpoint{Namespace: "a"}, Destination: &flowpb.Endpoint{Namespace: "a"}}},
		{Node: "n1", At: epoch.Add(time.Second), Flow: &flowpb.Flow{Uuid: "2", Source: &flowpb.Endpoint{Namespace: "a"}, Destination: &flowpb.Endpoint{Namespace: "gone"}}},
	}
	for name, c := range map[string]struct {
		all  bool
		want codes.Code
	}{"of all": {true, codes.PermissionDenied}, "of a namespace": {false, codes.Unavailable}} {
		h := newHall(t, ending{c.all, new(atomic.Int32)})
		h.have(world)
		stream, err := h.client.GetFlows(as(t.Context(), "a"), &observerpb.GetFlowsRequest{Follow: true, Since: timestamppb.New(epoch)})
		for err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != c.want {
			t.Errorf("%s: have %v", name, err)
		}
	}
}
