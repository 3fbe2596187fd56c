// Package product takes the objects of a test's world in the way an agent does: reader, tables, derivations, the policy sets
// that the kernel gets, and the kernel's lookup in them.
//
// # The world it models
//
// One node, a, on which all pods of the world run whose spec.nodeName names no other. Its tables are filled from the objects' JSON by the readers of
// internal/source/kube and by nothing else, but for what the container runtime says: which pods are here.
//
// # Invariants
//
//   - It decides nothing: what a packet meets is what the project's own code says.
//
// # Example
//
//	p, err := product.New(w)
//	set, ok := p.Set(w.Pod("shop", "db"))
//	answer, ok := product.Judge(set, p.Identity(peer), packet)
package product

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/derive/config"
	derive "weftnet.io/weftnet/internal/derive/policy"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/oracle"
	"weftnet.io/weftnet/test/oracle/raw"
)

// here is the name of this node.
const here = "a"

// Product is Weftnet with the objects of a world.
type Product struct {
	*table.Tables
	db      *state.DB
	numbers map[identity.Labels]identity.Number
	Refused map[string]bool // policies by kind, namespace and name
}

// DB is where the tables are.
func (p *Product) DB() *state.DB { return p.db }

// New reads a world.
func New(w *oracle.World) (*Product, error) {
	tables, db := table.New()
	p := &Product{tables, db, map[identity.Labels]identity.Number{}, map[string]bool{}}
	match := strings.Trim(map[bool]string{true: "nodes,"}[w.CIDRNodes]+map[bool]string{true: "pods"}[w.CIDRPods], ",")
	rows := kind.NewRows(tables, here, map[string]string{
		"cluster-name": w.Cluster, "policy-enforcement-mode": w.Mode, "policy-cidr-match-mode": match, "enable-host-firewall": "true",
		"allow-localhost":             map[bool]string{true: "policy", false: "auto"}[w.HostPolicy],
		"enable-node-selector-labels": fmt.Sprint(w.NodeLabels), "policy-audit-mode": fmt.Sprint(w.Audit),
		"enable-extended-ip-protocols": fmt.Sprint(w.Extended),
	})
	err := db.Write(func(tx *state.Tx) error {
		rows.MarkSynced(tx)
		for _, list := range [][]oracle.Object{w.Policies, w.Namespaces, w.Pods, w.Nodes, w.Services, w.Slices, w.Groups} {
			for _, o := range list {
				if err := put(tx, rows, o); err != nil {
					return fmt.Errorf("%v: %w", o, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := db.Write(func(tx *state.Tx) error { p.attach(tx, w); return nil }); err != nil {
		return nil, err
	}
	runs := append([]state.AnyDerivation{config.New(tables)}, derive.Derivations(tables)...)
	for changed := true; changed; {
		changed = false
		for _, d := range runs {
			changed = d.Step(db) || changed
		}
	}
	for o := range p.Policies.All(db.Snapshot()) {
		p.Refused[o.Kind+" "+o.Namespace+"/"+o.Name] = !o.Valid
	}
	return p, nil
}

// put gives an object to the reader of its kind, as the Go value that the API server's JSON is decoded into.
func put(tx *state.Tx, rows *kind.Rows, o oracle.Object) error {
	kinds := map[string]func() runtime.Object{
		"CiliumNetworkPolicy":            func() runtime.Object { return &v2.CiliumNetworkPolicy{} },
		"CiliumClusterwideNetworkPolicy": func() runtime.Object { return &v2.CiliumClusterwideNetworkPolicy{} },
		"ClusterNetworkPolicy":           func() runtime.Object { return &v1alpha2.ClusterNetworkPolicy{} },
		"CiliumCIDRGroup":                func() runtime.Object { return &v2.CiliumCIDRGroup{} },
		"CiliumNode":                     func() runtime.Object { return &v2.CiliumNode{} },
		"NetworkPolicy":                  func() runtime.Object { return &networkingv1.NetworkPolicy{} },
		"Namespace":                      func() runtime.Object { return &corev1.Namespace{} },
		"Pod":                            func() runtime.Object { return &corev1.Pod{} },
		"Node":                           func() runtime.Object { return &corev1.Node{} },
		"Service":                        func() runtime.Object { return &corev1.Service{} },
		"EndpointSlice":                  func() runtime.Object { return &discoveryv1.EndpointSlice{} },
	}
	kind, _ := o["kind"].(string)
	object := kinds[kind]()
	text, err := json.Marshal(o)
	if err == nil {
		err = kjson.UnmarshalCaseSensitivePreserveInts(text, object) // as client-go reads
	}
	if err != nil {
		return err
	}
	if err := rows.Put(tx, object); err != nil {
		return err
	}
	if n, ok := object.(*corev1.Node); ok { // what the node's agent publishes of it
		own := &v2.CiliumNode{}
		own.Name = n.Name
		for _, a := range n.Status.Addresses {
			own.Spec.Addresses = append(own.Spec.Addresses, v2.NodeAddress{Type: v2.NodeInternalIP, IP: a.Address})
		}
		return rows.Put(tx, own)
	}
	return nil
}

// attach makes each pod a workload of its node, with a number for its labels.
func (p *Product) attach(tx *state.Tx, w *oracle.World) {
	addresses := map[string][]netip.Addr{}
	for _, o := range w.Pods {
		meta := raw.Sub(o, "metadata")
		addresses[raw.Text(meta, "namespace")+"/"+raw.Text(meta, "name")] = addressesOf(o)
	}
	for pod := range p.Pods.All(tx) {
		namespace, _ := p.Namespaces.One(tx, state.Join(pod.Namespace))
		who := identity.Pod{
			Cluster: w.Cluster, Namespace: pod.Namespace, ServiceAccount: pod.ServiceAccount, Labels: pod.Labels, NamespaceLabels: namespace.Labels,
		}
		labels, _ := identity.Identify(identity.Filter{}, who, policyinput.Asking(tx, p.Tables))
		n := p.number(tx, labels)
		p.numbers[who.Whole()] = n
		named := make(policy.NamedPorts, len(pod.NamedPorts))
		for i, port := range pod.NamedPorts {
			named[i] = policy.NamedPort(port)
		}
		own := addresses[pod.Namespace+"/"+pod.Name]
		if pod.Node != "" && pod.Node != here {
			there, _ := p.Nodes.One(tx, state.Join(pod.Node))
			p.Endpoints.Put(tx, table.Endpoint{Namespace: pod.Namespace, Name: pod.Name, Identity: n, Addresses: own, Node: there.Underlay(), NamedPorts: pod.NamedPorts})
			continue
		}
		p.Workloads.Put(tx, table.Workload{
			ContainerID: pod.Namespace + "." + pod.Name, Interface: "eth0", Namespace: pod.Namespace, Pod: pod.Name,
			NamedPorts: pod.NamedPorts, Addresses: own, Subject: table.Subject{Labels: labels, Identity: n, Set: table.SetKey(n, named.String())},
		})
	}
	p.numbers[foreign()] = p.number(tx, foreign())
}

// addressesOf are those that a pod has, in both families if it says so.
func addressesOf(pod oracle.Object) (list []netip.Addr) {
	status := raw.Sub(pod, "status")
	texts := []string{raw.Text(status, "podIP")}
	for _, one := range raw.Objects(status, "podIPs") {
		texts = append(texts, raw.Text(one, "ip"))
	}
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// foreign is a pod of another cluster.
func foreign() identity.Labels {
	return identity.ForPod(identity.Filter{}, "there", "shop", "default", map[string]string{"app": "web"}, map[string]string{"kubernetes.io/metadata.name": "shop", "team": "blue"})
}

func (p *Product) number(tx *state.Tx, labels identity.Labels) identity.Number {
	for i := range p.Identities.By(tx, table.ByLabels, state.Join(labels.String())) {
		return i.Number
	}
	n := identity.Number(300 + p.Identities.Len(tx))
	p.Identities.Put(tx, table.Identity{Number: n, Labels: labels})
	return n
}

// Set is the policy set that governs a subject: a pod, or the node itself.
func (p *Product) Set(subject oracle.End) (table.PolicySet, bool) {
	s := p.db.Snapshot()
	if subject.Node != "" {
		return p.PolicySets.One(s, table.HostSet)
	}
	namespace, name, _ := strings.Cut(subject.Name, "/")
	for w := range p.Workloads.All(s) {
		if w.Namespace == namespace && w.Pod == name {
			return p.PolicySets.One(s, w.Set)
		}
	}
	return table.PolicySet{}, false
}

// Identity is the number by which packets know an end; of an end that is not known 0.
func (p *Product) Identity(e oracle.End) identity.Number {
	for key := range e.Labels {
		name, reserved := strings.CutPrefix(key, "reserved:")
		for _, n := range identity.ReservedNumbers() {
			if reserved && n.Name() == name {
				return n
			}
		}
	}
	return p.numbers[identity.NewLabels(e.Labels)]
}

var protocols = map[string]uint8{"TCP": 6, "UDP": 17, "SCTP": 132, "ICMP": 1, "ICMPv6": 58, "47": 47, "50": 50}

// Judge looks a packet up in a set, as the kernel does.
func Judge(set table.PolicySet, number identity.Number, p oracle.Packet) (oracle.Answer, bool) {
	e, ok := policy.Lookup(set.Entries, set.Ranges, number, p.Peer.Address, packetOf(p))
	return answer(e), ok
}

// Foresee looks up what staged policies would do. A set that none selects has no entries for that: its answer is that of
// what is in force.
func Foresee(set table.PolicySet, number identity.Number, p oracle.Packet) (oracle.Answer, bool) {
	e, ok := policy.LookupView(policy.AsStaged, set.Entries, set.Ranges, number, p.Peer.Address, packetOf(p))
	if !ok {
		e, ok = policy.LookupView(policy.InForce, set.Entries, set.Ranges, number, p.Peer.Address, packetOf(p))
	}
	return answer(e), ok
}

func packetOf(p oracle.Packet) policy.Packet {
	packet := policy.Packet{Direction: policy.Egress, Protocol: protocols[p.Protocol], Port: uint16(p.Port)}
	if p.Ingress {
		packet.Direction = policy.Ingress
	}
	if strings.HasPrefix(p.Protocol, "ICMP") {
		packet.Port = packet.Port<<8 | 0x42 // whatever the code
	}
	return packet
}

func answer(e policy.Entry) oracle.Answer {
	out := oracle.Answer{Verdict: e.Verdict.String()}
	for _, o := range e.Rules {
		out.By = append(out.By, o.String())
	}
	return out
}

// Ends are those that packets go to or come from.
func Ends(w *oracle.World) (subjects, peers []oracle.End) {
	subjects = []oracle.End{w.Pod("shop", "web"), w.Pod("shop", "db"), w.Pod("blog", "api"), w.Pod("blog", "web"), w.NodeEnd("a", true)}
	peers = append(peers, subjects...)
	peers = append(
		peers, w.Pod("shop", "web-2"), w.NodeEnd("b", false), w.NodeEnd("c", false), oracle.End{Name: "unknown pod", Place: oracle.InPod, Address: netip.MustParseAddr("10.1.9.9")},
		oracle.End{Name: "pod of another cluster", Place: oracle.InPod, Labels: foreign().Map(), Address: netip.MustParseAddr("10.7.0.1")},
	)
	for _, address := range []string{"10.1.2.9", "10.200.0.1", "192.0.2.10", "192.0.2.200", "8.8.8.8", "2001:db8:1::2", "fd00::1", "::2"} {
		peers = append(peers, oracle.Reserved("world", address))
	}
	return subjects, append(
		peers, oracle.Reserved("world-ipv4", "172.16.0.9"), oracle.Reserved("world-ipv6", "2001:db8:2::1"), oracle.Reserved("health", "10.1.0.250"),
		oracle.Reserved("ingress", "10.1.0.251"), oracle.Reserved("unmanaged", "10.1.0.252"), oracle.Reserved("init", "10.1.0.253"),
		oracle.Reserved("kube-apiserver", "192.0.2.10"),
	)
}
