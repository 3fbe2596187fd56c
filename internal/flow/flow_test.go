package flow

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"github.com/gopacket/gopacket/layers"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var when = timestamppb.New(time.Date(2026, 3, 1, 12, 0, 0, 7e6, time.UTC))

func example(change func(*flowpb.Flow)) *observerpb.GetFlowsResponse {
	f := &flowpb.Flow{
		Time: when, NodeName: "default/n1", Type: flowpb.FlowType_L3_L4, IsReply: wrapperspb.Bool(false),
		IP:               &flowpb.IP{Source: "10.0.0.5", Destination: "10.0.0.9", IpVersion: flowpb.IPVersion_IPv4},
		L4:               L4(6, 4000, 5432, 2),
		Source:           &flowpb.Endpoint{Identity: 4711, Namespace: "shop", PodName: "web-1"},
		Destination:      &flowpb.Endpoint{Identity: 815, Namespace: "shop", PodName: "db-0"},
		Verdict:          flowpb.Verdict_FORWARDED,
		EventType:        &flowpb.CiliumEventType{Type: EventTrace},
		TrafficDirection: flowpb.TrafficDirection_INGRESS,
	}
	change(f)
	return &observerpb.GetFlowsResponse{NodeName: f.NodeName, Time: f.Time, ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}}
}

func verdictBy(verdict flowpb.Verdict, match uint32) func(*flowpb.Flow) {
	return func(f *flowpb.Flow) {
		f.Verdict, f.PolicyMatchType, f.EventType.Type = verdict, match, EventPolicyVerdict
		f.IngressAllowedBy = []*flowpb.Policy{{Kind: "CiliumNetworkPolicy", Name: "db"}, {Name: "nameless kind"}}
		f.IngressDeniedBy = []*flowpb.Policy{{Kind: "NetworkPolicy", Name: "lock"}, {Kind: "CiliumNetworkPolicy", Name: "db"}}
	}
}

func printed(t *testing.T, o PrinterOptions, list ...*observerpb.GetFlowsResponse) string {
	t.Helper()
	var b bytes.Buffer
	p := NewPrinter(&b, o)
	for _, r := range list {
		if err := p.Print(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompactLinesAreThoseOfHubble(t *testing.T) {
	compact := PrinterOptions{Output: Compact, IPTranslation: true}
	named := compact
	named.PolicyNames, named.NodeName = true, true
	for _, c := range []struct {
		o      PrinterOptions
		change func(*flowpb.Flow)
		want   string
	}{
		{compact, func(*flowpb.Flow) {}, "Mar  1 12:00:00.007: shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) to-endpoint FORWARDED (TCP Flags: SYN)"},
		{compact, func(f *flowpb.Flow) { f.IsReply.Value, f.L4 = true, L4(6, 5432, 4000, 0x12) }, "Mar  1 12:00:00.007: shop/db-0:4000 (ID:815) <- shop/web-1:5432 (ID:4711) to-endpoint FORWARDED (TCP Flags: SYN, ACK)"},
		{PrinterOptions{Output: Compact}, func(f *flowpb.Flow) {
			f.IsReply, f.EventType.Type, f.EventType.SubType, f.Verdict = nil, EventDrop, 133, flowpb.Verdict_DROPPED
		}, "Mar  1 12:00:00.007: 10.0.0.5:4000 (ID:4711) <> 10.0.0.9:5432 (ID:815) Policy denied DROPPED (TCP Flags: SYN)"},
		{compact, verdictBy(flowpb.Verdict_FORWARDED, 2), "Mar  1 12:00:00.007: shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) policy-verdict:L3-L4 INGRESS ALLOWED (TCP Flags: SYN)"},
		{named, verdictBy(flowpb.Verdict_FORWARDED, 1), "Mar  1 12:00:00.007 [default/n1]: shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) policy-verdict:L3-Only INGRESS ALLOWED BY db (CiliumNetworkPolicy) (TCP Flags: SYN)"},
		{named, verdictBy(flowpb.Verdict_DROPPED, 0), "Mar  1 12:00:00.007 [default/n1]: shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) policy-verdict:none INGRESS DENIED BY lock (NetworkPolicy), db (CiliumNetworkPolicy) (TCP Flags: SYN)"},
		{compact, verdictBy(flowpb.Verdict_AUDIT, 0), "Mar  1 12:00:00.007: shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) policy-verdict:none INGRESS AUDITED (TCP Flags: SYN)"},
		{compact, func(f *flowpb.Flow) {
			f.L4, f.Source, f.Destination.Identity = L4(58, 128, 0, 0), nil, 1
			f.EventType.SubType = 4
		}, "Mar  1 12:00:00.007: 10.0.0.5 (unknown) -> shop/db-0 (host) to-overlay FORWARDED (ICMPv6 EchoRequest)"},
		{compact, func(f *flowpb.Flow) {
			f.Destination, f.DestinationService = &flowpb.Endpoint{}, &flowpb.Service{Name: "db", Namespace: "shop"}
			f.L4 = L4(17, 4000, 53, 0)
		}, "Mar  1 12:00:00.007: shop/web-1:4000 (ID:4711) -> shop/db:53 (unknown) to-endpoint FORWARDED (UDP)"},
		{compact, func(f *flowpb.Flow) {
			f.IP.Source, f.Source.PodName, f.SourceNames, f.Source.Identity = "fd00::1", "", []string{"a.example", "b.example"}, 2
		}, "Mar  1 12:00:00.007: a.example,b.example:4000 (world) -> shop/db-0:5432 (ID:815) to-endpoint FORWARDED (TCP Flags: SYN)"},
		{PrinterOptions{Output: Compact}, func(f *flowpb.Flow) { f.IP.Source = "fd00::1" }, "Mar  1 12:00:00.007: [fd00::1]:4000 (ID:4711) -> 10.0.0.9:5432 (ID:815) to-endpoint FORWARDED (TCP Flags: SYN)"},
		{compact, func(f *flowpb.Flow) { f.Time = nil }, "N/A: shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) to-endpoint FORWARDED (TCP Flags: SYN)"},
	} {
		if have := printed(t, c.o, example(c.change)); have != c.want+"\n" {
			t.Errorf("have %swant %s", have, c.want)
		}
	}
}

func TestOtherOutputs(t *testing.T) {
	r := example(func(*flowpb.Flow) {})
	if have, want := printed(t, PrinterOptions{Output: Tab, IPTranslation: true}, r), ""+
		"TIMESTAMP             SOURCE            DESTINATION      TYPE          VERDICT     SUMMARY\n"+
		"Mar  1 12:00:00.007   shop/web-1:4000   shop/db-0:5432   to-endpoint   FORWARDED   TCP Flags: SYN\n"; have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
	if have, want := printed(t, PrinterOptions{Output: Dict, NodeName: true}, r, r), ""+
		"  TIMESTAMP: Mar  1 12:00:00.007\n       NODE: default/n1\n     SOURCE: 10.0.0.5:4000\nDESTINATION: 10.0.0.9:5432\n"+
		"       TYPE: to-endpoint\n    VERDICT: FORWARDED\n    SUMMARY: TCP Flags: SYN\n------------\n"; !strings.HasPrefix(have, want) {
		t.Errorf("have\n%swant\n%s", have, want)
	}
	text := printed(t, PrinterOptions{Output: JSON}, r)
	var back observerpb.GetFlowsResponse
	if err := json.Unmarshal([]byte(text), &back); err != nil || !proto.Equal(&back, r) {
		t.Errorf("%v: %s", err, text)
	}
	if !strings.Contains(text, `"flow":{`) || !strings.Contains(text, `"pod_name":"web-1"`) || strings.Count(text, "\n") != 1 {
		t.Errorf("have %s", text)
	}
}

func TestLossesAndNodesAreTold(t *testing.T) {
	lost := &observerpb.GetFlowsResponse{Time: when, ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{
		LostEvents: &flowpb.LostEvent{Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: 7},
	}}
	if have, want := printed(t, PrinterOptions{Output: Compact}, lost), "Mar  1 12:00:00.007 EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 7\n"; have != want {
		t.Errorf("have %s", have)
	}
	var errs bytes.Buffer
	node := &observerpb.GetFlowsResponse{Time: when, NodeName: "relay", ResponseTypes: &observerpb.GetFlowsResponse_NodeStatus{
		NodeStatus: &relaypb.NodeStatusEvent{StateChange: relaypb.NodeState_NODE_UNAVAILABLE, NodeNames: []string{"n1", "n2"}},
	}}
	if have := printed(t, PrinterOptions{Output: Compact, Errors: &errs}, node); have != "" {
		t.Errorf("have %s", have)
	}
	if have, want := errs.String(), "Mar  1 12:00:00.007 [relay]: 2 nodes are unavailable: n1, n2\n"; have != want {
		t.Errorf("have %s", have)
	}
}

func TestNoControlCharacterReachesATerminal(t *testing.T) {
	have := printed(t, PrinterOptions{Output: Compact, IPTranslation: true}, example(func(f *flowpb.Flow) {
		f.Source.PodName = "x\x1b[2J\r\ny\u009b"
	}))
	if !strings.Contains(have, `shop/x^[[2J\r\ny\u009b:4000`) {
		t.Errorf("have %q", have)
	}
}

func TestColourComesOnlyWhenAsked(t *testing.T) {
	r := example(verdictBy(flowpb.Verdict_DROPPED, 0))
	if have := printed(t, PrinterOptions{Output: Compact, Color: true}, r); !strings.Contains(have, "\x1b[31mDENIED\x1b[0m") {
		t.Errorf("have %q", have)
	}
	if have := printed(t, PrinterOptions{Output: Tab, Color: true}, r); strings.Contains(have, "\x1b") {
		t.Errorf("have %q", have)
	}
}

func TestICMPNamesAreThoseOfTheLibraryThatHubbleUses(t *testing.T) {
	for kind := range 256 {
		for code := range 20 {
			if have, want := Summary(L4(1, uint16(kind), uint16(code), 0)), "ICMPv4 "+layers.CreateICMPv4TypeCode(uint8(kind), uint8(code)).String(); have != want {
				t.Errorf("have %s, want %s", have, want)
			}
			if have, want := Summary(L4(58, uint16(kind), uint16(code), 0)), "ICMPv6 "+layers.CreateICMPv6TypeCode(uint8(kind), uint8(code)).String(); have != want {
				t.Errorf("have %s, want %s", have, want)
			}
		}
	}
}

func TestEachDropReasonOfTheProtocolHasAText(t *testing.T) {
	for number, name := range flowpb.DropReason_name {
		if text := DropText(uint32(number)); text == "" || text[0] >= '0' && text[0] <= '9' {
			t.Errorf("%s prints %q", name, text)
		}
	}
	if have := DropText(159); have != "159" {
		t.Errorf("have %s", have)
	}
}

func TestPointsHaveTheNumbersOfTheProtocol(t *testing.T) {
	for number, name := range flowpb.TraceObservationPoint_name {
		if number == 0 {
			continue
		}
		want := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		if have := PointText(SubType(flowpb.TraceObservationPoint(number))); have != want {
			t.Errorf("%s prints %s", name, have)
		}
		if sub, ok := PointSubType(want); !ok || sub != SubType(flowpb.TraceObservationPoint(number)) {
			t.Errorf("%s is %d", want, sub)
		}
	}
	if !slices.Contains(EventTypes(), "policy-verdict") {
		t.Error("no policy-verdict")
	}
}

func TestAMaskKeepsWhatItNames(t *testing.T) {
	f := example(func(*flowpb.Flow) {}).GetFlow()
	m, err := NewMask([]string{"source.pod_name", "l4", "l4.TCP.flags", "verdict", "destination_service.name"})
	if err != nil {
		t.Fatal(err)
	}
	want := &flowpb.Flow{Source: &flowpb.Endpoint{PodName: "web-1"}, L4: f.L4, Verdict: f.Verdict}
	if have := m.Apply(f); !proto.Equal(have, want) {
		t.Errorf("have %v", have)
	}
	if have := (Mask{}).Apply(f); have != f {
		t.Error("the zero mask took something away")
	}
	if _, err := NewMask([]string{"sauce"}); err == nil || !strings.Contains(err.Error(), "sauce") {
		t.Errorf("have %v", err)
	}
}
