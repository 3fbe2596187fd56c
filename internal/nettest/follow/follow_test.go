package follow

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// follower has called ports 1 to 10, each for 4 ms: 1 from 10 ms on, 2 from 20 ms on, and so on.
func follower() *Follower {
	f := &Follower{nodes: []string{"a", "b"}, news: make(chan struct{}), to: netip.MustParseAddrPort("10.0.0.9:80")}
	f.begin()
	for port := uint16(1); port <= 10; port++ {
		f.made[port] = span{at(int(port) * 10), at(int(port)*10 + 4)}
	}
	return f
}

func (f *Follower) ends(node string, ports ...int) *Follower {
	for _, port := range ports {
		f.take(&observerpb.GetFlowsResponse{NodeName: "default/" + node, ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: &flowpb.Flow{
			IP: &flowpb.IP{Destination: "10.0.0.9"}, L4: flow.L4(6, uint16(port), 80, 0), EventType: &flowpb.CiliumEventType{SubType: flow.PointClose},
			Extensions: flow.Extra{Close: &flow.Close{Ending: "fin"}}.Extension(),
		}}})
	}
	return f
}

func (f *Follower) away(node, message string, ms int) *Follower {
	f.take(&observerpb.GetFlowsResponse{Time: timestamppb.New(at(ms)), ResponseTypes: &observerpb.GetFlowsResponse_NodeStatus{NodeStatus: &relaypb.NodeStatusEvent{
		StateChange: relaypb.NodeState_NODE_ERROR, NodeNames: []string{node}, Message: message,
	}}})
	return f
}

func (f *Follower) lose(node string, n uint64, times ...int) *Follower {
	l := &flowpb.LostEvent{NumEventsLost: n}
	if len(times) > 0 {
		l.First, l.Last = timestamppb.New(at(times[0])), timestamppb.New(at(times[1]))
	}
	f.take(&observerpb.GetFlowsResponse{NodeName: "default/" + node, ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{LostEvents: l}})
	return f
}

func TestWhatIsMissingMustBeTold(t *testing.T) {
	all := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	told := func(ms int) string {
		return "reset; its flows since " + at(ms).Format(time.RFC3339Nano) + " may be missing"
	}
	for _, c := range []struct {
		name string
		f    *Follower
		want string // of the account; else of the error
	}{
		{"all", follower().ends("a", all...).ends("b", all...), "10 connections followed, 0 ends missing of 0 times that were told, 0 among 0 flows told as lost"},
		{"a time of which flows may be missing", follower().ends("a", 1, 2, 5, 6, 7, 8, 9, 10).ends("b", all...).away("a", told(25), 42), "10 connections followed, 2 ends missing of 1 times that were told, 0 among 0 flows told as lost"},
		{"one of before", follower().ends("a", 1, 4, 5, 6, 7, 8, 9, 10).ends("b", all...).away("a", told(25), 42), "node a did not tell of the end of the connection from port 2, "},
		{"one of after", follower().ends("a", 1, 2, 4, 6, 7, 8, 9, 10).ends("b", all...).away("a", told(25), 42), "node a did not tell of the end of the connection from port 5, "},
		{"a time of another node", follower().ends("a", 1, 2, 5, 6, 7, 8, 9, 10).ends("b", all...).away("b", told(25), 42), "node a did not tell of the end of the connection from port 3, "},
		{"a node that is away, and not since when", follower().ends("a", all[1:]...).ends("b", all...).away("a", "reset", 42), "node a did not tell of the end of the connection from port 1, "},
		{"lost ones", follower().ends("a", all...).ends("b", 1, 2, 3, 4, 7, 8, 9, 10).lose("b", 2), "10 connections followed, 0 ends missing of 0 times that were told, 2 among 2 flows told as lost"},
		{"fewer lost ones", follower().ends("a", all...).ends("b", 1, 2, 3, 4, 7, 8, 9, 10).lose("b", 1), "node b did not tell of the end of the connection from port 6, "},
		{"lost ones of the time", follower().ends("a", all...).ends("b", 1, 2, 3, 4, 7, 8, 9, 10).lose("b", 5, 45, 62), "10 connections followed, 0 ends missing of 0 times that were told, 2 among 5 flows told as lost"},
		{"lost ones of another time", follower().ends("a", all...).ends("b", 1, 2, 3, 4, 7, 8, 9, 10).lose("b", 5, 45, 55), "node b did not tell of the end of the connection from port 6, "},
		{"one twice", follower().ends("a", all...).ends("b", all...).ends("b", 3), "node b told 2 times of the end of the connection from port 3"},
	} {
		a, err := c.f.account()
		have := fmt.Sprint(a)
		if err != nil {
			have = err.Error()
		}
		if !strings.HasPrefix(have, c.want) {
			t.Errorf("%s: have %q, want %q", c.name, have, c.want)
		}
	}
}
