package table

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
)

// Setting is one key of ConfigMap kube-system/cilium-config (or of a flag of the same name, which wins).
type Setting struct {
	Name  string
	Value string
}

// Node is a member of the cluster, from its CiliumNode object.
type Node struct {
	Name      string
	Local     bool
	Addresses []netip.Addr   // InternalIPs, IPv4 first
	PodCIDRs  []netip.Prefix // carved by the operator or taken from node.spec.podCIDRs
	Labels    map[string]string
}

// Underlay is the address that tunnels to this node end at: its first IPv4 address, else its first IPv6 one.
func (n Node) Underlay() netip.Addr {
	if len(n.Addresses) == 0 {
		return netip.Addr{}
	}
	return n.Addresses[0]
}

// Namespace is a Kubernetes namespace.
type Namespace struct {
	Name   string
	Labels map[string]string
	Audit  bool // nothing is denied to its pods: what would be passes, and flows say so
}

// Pod is a pod of this node.
type Pod struct {
	Namespace      string
	Name           string
	UID            string
	Labels         map[string]string
	ServiceAccount string
	Node           string // empty while nobody has chosen one
	HostNetwork    bool
	NamedPorts     []NamedPort
	HostPorts      []HostPort
	Finished       bool // phase Succeeded or Failed
	Addressed      bool // it has an address, and nobody is about to delete it
}

// NamedPort is a container port with a name.
type NamedPort struct {
	Name     string
	Protocol uint8 // IP protocol number
	Port     uint16
}

// HostPort is a port of a pod's node that leads to a port of the pod.
type HostPort struct {
	HostIP   netip.Addr // address of the node; unspecified: all of its family; zero: all
	Protocol uint8      // IP protocol number
	HostPort uint16
	Port     uint16 // of the pod
}

// Identity is a CiliumIdentity object: a number that the cluster agreed on for a label set.
type Identity struct {
	Number identity.Number
	Labels identity.Labels
}

// Endpoint is a CiliumEndpoint object, of any node: the addresses of a workload and its identity.
type Endpoint struct {
	Namespace  string
	Name       string
	UID        string // of the object
	Identity   identity.Number
	Addresses  []netip.Addr
	Node       netip.Addr // InternalIP of the node it lives on
	NodeName   string     // of the node that wrote it, or a digest of a name that is too long for a label; empty: not known
	NamedPorts []NamedPort
}

// Service is a Kubernetes Service, what a datapath needs of it.
type Service struct {
	Namespace       string
	Name            string
	Headless        bool
	ClusterIPs      []netip.Addr
	ExternalIPs     []netip.Addr // externalIPs and load-balancer ingress addresses
	Ports           []ServicePort
	AffinitySeconds uint32 // 0: no session affinity
	InternalLocal   bool   // internalTrafficPolicy: Local
	Labels          map[string]string
	Selector        map[string]string // labels of the pods that serve it; empty: others say where it is served
}

// CIDRGroup is a CiliumCIDRGroup object: prefixes that policies name together.
type CIDRGroup struct {
	Name     string
	Labels   map[string]string
	Prefixes []netip.Prefix
	Problems []string // prefixes that make no sense, and are left out
}

// ServicePort is one port of a Service.
type ServicePort struct {
	Name     string
	Protocol uint8
	Port     uint16
	NodePort uint16
}

// EndpointSlice is a Kubernetes EndpointSlice.
type EndpointSlice struct {
	Namespace string
	Name      string
	Service   string
	Ports     []NamedPort // Port 0 with a name: not resolved
	Endpoints []SliceEndpoint
}

// SliceEndpoint is one backend of an EndpointSlice.
type SliceEndpoint struct {
	Addresses   []netip.Addr
	Ready       bool
	Serving     bool
	Terminating bool
	Node        string
}

// PolicyObject is one policy object of any of the languages, normalised to rules.
type PolicyObject struct {
	Kind      string // CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, ClusterNetworkPolicy
	Namespace string
	Name      string
	UID       string
	Rules     []policy.Rule
	Problems  []gap.Gap // what its text says of itself: not enforced, or not valid; shown in the object's status
	Valid     bool      // false: the object is rejected and enforces nothing
}

// Selectors are those of its rules: of their subjects, and of peers.
func (p PolicyObject) Selectors() iter.Seq[identity.Selector] {
	return func(yield func(identity.Selector) bool) {
		for _, r := range p.Rules {
			if !yield(r.Subject) {
				return
			}
			for _, t := range r.Terms() {
				for _, s := range t.Peers {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// LabelKeys lists the labels that its selectors ask about, without their sources, each once.
func (p PolicyObject) LabelKeys() []string {
	keys := map[string]bool{}
	for s := range p.Selectors() {
		for _, r := range s.Requirements() {
			_, key, _ := strings.Cut(r.Key, ":")
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// NamesServices tells whether a rule takes peers from services.
func (p PolicyObject) NamesServices() bool {
	return slices.ContainsFunc(p.Rules, func(r policy.Rule) bool {
		return slices.ContainsFunc(r.References(), func(ref policy.Reference) bool { return ref.Kind == policy.Services })
	})
}

// Attachment is a NIC that a CNI ADD asked for and that no DEL has taken away. source/cni journals it.
type Attachment struct {
	ContainerID string
	Interface   string // name inside the workload's network namespace
	Netns       string // path
	Namespace   string // of the pod; empty outside Kubernetes
	Pod         string
	UID         string // of the pod
	Network     uint32 // network id, 0 = the pod network
	Addresses   []netip.Addr
	MAC         string // of the workload's side, aa:bb:cc:dd:ee:ff
	HostMAC     string // of the host's side
	HostName    string // name of the host's side, e.g. weft0a1b2c3d4e
	Incarnation uint32 // number of this attachment on this node, never used twice
	MTU         int
}

// Device is a network device of the host's namespace.
type Device struct {
	Index     int
	Name      string
	Kind      string // netlink kind: veth, vxlan, bridge, …; empty for hardware
	MAC       string
	MTU       int
	Up        bool
	Master    int
	Addresses []netip.Prefix
	Default   bool // carries a default route
}

func join[T fmt.Stringer](list []T) string {
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = v.String()
	}
	return strings.Join(text, ",")
}

func labels(m map[string]string) string {
	text := make([]string, 0, len(m))
	for k, v := range m {
		text = append(text, k+"="+v)
	}
	sort.Strings(text)
	return strings.Join(text, ",")
}

func (p NamedPort) String() string   { return fmt.Sprintf("%s:%d/%d", p.Name, p.Port, p.Protocol) }
func (p ServicePort) String() string { return fmt.Sprintf("%s:%d/%d", p.Name, p.Port, p.Protocol) }

func (Setting) Header() []string { return []string{"Name", "Value"} }
func (s Setting) Row() []string  { return []string{s.Name, s.Value} }
func (Node) Header() []string    { return []string{"Name", "Local", "Addresses", "PodCIDRs"} }
func (n Node) Row() []string {
	return []string{n.Name, fmt.Sprint(n.Local), join(n.Addresses), join(n.PodCIDRs)}
}
func (Namespace) Header() []string { return []string{"Name", "Labels"} }
func (n Namespace) Row() []string  { return []string{n.Name, labels(n.Labels)} }
func (Pod) Header() []string {
	return []string{"Namespace", "Name", "UID", "ServiceAccount", "HostNetwork", "NamedPorts", "Labels"}
}

func (p Pod) Row() []string {
	return []string{p.Namespace, p.Name, p.UID, p.ServiceAccount, fmt.Sprint(p.HostNetwork), join(p.NamedPorts), labels(p.Labels)}
}
func (Identity) Header() []string { return []string{"Number", "Labels"} }
func (i Identity) Row() []string  { return []string{fmt.Sprint(i.Number), i.Labels.String()} }
func (Endpoint) Header() []string {
	return []string{"Namespace", "Name", "Identity", "Addresses", "Node"}
}

func (e Endpoint) Row() []string {
	return []string{e.Namespace, e.Name, fmt.Sprint(e.Identity), join(e.Addresses), e.Node.String()}
}

func (Service) Header() []string {
	return []string{"Namespace", "Name", "ClusterIPs", "ExternalIPs", "Ports", "AffinitySeconds"}
}

func (s Service) Row() []string {
	return []string{s.Namespace, s.Name, join(s.ClusterIPs), join(s.ExternalIPs), join(s.Ports), fmt.Sprint(s.AffinitySeconds)}
}

func (CIDRGroup) Header() []string { return []string{"Name", "Labels", "Prefixes", "Problems"} }
func (g CIDRGroup) Row() []string {
	return []string{g.Name, labels(g.Labels), join(g.Prefixes), strings.Join(g.Problems, "; ")}
}

func (EndpointSlice) Header() []string {
	return []string{"Namespace", "Name", "Service", "Ports", "Ready", "NotReady"}
}

func (s EndpointSlice) Row() []string {
	var ready, not []netip.Addr
	for _, e := range s.Endpoints {
		if e.Ready {
			ready = append(ready, e.Addresses...)
		} else {
			not = append(not, e.Addresses...)
		}
	}
	return []string{s.Namespace, s.Name, s.Service, join(s.Ports), join(ready), join(not)}
}

func (PolicyObject) Header() []string {
	return []string{"Kind", "Namespace", "Name", "Rules", "Valid", "Problems"}
}

func (p PolicyObject) Row() []string {
	return []string{p.Kind, p.Namespace, p.Name, fmt.Sprint(len(p.Rules)), fmt.Sprint(p.Valid), gap.Text(p.Problems)}
}

func (Attachment) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Addresses", "MAC", "HostName", "Incarnation"}
}

func (a Attachment) Row() []string {
	return []string{a.ContainerID, a.Interface, a.Namespace + "/" + a.Pod, join(a.Addresses), a.MAC, a.HostName, fmt.Sprint(a.Incarnation)}
}

func (Device) Header() []string {
	return []string{"Index", "Name", "Kind", "MAC", "MTU", "Up", "Addresses", "Default"}
}

func (d Device) Row() []string {
	return []string{fmt.Sprint(d.Index), d.Name, d.Kind, d.MAC, fmt.Sprint(d.MTU), fmt.Sprint(d.Up), join(d.Addresses), fmt.Sprint(d.Default)}
}

// AttachmentKey is the key of an Attachment and of all that derives from it one to one.
func AttachmentKey(containerID, ifname string) state.Key { return state.Join(containerID, ifname) }

// ObjectKey is the key of a namespaced Kubernetes object.
func ObjectKey(namespace, name string) state.Key { return state.Join(namespace, name) }
