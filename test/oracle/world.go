package oracle

import (
	"maps"
	"net/netip"
	"strings"
)

// Object is an object as JSON has it: map[string]any, []any, string, float64, bool, nil.
type Object = map[string]any

// World is all that policies speak of, and the configuration that matters to them.
type World struct {
	Policies   []Object // of the three kinds
	Namespaces []Object
	Pods       []Object
	Nodes      []Object // kind Node: name, labels, status.addresses
	Services   []Object
	Slices     []Object // EndpointSlices
	Groups     []Object // CiliumCIDRGroups

	Cluster    string // name of this cluster
	Mode       string // policy-enforcement-mode: default, always, never
	HostPolicy bool   // allow-localhost: policy
	CIDRNodes  bool   // policy-cidr-match-mode has nodes
	CIDRPods   bool   // … has pods
	NodeLabels bool   // enable-node-selector-labels

	refused map[int]bool // policies that are not valid, by index; nil: not looked at yet
}

// Place is what kind of thing an end of a packet is.
type Place int

// Places: addresses in policies are about the first alone, unless something says otherwise.
const (
	Outside Place = iota
	OnNode
	InPod
)

// End is one end of a packet.
type End struct {
	Name    string
	Place   Place
	Labels  map[string]string // source:key -> value; nil: nobody knows who it is
	Ports   []NamedPort
	Alike   []NamedPort // of all pods with the same labels: C5, names resolve per peer identity in egress
	Address netip.Addr
	Node    string // name, if it is one
	Local   bool   // the node of the subject
}

// NamedPort is a container port with a name.
type NamedPort struct {
	Name, Protocol string
	Number         int
}

// Pod is the end that a pod is. Its labels are its own (C9: those that make an identity), its namespace's, its service
// account and its cluster.
func (w *World) Pod(namespace, name string) End {
	pod := find(w.Pods, namespace, name)
	e := End{Name: namespace + "/" + name, Place: InPod, Labels: w.labels(pod), Ports: portsOf(pod)}
	for _, other := range w.Pods {
		if maps.Equal(w.labels(other), e.Labels) {
			e.Alike = append(e.Alike, portsOf(other)...)
		}
	}
	e.Address, _ = netip.ParseAddr(text(sub(pod, "status"), "podIP"))
	return e
}

func (w *World) labels(pod Object) map[string]string {
	namespace := text(sub(pod, "metadata"), "namespace")
	out := map[string]string{
		"k8s:io.kubernetes.pod.namespace":  namespace,
		"k8s:io.cilium.k8s.policy.cluster": w.Cluster,
	}
	if account := text(sub(pod, "spec"), "serviceAccountName"); account != "" {
		out["k8s:io.cilium.k8s.policy.serviceaccount"] = account
	}
	for key, value := range labelsOf(pod) {
		if !leftOut(key) {
			out["k8s:"+key] = value
		}
	}
	for key, value := range labelsOf(find(w.Namespaces, "", namespace)) {
		out["k8s:io.cilium.k8s.namespace.labels."+key] = value
	}
	return out
}

func portsOf(pod Object) (out []NamedPort) {
	for _, container := range objects(sub(pod, "spec"), "containers") {
		for _, port := range objects(container, "ports") {
			protocol := text(port, "protocol")
			if protocol == "" {
				protocol = "TCP"
			}
			if name := text(port, "name"); name != "" {
				out = append(out, NamedPort{name, protocol, number(port, "containerPort")})
			}
		}
	}
	return out
}

// leftOut tells whether a label of a pod makes no difference to who it is (C9), of the labels that tests give pods.
func leftOut(key string) bool {
	switch key {
	case "pod-template-hash", "statefulset.kubernetes.io/pod-name", "controller-revision-hash":
		return true
	}
	return key == "io.kubernetes.pod.namespace" || strings.HasPrefix(key, "io.cilium.k8s.") // nobody names himself so
}

// NodeEnd is the end that a node is, and all that shares its network: host or remote-node to others, whatever its labels.
func (w *World) NodeEnd(name string, local bool) End {
	node := find(w.Nodes, "", name)
	e := End{Name: "node " + name, Place: OnNode, Node: name, Local: local, Labels: map[string]string{"reserved:remote-node": ""}}
	if local {
		e.Labels = map[string]string{"reserved:host": ""}
	}
	for _, a := range objects(sub(node, "status"), "addresses") {
		e.Address, _ = netip.ParseAddr(text(a, "address"))
	}
	return e
}

// Reserved is what has a reserved identity and is no node: world, health, ingress, …
func Reserved(name, address string) End {
	e := End{Name: name, Place: InPod, Labels: map[string]string{"reserved:" + name: ""}}
	e.Address, _ = netip.ParseAddr(address)
	switch {
	case strings.HasPrefix(name, "world"):
		e.Place = Outside
	case name == "kube-apiserver":
		e.Place = OnNode
	}
	return e
}

// find is the object with a name, or an empty one.
func find(all []Object, namespace, name string) Object {
	for _, o := range all {
		if meta := sub(o, "metadata"); text(meta, "name") == name && text(meta, "namespace") == namespace {
			return o
		}
	}
	return nil
}

func labelsOf(o Object) map[string]string {
	out := map[string]string{}
	for key, value := range sub(sub(o, "metadata"), "labels") {
		out[key], _ = value.(string)
	}
	return out
}

// sub, text, number, objects, texts read a member; what is absent or null is as good as empty.

func sub(o Object, key string) Object {
	inner, _ := o[key].(Object)
	return inner
}

func text(o Object, key string) string {
	value, _ := o[key].(string)
	return value
}

func number(o Object, key string) int {
	value, _ := o[key].(float64)
	return int(value)
}

func objects(o Object, key string) (out []Object) {
	items, _ := o[key].([]any)
	for _, item := range items {
		inner, _ := item.(Object)
		out = append(out, inner)
	}
	return out
}

func texts(o Object, key string) (out []string) {
	items, _ := o[key].([]any)
	for _, item := range items {
		inner, _ := item.(string)
		out = append(out, inner)
	}
	return out
}

// there tells whether a member is neither absent nor null.
func there(o Object, key string) bool { return o[key] != nil }
