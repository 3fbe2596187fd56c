package oracle

import (
	"net/netip"
	"strings"

	"weftnet.io/weftnet/test/oracle/raw"
)

// Object is an object as JSON has it: map[string]any, []any, string, float64, bool, nil.
type Object = raw.Object

// World is all that policies speak of, and the configuration that matters to them.
type World struct {
	Policies   []Object // of the four kinds
	Namespaces []Object
	Pods       []Object
	Nodes      []Object // kind Node: name, labels, status.addresses
	Services   []Object
	Slices     []Object // EndpointSlices
	Groups     []Object // CiliumCIDRGroups

	Cluster    string // name of this cluster
	Mode       string // policy-enforcement-mode: default, always, never
	Audit      bool   // policy-audit-mode
	HostPolicy bool   // allow-localhost: policy
	CIDRNodes  bool   // policy-cidr-match-mode has nodes
	CIDRPods   bool   // … has pods
	NodeLabels bool   // enable-node-selector-labels
	Extended   bool   // enable-extended-ip-protocols

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
	Labels  map[string]string // source:key -> value; nil: it is not known who it is
	Ports   []NamedPort
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
	e.Address, _ = netip.ParseAddr(raw.Text(raw.Sub(pod, "status"), "podIP"))
	return e
}

func (w *World) labels(pod Object) map[string]string {
	namespace := raw.Text(raw.Sub(pod, "metadata"), "namespace")
	out := map[string]string{
		"k8s:io.kubernetes.pod.namespace":  namespace,
		"k8s:io.cilium.k8s.policy.cluster": w.Cluster,
	}
	if account := raw.Text(raw.Sub(pod, "spec"), "serviceAccountName"); account != "" {
		out["k8s:io.cilium.k8s.policy.serviceaccount"] = account
	}
	for key, value := range raw.Labels(pod) {
		if !leftOut(key) {
			out["k8s:"+key] = value
		}
	}
	for key, value := range raw.Labels(find(w.Namespaces, "", namespace)) {
		out["k8s:io.cilium.k8s.namespace.labels."+key] = value
	}
	return out
}

func portsOf(pod Object) (out []NamedPort) {
	for _, container := range raw.Objects(raw.Sub(pod, "spec"), "containers") {
		for _, port := range raw.Objects(container, "ports") {
			protocol := raw.Text(port, "protocol")
			if protocol == "" {
				protocol = "TCP"
			}
			if name := raw.Text(port, "name"); name != "" {
				out = append(out, NamedPort{name, protocol, raw.Number(port, "containerPort")})
			}
		}
	}
	return out
}

// leftOut tells whether a label of a pod makes no difference to who it is. All others do, those too that the filter keeps out
// of identities.
func leftOut(key string) bool {
	return key == "io.kubernetes.pod.namespace" || strings.HasPrefix(key, "io.cilium.k8s.") // no label of a pod is called so
}

// NodeEnd is the end that a node is, and all that shares its network: host or remote-node to others, whatever its labels.
func (w *World) NodeEnd(name string, local bool) End {
	node := find(w.Nodes, "", name)
	e := End{Name: "node " + name, Place: OnNode, Node: name, Local: local, Labels: map[string]string{"reserved:remote-node": ""}}
	if local {
		e.Labels = map[string]string{"reserved:host": ""}
	}
	for _, a := range raw.Objects(raw.Sub(node, "status"), "addresses") {
		e.Address, _ = netip.ParseAddr(raw.Text(a, "address"))
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
		if meta := raw.Sub(o, "metadata"); raw.Text(meta, "name") == name && raw.Text(meta, "namespace") == namespace {
			return o
		}
	}
	return nil
}
