package tenancy

import (
	"slices"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

func TestWhatIsShownDoesNotDependOnWhatIsHidden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := tenancytest.Flow(t, "n1", time.Unix(0, 0), 1)
		before := proto.CloneOf(f)
		shown := Show(f, tenancytest.Sees)
		if !proto.Equal(f, before) {
			t.Fatal("Show has changed the flow")
		}
		if visible := tenancytest.Visible(f); visible != (shown != nil) {
			t.Fatalf("visible %v, have %v", visible, shown)
		}
		if shown == nil {
			return
		}
		for _, i := range tenancytest.Disguise(t, []tenancytest.Item{{Node: "n1", Flow: f}}) {
			if i.Flow.GetUuid() != "1" {
				continue // of others
			}
			if have := Show(i.Flow, tenancytest.Sees); !proto.Equal(have, shown) {
				t.Fatalf("of\n%v\nis shown\n%v\nof\n%v\nis shown\n%v", f, shown, i.Flow, have)
			}
		}
	})
}

func TestAReaderOfBothEndsSeesAllOfAFlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := tenancytest.Flow(t, "n1", time.Unix(0, 0), 1)
		named := func(e *flowpb.Endpoint) bool { return len(namespaces(e)) > 0 }
		if have := Show(f, func(string) bool { return true }); named(f.GetSource()) && named(f.GetDestination()) && have != f {
			t.Fatalf("of %v is shown %v", f, have)
		}
	})
}

// A denied call of tenant a to one of tenant b, as b's node saw it.
func TestOfAnotherTenantOnlyTheNamespaceIsShown(t *testing.T) {
	f := &flowpb.Flow{
		Uuid: "u", Verdict: flowpb.Verdict_DROPPED, DropReasonDesc: flowpb.DropReason_POLICY_DENIED, NodeName: "default/n2", PolicyMatchType: 2,
		EventType: &flowpb.CiliumEventType{Type: flow.EventPolicyVerdict}, TrafficDirection: flowpb.TrafficDirection_INGRESS, L4: flow.L4(6, 40000, 5432, 2),
		IP:                 &flowpb.IP{Source: "10.0.0.1", Destination: "10.0.1.7", IpVersion: flowpb.IPVersion_IPv4},
		Source:             &flowpb.Endpoint{Identity: 1000, Namespace: "a", PodName: "web-1", Labels: []string{"k8s:app=web"}},
		Destination:        &flowpb.Endpoint{ID: 3, Identity: 1001, Namespace: "b", PodName: "db-1", Labels: []string{"k8s:app=db"}},
		DestinationService: &flowpb.Service{Name: "db", Namespace: "b"}, IngressDeniedBy: []*flowpb.Policy{{Name: "isolate", Namespace: "b"}}, PolicyLog: []string{"b isolates"},
	}
	want := &flowpb.Flow{
		Uuid: "u", Verdict: f.GetVerdict(), DropReasonDesc: f.GetDropReasonDesc(), EventType: f.GetEventType(), TrafficDirection: f.GetTrafficDirection(), L4: f.GetL4(),
		IP: &flowpb.IP{Source: "10.0.0.1", IpVersion: flowpb.IPVersion_IPv4}, Source: f.GetSource(), Destination: &flowpb.Endpoint{Namespace: "b"},
	}
	if have := Show(f, func(n string) bool { return n == "a" }); !proto.Equal(have, want) {
		t.Errorf("have %v\nwant %v", have, want)
	}
	if have := Show(f, func(n string) bool { return n == "c" }); have != nil {
		t.Errorf("a third sees %v", have)
	}
}

// A field that is added to flows is entered here, and it is decided whether another tenant may see it.
func TestEachFieldOfAFlowIsShownToOtherTenantsOrHidden(t *testing.T) {
	shown := []protoreflect.Name{
		"time", "uuid", "emitter", "verdict", "drop_reason", "drop_reason_desc", "auth_type", "l4", "Type", "reply", "is_reply", "event_type", "traffic_direction",
		"trace_observation_point", "trace_reason", "sock_xlate_point",
	}
	partly := []protoreflect.Name{
		"IP", "source", "destination", "source_names", "destination_names", "source_service", "destination_service", "node_name", "node_labels", "l7", "Summary", "extensions",
		"egress_allowed_by", "egress_denied_by", "ingress_allowed_by", "ingress_denied_by", "policy_log", "policy_match_type",
	}
	hidden := []protoreflect.Name{
		"ethernet", "tunnel", "file", "ip_trace_id", "debug_capture_point", "interface", "proxy_port", "trace_context", "socket_cookie", "cgroup_id", "aggregate",
	}
	fields := (&flowpb.Flow{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := fields.Get(i).Name()
		if !slices.Contains(slices.Concat(shown, partly, hidden), name) {
			t.Errorf("field %s is new: is it shown?", name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := tenancytest.Flow(t, "n1", time.Unix(0, 0), 1)
		f.Source.Namespace, f.Source.Labels, f.Destination.Namespace = "a", nil, "b"
		have := Show(f, tenancytest.Sees).ProtoReflect()
		for i := range fields.Len() {
			field := fields.Get(i)
			if slices.Contains(hidden, field.Name()) && have.Has(field) || slices.Contains(shown, field.Name()) && have.Has(field) != f.ProtoReflect().Has(field) {
				t.Fatalf("field %s of %v", field.Name(), have)
			}
		}
	})
}
