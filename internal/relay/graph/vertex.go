package graph

import (
	"cmp"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/identity"
)

// vertex is what an end of flows is, at a level.
type vertex struct {
	kind                            observerv1.VertexKind
	namespace, workload, name, host string // host: the virtual machine
	network                         uint32
}

// id is the same for the same vertex, always: interfaces keep it.
func (v vertex) id() (text string) {
	switch v.kind {
	case observerv1.VertexKind_VERTEX_KIND_NAMESPACE:
		text = "namespace:" + v.namespace
	case observerv1.VertexKind_VERTEX_KIND_WORKLOAD:
		text = "workload:" + v.namespace + "/"
		if v.workload != "" {
			text += v.workload + "/"
		}
		text += v.name
	case observerv1.VertexKind_VERTEX_KIND_POD:
		text = "pod:" + v.namespace + "/" + v.name
	case observerv1.VertexKind_VERTEX_KIND_VM:
		text = "vm:" + v.namespace + "/" + v.name
	case observerv1.VertexKind_VERTEX_KIND_CIDR:
		text = "cidr:" + v.name
	case observerv1.VertexKind_VERTEX_KIND_RESERVED:
		text = "reserved:" + v.name
	default:
		text = "unknown"
	}
	if v.network != 0 {
		text += "@" + strconv.FormatUint(uint64(v.network), 10)
	}
	return text
}

func (v vertex) message(id string) *observerv1.Vertex {
	return &observerv1.Vertex{Id: id, Kind: v.kind, Namespace: v.namespace, Name: v.name, WorkloadKind: v.workload, Vm: v.host, Network: v.network}
}

// vertexOf is an end of a flow at a level; vm is the name of its virtual machine, if it has one.
func vertexOf(e *flowpb.Endpoint, vm string, network uint32, level observerv1.Level) vertex {
	v := vertex{network: network, namespace: e.GetNamespace()}
	if v.namespace == "" {
		return outside(e, network)
	}
	if level == observerv1.Level_LEVEL_NAMESPACE {
		v.kind = observerv1.VertexKind_VERTEX_KIND_NAMESPACE
		return v
	}
	if vm = cmp.Or(vm, label(e, labelVM)); vm != "" {
		_, name, found := strings.Cut(vm, "/") // NAMESPACE/NAME
		if !found {
			name = vm
		}
		v.kind, v.name, v.host = observerv1.VertexKind_VERTEX_KIND_VM, name, name
		return v
	}
	if level != observerv1.Level_LEVEL_POD {
		for _, w := range e.GetWorkloads() {
			v.kind, v.workload, v.name = observerv1.VertexKind_VERTEX_KIND_WORKLOAD, w.GetKind(), w.GetName()
			return v
		}
		if app := label(e, labelsApp...); app != "" {
			v.kind, v.name = observerv1.VertexKind_VERTEX_KIND_WORKLOAD, app
			return v
		}
	}
	if v.name = e.GetPodName(); v.name != "" {
		v.kind = observerv1.VertexKind_VERTEX_KIND_POD
		return v
	}
	v.kind = observerv1.VertexKind_VERTEX_KIND_NAMESPACE // no more may be seen of it, or is known
	return v
}

// outside is an end that is in no namespace.
func outside(e *flowpb.Endpoint, network uint32) vertex {
	v, narrowest := vertex{network: network}, -1
	for _, l := range e.GetLabels() {
		if prefix, is := strings.CutPrefix(l, "cidr:"); is {
			prefix, _, _ = strings.Cut(prefix, "=")
			_, text, _ := strings.Cut(prefix, "/")
			if bits, _ := strconv.Atoi(text); bits > narrowest { // of several the narrowest has most to say
				v.kind, v.name, narrowest = observerv1.VertexKind_VERTEX_KIND_CIDR, prefix, bits
			}
		}
	}
	if v.name != "" {
		return v
	}
	if name := identity.Number(e.GetIdentity()).Name(); name != "" {
		v.kind, v.name = observerv1.VertexKind_VERTEX_KIND_RESERVED, name
		return v
	}
	for _, l := range e.GetLabels() {
		if name, is := strings.CutPrefix(l, identity.SourceReserved+":"); is {
			v.kind, v.name = observerv1.VertexKind_VERTEX_KIND_RESERVED, name
			return v
		}
	}
	return v
}

const labelVM = "vm.kubevirt.io/name"

// labelsApp are labels that name what pods of one kind are, as Hubble's own interface looks for them.
var labelsApp = []string{"app.kubernetes.io/name", "k8s-app", "app"}

// label finds the value of the first of some labels that an end has.
func label(e *flowpb.Endpoint, keys ...string) string {
	for _, key := range keys {
		for _, l := range e.GetLabels() {
			if at := strings.IndexByte(l, ':'); at >= 0 && strings.HasPrefix(l[at+1:], key) && strings.HasPrefix(l[at+1+len(key):], "=") {
				return l[at+2+len(key):]
			}
		}
	}
	return ""
}
