package observe

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// filled is said of a field that some flow has.
const filled = "filled"

// fields says of each field of Hubble's messages whether flows have it, and why not.
var fields = map[protoreflect.FullName]map[protoreflect.Name]string{
	"flow.Flow": {
		"time": filled, "uuid": filled, "emitter": filled, "verdict": filled, "drop_reason": filled, "IP": filled, "l4": filled, "source": filled,
		"destination": filled, "Type": filled, "node_name": filled, "node_labels": filled, "reply": filled, "event_type": filled, "source_service": filled,
		"destination_service": filled, "traffic_direction": filled, "policy_match_type": filled, "trace_observation_point": filled, "trace_reason": filled,
		"drop_reason_desc": filled, "is_reply": filled, "interface": filled, "Summary": filled, "extensions": filled, "egress_allowed_by": filled,
		"ingress_allowed_by": filled, "egress_denied_by": filled, "ingress_denied_by": filled, "policy_log": filled,
		"auth_type": "no policy asks for authentication", "ethernet": "an event has no frame", "tunnel": "an event is of the packet inside",
		"source_names": "there is no proxy of DNS", "destination_names": "there is no proxy of DNS", "l7": "there is no proxy", "proxy_port": "there is no proxy",
		"trace_context": "there is no proxy", "file": "a drop has its reason", "ip_trace_id": "packets have no such option", "debug_capture_point": "nothing is captured",
		"sock_xlate_point": "sockets give no event", "socket_cookie": "sockets give no event", "cgroup_id": "sockets give no event", "aggregate": "an agent's flows are single ones",
	},
	"flow.Endpoint": {"ID": filled, "identity": filled, "cluster_name": filled, "namespace": filled, "labels": filled, "pod_name": filled, "workloads": filled},
	"flow.IP":       {"source": filled, "destination": filled, "source_xlated": filled, "ipVersion": filled, "encrypted": "nothing is encrypted"},
	"flow.Workload": {"name": filled, "kind": filled}, "flow.Service": {"name": filled, "namespace": filled},
	"flow.NetworkInterface": {"index": filled, "name": filled}, "flow.Emitter": {"name": filled, "version": filled},
}

// note collects which fields messages have.
func note(m protoreflect.Message, have map[protoreflect.FullName]map[protoreflect.Name]bool) {
	name := m.Descriptor().FullName()
	if have[name] == nil {
		have[name] = map[protoreflect.Name]bool{}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		have[name][f.Name()] = true
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				note(v.List().Get(i).Message(), have)
			}
		default:
			note(v.Message(), have)
		}
		return true
	})
}

func TestFlowsHaveWhatHubblesMessageHasRoomForAndTablesKnow(t *testing.T) {
	o := observer(t, func(o *Options) { o.Capacity = 64 })
	web := table.Pod{Namespace: "shop", Name: "web-1"}
	web.Made.Kind, web.Made.Name = "Deployment", "web"
	err := o.db.Write(func(tx *state.Tx) error {
		o.tables.Pods.Put(tx, web)
		o.tables.Programs.Put(tx, table.Programs{Constants: map[string]any{"services_here": abi.LbConfig{Node4: abi.From(netip.MustParseAddr("192.0.2.1"))}}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, change := range []func(*abi.Event){
		func(e *abi.Event) { e.Rules = 9 },
		func(e *abi.Event) { e.Direction, e.Rules = abi.DirectionIngress, 9 },
		func(e *abi.Event) { e.Verdict, e.Rules = abi.VerdictDeny, 9 },
		func(e *abi.Event) { e.Direction, e.Verdict, e.Rules = abi.DirectionIngress, abi.VerdictDeny, 9 },
		func(e *abi.Event) { e.Type, e.Reason = abi.EventDrop, abi.DropStale },
		func(e *abi.Event) { e.Type, e.Flags = abi.EventTrace, abi.EventNew|abi.EventSnat },
		func(e *abi.Event) {
			e.Type, e.Flags, e.Service, e.ServicePort = abi.EventTrace, abi.EventReply|abi.EventService|abi.EventToStack, addr("10.96.0.1"), 80
		},
		func(e *abi.Event) { e.Flags, e.Service, e.ServicePort = abi.EventService, addr("10.96.0.1"), 80 },
	} {
		o.take(syn(change))
		n++
	}
	o.take(end(func(*abi.CloseEvent) {}))
	have := map[protoreflect.FullName]map[protoreflect.Name]bool{}
	for i := range uint64(n + 1) {
		note(o.journal.Find(i).Message().ProtoReflect(), have)
	}
	for _, m := range []proto.Message{&flowpb.Flow{}, &flowpb.Endpoint{}, &flowpb.IP{}, &flowpb.Workload{}, &flowpb.Service{}, &flowpb.NetworkInterface{}, &flowpb.Emitter{}} {
		d := m.ProtoReflect().Descriptor()
		said := maps.Clone(fields[d.FullName()])
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i).Name()
			switch why := said[f]; {
			case why == "":
				t.Errorf("%s of %s is new: say whether flows have it", f, d.FullName())
			case have[d.FullName()][f] != (why == filled):
				t.Errorf("flows have %s of %s: %v, and the table says: %s", f, d.FullName(), have[d.FullName()][f], why)
			}
			delete(said, f)
		}
		if len(said) > 0 {
			t.Errorf("%s has no fields %v", d.FullName(), slices.Sorted(maps.Keys(said)))
		}
	}
}

func TestTheEndOfAConnectionNamesTheNICOfThePodThatOpenedIt(t *testing.T) {
	o := observer(t, func(*Options) {})
	err := o.db.Write(func(tx *state.Tx) error {
		o.tables.Attachments.Put(tx, table.Attachment{
			ContainerID: "c1", Interface: "eth0", HostName: "weft7", Namespace: "shop", Pod: "web-1", Incarnation: 12, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")},
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o.take(end(func(*abi.CloseEvent) {}))
	o.take(end(func(c *abi.CloseEvent) { c.Event.Src, c.Event.Dst = c.Event.Dst, c.Event.Src }))
	o.take(end(func(c *abi.CloseEvent) { c.Event.Src = addr("192.0.2.7") }))
	for i, want := range []string{"eth0", "eth0", ""} {
		if have := o.journal.Find(uint64(i)).Message().GetInterface(); have.GetName() != want || (have.GetIndex() == 7) != (want != "") {
			t.Errorf("have %v, want %q", have, want)
		}
	}
}
