package ui_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/relaytest"
	"weftnet.io/weftnet/internal/relay/ui"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

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
	var list peers.Fixed
	for _, node := range tenancytest.Nodes {
		a := relaytest.New(node)
		a.Have(items)
		conn, stop := relaytest.Serve(t, nil, a.Register)
		defer stop()
		defer conn.Close()
		list = append(list, peers.Peer{Name: node, Available: true, Conn: conn})
	}
	r := relay.NewServer(list, relay.Options{Gate: gate{}, Answer: time.Minute, Window: time.Minute})
	u := ui.New(ui.Options{Peers: list, Flows: r, Reader: reader, Answer: time.Minute, Now: func() time.Time { return boot.Add(time.Minute) }})
	defer u.Close()
	conn, stop := relaytest.Serve(t, r.Interceptors(), u.Register)
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
