package resume

import (
	"slices"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/relay/frame"
)

func at(ms int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func TestOnlyWhatSaysSinceWhenSaysThatFlowsMayBeMissing(t *testing.T) {
	for _, message := range []string{"", "it ended the request", before, before + "noon" + after, after} {
		if since, told := MissingSince(&relaypb.NodeStatusEvent{Message: message}); told {
			t.Errorf("%q: %v", message, since)
		}
	}
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(1e9, 1), time.Now()} {
		since, told := MissingSince(&relaypb.NodeStatusEvent{Message: "it failed" + Missing(at)})
		if !told || !since.Equal(at.Add(-Disorder)) {
			t.Errorf("%v: %v, %v", at, since, told)
		}
	}
}

func TestWhatAnAgentGivesOnceMoreIsKnown(t *testing.T) {
	given := func(ms int, uuid string) *frame.Frame {
		return frame.New(&observerpb.GetFlowsResponse{Time: timestamppb.New(at(ms)), ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: &flowpb.Flow{Uuid: uuid}}})
	}
	var p Place
	all := []*frame.Frame{given(0, "a"), given(100, "b"), given(60, "c"), given(90, "d"), given(101, "e"), given(101, "f")}
	for _, f := range all {
		if !p.Note(f) {
			t.Errorf("%s is not new", f.UUID())
		}
	}
	since := p.Again(true)
	if want := at(101).Add(-Disorder); !since.Equal(want) {
		t.Errorf("it is asked since %v, want %v", since, want)
	}
	var fresh []string
	for _, f := range slices.Concat(all, []*frame.Frame{given(55, "g"), given(101, "h"), given(102, "i"), given(300, "j"), given(301, "a")}) {
		if !f.Time().Before(since) && p.Note(f) {
			fresh = append(fresh, f.UUID())
		}
	}
	if want := []string{"g", "h", "i", "j", "a"}; !slices.Equal(fresh, want) {
		t.Errorf("new are %q, want %q", fresh, want)
	}
	if p.known != nil {
		t.Error("what cannot come any more is remembered")
	}
	if at := p.Again(false); !at.Equal(p.Latest) {
		t.Errorf("without UUIDs it is asked since %v", at)
	}
}
