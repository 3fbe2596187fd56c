package cyclonus

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/test/oracle"
	"weftnet.io/weftnet/test/oracle/product"
)

// cluster is what cyclonus' cases act upon: namespaces and pods by name, with their labels, and policies.
type cluster struct {
	namespaces map[string]map[string]string
	pods       map[string]*pod // namespace/name
	policies   map[string]*networkingv1.NetworkPolicy
}

type pod struct {
	namespace, name, address string
	labels                   map[string]string
	ports                    []corev1.ContainerPort
}

// newCluster has namespaces x, y, z, each with pods a, b, c, as cyclonus makes them: every pod serves these ports.
func newCluster() *cluster {
	c := &cluster{map[string]map[string]string{}, map[string]*pod{}, map[string]*networkingv1.NetworkPolicy{}}
	for i, namespace := range []string{"x", "y", "z"} {
		c.namespaces[namespace] = map[string]string{"ns": namespace, corev1.LabelMetadataName: namespace}
		for j, name := range []string{"a", "b", "c"} {
			c.add(namespace, name, fmt.Sprintf("192.168.%d.%d", i+1, j+10), map[string]string{"pod": name})
		}
	}
	return c
}

func (c *cluster) add(namespace, name, address string, labels map[string]string) {
	p := &pod{namespace: namespace, name: name, address: address, labels: labels}
	for _, number := range []int32{80, 81} {
		for protocol, text := range map[corev1.Protocol]string{corev1.ProtocolTCP: "tcp", corev1.ProtocolUDP: "udp", corev1.ProtocolSCTP: "sctp"} {
			p.ports = append(p.ports, corev1.ContainerPort{Name: fmt.Sprintf("serve-%d-%s", number, text), ContainerPort: number, Protocol: protocol})
		}
	}
	c.pods[namespace+"/"+name] = p
}

// failer is a test, of the one kind or the other.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world is the cluster as objects.
func (c *cluster) world(t failer) *oracle.World {
	w := &oracle.World{Cluster: "here", Mode: "default"}
	for name, labels := range c.namespaces {
		w.Namespaces = append(w.Namespaces, raw(t, "Namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}))
	}
	for _, p := range c.pods {
		w.Pods = append(w.Pods, raw(t, "Pod", &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, Labels: p.labels},
			Spec:       corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "c", Ports: p.ports}}},
			Status:     corev1.PodStatus{PodIP: p.address},
		}))
	}
	for _, p := range c.policies {
		w.Policies = append(w.Policies, raw(t, "NetworkPolicy", p))
	}
	return w
}

func raw(t failer, kind string, object any) (out oracle.Object) {
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	out["kind"] = kind
	return out
}

// matcher is the policies as cyclonus reads them, in the form that the API server would give to it: with policyTypes filled in.
func (c *cluster) matcher() *matcher.Policy {
	var list []*networkingv1.NetworkPolicy
	for _, p := range c.policies {
		p = p.DeepCopy()
		if len(p.Spec.PolicyTypes) == 0 {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if len(p.Spec.Egress) > 0 {
				p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
			}
		}
		list = append(list, p)
	}
	return matcher.BuildNetworkPolicies(false, list)
}

// outside are addresses that belong to nothing in the cluster.
var outside = []string{"8.8.8.8", "10.1.2.3", "10.200.0.1", "192.168.200.1", "2001:db8::1"}

var calls = []struct {
	protocol corev1.Protocol
	port     int
}{
	{corev1.ProtocolTCP, 79},
	{corev1.ProtocolTCP, 80},
	{corev1.ProtocolTCP, 81},
	{corev1.ProtocolTCP, 82},
	{corev1.ProtocolTCP, 7981},
	{corev1.ProtocolUDP, 53},
	{corev1.ProtocolUDP, 80},
	{corev1.ProtocolUDP, 81},
	{corev1.ProtocolSCTP, 80},
	{corev1.ProtocolSCTP, 81},
}

// agree asks both sides about every packet between pods, and between pods and the outside. It returns how many it asked about.
func (c *cluster) agree(t failer) (asked int) {
	w := c.world(t)
	p, err := product.New(w)
	if err != nil {
		t.Fatal(err)
	}
	for name, refused := range p.Refused {
		if refused {
			t.Fatalf("%s is refused: %s", name, c)
		}
	}
	theirs := c.matcher()
	for _, subject := range c.pods {
		end := w.Pod(subject.namespace, subject.name)
		set, ok := p.Set(end)
		if !ok {
			t.Fatalf("%s has no set", end.Name)
		}
		for _, peer := range c.peers(w) {
			if peer.end.Name == end.Name {
				continue
			}
			for _, call := range calls {
				for _, ingress := range []bool{true, false} {
					traffic := &matcher.Traffic{Source: peer.traffic, Destination: c.traffic(subject), ResolvedPort: call.port, Protocol: call.protocol}
					called := subject
					if !ingress {
						traffic.Source, traffic.Destination = traffic.Destination, traffic.Source
						called = peer.pod
					}
					traffic.ResolvedPortName = called.portName(call.protocol, call.port)
					packet := oracle.Packet{Ingress: ingress, Subject: end, Peer: peer.end, Protocol: string(call.protocol), Port: call.port}
					have, ok := product.Judge(set, p.Identity(peer.end), packet)
					want := theirs.IsIngressOrEgressAllowed(traffic, ingress).IsAllowed()
					asked++
					if !ok || (have.Verdict == "allow") != want {
						t.Fatalf("%s\nhave %v, cyclonus allows: %v\n%s", traffic.Table(), have, want, c)
					}
				}
			}
		}
	}
	return asked
}

type peer struct {
	end     oracle.End
	traffic *matcher.TrafficPeer
	pod     *pod // nil: outside
}

func (c *cluster) peers(w *oracle.World) (out []peer) {
	for _, p := range c.pods {
		out = append(out, peer{w.Pod(p.namespace, p.name), c.traffic(p), p})
	}
	for _, address := range outside {
		out = append(out, peer{oracle.Reserved("world", address), &matcher.TrafficPeer{IP: address}, nil})
	}
	return out
}

func (c *cluster) traffic(p *pod) *matcher.TrafficPeer {
	return &matcher.TrafficPeer{IP: p.address, Internal: &matcher.InternalPeer{PodLabels: p.labels, NamespaceLabels: c.namespaces[p.namespace], Namespace: p.namespace}}
}

func (p *pod) portName(protocol corev1.Protocol, number int) string {
	if p == nil {
		return ""
	}
	at := slices.IndexFunc(p.ports, func(c corev1.ContainerPort) bool {
		return c.Protocol == protocol && int(c.ContainerPort) == number
	})
	if at < 0 {
		return ""
	}
	return p.ports[at].Name
}

func (c *cluster) String() string {
	text, _ := json.MarshalIndent(c.policies, "", " ")
	return string(text)
}
