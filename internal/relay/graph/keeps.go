package graph

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// kept are the fields of filters that are the same for all flows of a class. Not so addresses, ports, names and requests, which are
// single connections' or have too many values, nor CEL, which may ask for anything. A field that Hubble adds is none until it is here.
var kept = map[protoreflect.Name]bool{
	"ip_version": true, "source_pod": true, "destination_pod": true, "source_service": true, "destination_service": true, "source_label": true, "destination_label": true,
	"node_labels": true, "source_workload": true, "destination_workload": true, "source_cluster_name": true, "destination_cluster_name": true,
	"source_identity": true, "destination_identity": true, "traffic_direction": true, "verdict": true, "drop_reason_desc": true, "encrypted": true, "reply": true,
	"event_type": true, "protocol": true, "node_name": true, "interface": true,
}

// Keeps tells whether filters may be asked of classes, which know nothing of single connections.
func Keeps(filters ...*flowpb.FlowFilter) bool {
	all := true
	for _, f := range filters {
		f.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			all = kept[field.Name()]
			return all
		})
		for _, i := range f.GetInterface() {
			all = all && i.GetIndex() == 0
		}
		if !all {
			return false
		}
	}
	return true
}
