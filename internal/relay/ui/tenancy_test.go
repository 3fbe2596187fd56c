package ui_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/ui"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

// scripted is an agent that has what a test says, and answers as agents do.
type scripted struct {
	observerpb.UnimplementedObserverServer
	node  string
	items []tenancytest.Item
}

func (a *scripted) GetFlows(r *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	q, err := query.New(r)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	items := slices.DeleteFunc(slices.Clone(a.items), func(i tenancytest.Item) bool {
		return !q.Since.IsZero() && i.At.Before(q.Since) || !q.Until.IsZero() && i.At.After(q.Until) || i.Flow != nil && !q.Want(i.Flow)
	})
	if n := int(q.Number); q.Last() && len(items) > n {
		items = items[len(items)-n:]
	}
	for _, i := range items {
		one := &observerpb.GetFlowsResponse{Time: timestamppb.New(i.At), NodeName: "default/" + a.node}
		if i.Lost != nil {
			one.ResponseTypes = &observerpb.GetFlowsResponse_LostEvents{LostEvents: i.Lost}
		} else {
			one.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: q.Mask.Apply(i.Flow)}
		}
		if err := stream.Send(one); err != nil {
			return err
		}
	}
	if q.Follow {
		<-stream.Context().Done()
	}
	return nil
}

func (a *scripted) ServerStatus(context.Context, *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	n := uint64(len(a.items))
	return &observerpb.ServerStatusResponse{NumFlows: n, SeenFlows: n, MaxFlows: 4095, UptimeNs: uint64(24 * time.Hour)}, nil
}

// wishes are filters of kinds and of single flows.
var wishes = []*flowpb.FlowFilter{
	{SourcePod: []string{"a/"}},
	{DestinationPod: []string{"b/db"}},
	{DestinationLabel: []string{"app=db"}},
	{SourceIdentity: []uint32{1001}},
	{DestinationWorkload: []*flowpb.Workload{{Name: "db"}}},
	{NodeName: []string{"n2"}},
	{NodeLabels: []string{"zone=n1"}},
	{DestinationService: []string{"b/"}},
	{Verdict: []flowpb.Verdict{flowpb.Verdict_DROPPED}},
	{Interface: []*flowpb.NetworkInterface{{Name: "db-1"}}},
	{DestinationIp: []string{"10.0.0.0/16"}},
	{SourcePort: []string{"80"}},
	{DestinationFqdn: []string{"*.example.com"}},
	{SourceIpXlated: []string{"10.0.0.1"}},
	{Uuid: []string{"3"}},
}

// words is all that a tenant hears of some flows.
func words(t *testing.T, items []tenancytest.Item, f *observerv1.Filter, order observerv1.Order, size uint32) (all []string) {
	var list fixed
	for _, node := range tenancytest.Nodes {
		a := &scripted{node: node, items: slices.DeleteFunc(slices.Clone(items), func(i tenancytest.Item) bool { return i.Node != node })}
		conn, stop := serve(t, nil, func(r grpc.ServiceRegistrar) { observerpb.RegisterObserverServer(r, a) })
		defer stop()
		defer conn.Close()
		list = append(list, peers.Peer{Name: node, Available: true, Conn: conn})
	}
	r := relay.NewServer(list, relay.Options{Gate: gate{}, Answer: time.Minute, Window: time.Minute})
	u := ui.New(ui.Options{Peers: list, Flows: r, Reader: reader, Answer: time.Minute, Now: func() time.Time { return boot.Add(time.Minute) }})
	defer u.Close()
	conn, stop := serve(t, r.Interceptors(), u.Register)
	defer stop()
	defer conn.Close()
	client, ctx, print := observerv1.NewObserverClient(conn), as(t.Context(), "a+a2"), prototext.MarshalOptions{}.Format
	for _, level := range []observerv1.Level{observerv1.Level_LEVEL_NAMESPACE, observerv1.Level_LEVEL_WORKLOAD, observerv1.Level_LEVEL_POD} {
		g, err := client.Aggregate(ctx, &observerv1.AggregateRequest{Level: level, Filter: f, Window: durationpb.New(10 * time.Minute)})
		all = append(all, print(g), fmt.Sprint(err))
	}
	request := &observerv1.ListFlowsRequest{Filter: f, Order: order, PageSize: size}
	for range 20 {
		page, err := client.ListFlows(ctx, request)
		all = append(all, print(page), fmt.Sprint(err))
		if request.Cursor = page.GetNextCursor(); request.Cursor == "" {
			break
		}
	}
	return all
}

// fixed are peers that never change.
type fixed []peers.Peer

func (f fixed) List() (all []peers.Peer, changed <-chan struct{}) { return f, nil }

func TestATenantHearsNothingOfOthersByGraphsAndPages(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := &observerv1.Filter{}
		for _, list := range []*[]*flowpb.FlowFilter{&f.Whitelist, &f.Blacklist} {
			if rapid.Bool().Draw(r, "filtered") {
				*list = append(*list, rapid.SampledFrom(wishes).Draw(r, "filter"))
			}
		}
		order := rapid.SampledFrom([]observerv1.Order{observerv1.Order_ORDER_NEWEST_FIRST, observerv1.Order_ORDER_OLDEST_FIRST}).Draw(r, "order")
		size := rapid.Uint32Range(1, 4).Draw(r, "page")
		real := tenancytest.Draw(r)
		other := tenancytest.Disguise(r, real)
		have, want := strings.Join(words(t, real, f, order, size), "\n"), strings.Join(words(t, other, f, order, size), "\n")
		if have != want {
			r.Fatalf("filter %v: of\n%v\nis heard\n%s\nof\n%v\nis heard\n%s", f, real, have, other, want)
		}
	})
}
