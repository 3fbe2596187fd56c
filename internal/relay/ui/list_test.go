package ui_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
)

func TestPagesHaveEachFlowOnceInTheOrderOfTime(t *testing.T) {
	c := clusterOf(t, 4096, "a", "b")
	for i := range 40 {
		c.event([]string{"a", "b"}[i%3%2], 5000-i/7*100, uint16(i+1), nil) // seven of each time
	}
	c.seen("a")
	c.seen("b")
	ctx := as(t.Context(), "all")
	for _, order := range []observerv1.Order{observerv1.Order_ORDER_UNSPECIFIED, observerv1.Order_ORDER_OLDEST_FIRST} {
		for _, f := range []*observerv1.Filter{nil, {Blacklist: []*flowpb.FlowFilter{{SourcePort: []string{"3", "20"}}}}} {
			for size := range uint32(12) {
				var all []*flowpb.Flow
				r := &observerv1.ListFlowsRequest{Order: order, PageSize: size, Filter: f, FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"l4"}}}
				for pages := 0; ; pages++ {
					page, err := c.client.ListFlows(ctx, r)
					if err != nil {
						t.Fatal(err)
					}
					if len(page.GetMissing()) > 0 {
						t.Fatalf("missing %v", page.GetMissing())
					}
					all = append(all, page.GetFlows()...)
					if r.Cursor = page.GetNextCursor(); r.Cursor == "" {
						break
					}
					if size > 0 && len(page.GetFlows()) != int(size) || pages > 200 {
						t.Fatalf("page %d has %d flows of %d", pages, len(page.GetFlows()), size)
					}
					if pages > 2 {
						continue
					}
					c.event("a", 0, 999, func(e *closeEvent) { e.Event.Src = abiFrom(stranger) }) // what comes meanwhile
				}
				all = slices.DeleteFunc(all, func(f *flowpb.Flow) bool { return port(f) == "999" })
				want := 40
				if f != nil {
					want = 38
				}
				sorted := slices.IsSortedFunc(all, func(a, b *flowpb.Flow) int {
					if order == observerv1.Order_ORDER_OLDEST_FIRST {
						return a.GetTime().AsTime().Compare(b.GetTime().AsTime())
					}
					return b.GetTime().AsTime().Compare(a.GetTime().AsTime())
				})
				distinct := slices.Compact(slices.Sorted(slices.Values(ports(all))))
				if len(all) != want || len(distinct) != want || !sorted {
					t.Fatalf("%s, pages of %d: %d flows, %d distinct, in order: %v", order, size, len(all), len(distinct), sorted)
				}
				if all[0].GetSource() != nil || all[0].GetUuid() == "" {
					t.Fatalf("the mask is ignored: %v", all[0])
				}
			}
		}
	}
}

func TestAPageTellsWhatWasOverwrittenSinceTheOneBefore(t *testing.T) {
	c := newCluster(t, "a", "b")
	for i := range 20 {
		c.event("a", 60_000-i, uint16(i+1), nil)
	}
	c.seen("a")
	r := &observerv1.ListFlowsRequest{Order: observerv1.Order_ORDER_OLDEST_FIRST, PageSize: 5}
	page, err := c.client.ListFlows(as(t.Context(), "all"), r)
	if err != nil || !slices.Equal(ports(page.GetFlows()), []string{"1", "2", "3", "4", "5"}) || len(page.GetMissing()) > 0 {
		t.Fatal(page, err)
	}
	for i := range kept {
		c.event("a", 1000-i, uint16(i+101), nil)
	}
	c.seen("a")
	r.Cursor = page.GetNextCursor()
	for token, want := range map[string]string{"all": "a: its agent keeps the last 64 flows, which begin at", "shop": "another node: some flows of this time are not here"} {
		page, err := c.client.ListFlows(as(t.Context(), token), r)
		if err != nil || page.GetFlows()[0].GetUuid() == "" || port(page.GetFlows()[0]) != "101" || !strings.HasPrefix(told(page.GetMissing()), want) {
			t.Errorf("%s: have %v, %v", token, page, err)
		}
	}
}

func told(list []*observerv1.Missing) string {
	var all []string
	for _, m := range list {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s: %s", m.GetNode(), m.GetReason())))
	}
	return strings.Join(all, "; ")
}
