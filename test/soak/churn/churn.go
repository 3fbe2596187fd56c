// Package churn lets services, endpoints, policies and agents of two nodes come, go and change under load on all paths, at random, and judges
// every call by what had happened.
//
// # The world it models
//
//	callers: pods (packet by packet, and at their sockets), processes of nodes, the outside (SNAT, DSR)
//	  --TCP, UDP, both families--> services --> backends that always serve, and others that come, retire, end or are lost
//	model: what has happened, and so which calls may fail, and who may answer
//
// # Invariants
//
//   - A call that fails is explained by the model, or the run has failed; so has it if one reaches a backend that no node was to lead calls to.
//   - The same seed makes the same choices, as far as the machine's own timing lets it.
//
// # Example
//
//	err := churn.Run(ctx, cluster, rand.New(rand.NewPCG(seed, 0)), 2*time.Minute, log.Printf)
package churn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/load"
	"weftnet.io/weftnet/internal/nettest/netns"
)

// churning is what a run knows: two nodes, services with the same backends, those that always serve (a pod of each node, and a
// process of one), and those that come and go.
type churning struct {
	*rand.Rand
	*nettest.Cluster
	*model
	nodes             []*nettest.Node
	web, socket, peer *nettest.Pod // callers: a's is translated packet by packet, b's at its sockets

	always, live []*member
	retired      []*member // no node leads calls to them any more
	others       []*nettest.Pod
	made         int
	services     map[string]*corev1.Service
	extra        map[string]bool // policies that change nothing
	sides        map[int]bool    // services that nothing calls all the time

	away   *nettest.Node                 // its agent does not run
	later  []func(context.Context) error // once it does
	events []string
	counts map[string]int
}

// member is a backend.
type member struct {
	*netns.Station
	pod         *nettest.Pod // nil: a process of a node
	node        string
	terminating bool
}

// Run has a cluster without nodes churn for a while. In the end nothing waits and all agents run.
func Run(ctx context.Context, cluster *nettest.Cluster, random *rand.Rand, lasts time.Duration, printf func(string, ...any)) error {
	c := &churning{
		Rand: random, Cluster: cluster, model: newModel(), services: map[string]*corev1.Service{}, extra: map[string]bool{}, sides: map[int]bool{}, counts: map[string]int{},
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	calls := newCallers(c.model, c.Outside)
	l, err := c.load(calls)
	if err != nil {
		return err
	}
	end := time.Now().Add(lasts)
	for err == nil && time.Now().Before(end) && ctx.Err() == nil && !calls.broken() {
		err = c.event(ctx)
	}
	printf("%v", c.counts)
	err = errors.Join(err, c.calm(ctx), calls.end(printf))
	counts := l.Stop()
	for _, one := range counts {
		printf("  %v", one)
	}
	if err = errors.Join(err, load.Verdict(counts)); err != nil {
		return fmt.Errorf("%w\nwhat happened:\n%s", err, strings.Join(c.events, "\n"))
	}
	return nil
}

// servePort is where backends serve, TCP and UDP.
const servePort = 5432

// ruleOfAll lets all call the backends. It stays, so what extras allow is allowed already.
const ruleOfAll = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: all}
spec:
  endpointSelector: {matchLabels: {app: db}}
  ingress: [{fromEntities: [all]}]
`

const ruleOfGuests = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: guests}
spec:
  endpointSelector: {matchLabels: {app: db}}
  ingressDeny: [{fromEndpoints: [{matchLabels: {app: guest}}]}]
`

// extras are policies that allow what is allowed.
var extras = map[string]string{
	"narrow": `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: narrow}
spec:
  endpointSelector: {matchLabels: {app: db}}
  ingress: [{fromEndpoints: [{matchLabels: {app: web}}], toPorts: [{ports: [{port: "5432", protocol: TCP}]}]}]
`,
	"egress": `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: egress}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress: [{toEntities: [all]}, {toCIDR: ["192.0.2.0/24"]}, {toEndpoints: [{matchLabels: {app: db}}]}]
`,
	"tiers": `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: tiers}
spec:
  endpointSelector: {matchExpressions: [{key: tier, operator: Exists}]}
  ingress: [{fromEntities: [cluster, world]}, {fromEndpoints: [{matchExpressions: [{key: tier, operator: In, values: [one, two]}]}]}]
`,
}

func (c *churning) begin(ctx context.Context) error {
	// Pods of a opt out of translation at sockets.
	for name, hostOnly := range map[string]string{"a": "true", "b": "false"} {
		n, err := c.PrepareNode(name, map[string]string{
			"kube-proxy-replacement": "true", "bpf-lb-mode-annotation": "true", "bpf-lb-sock-hostns-only": hostOnly,
		})
		if err == nil {
			err = n.Start()
		}
		if err != nil {
			return err
		}
	}
	c.nodes = c.Nodes()
	a, b := c.Node("a"), c.Node("b")
	for _, p := range []struct {
		at        **nettest.Pod
		node      *nettest.Node
		name, app string
	}{{&c.web, a, "web", "web"}, {&c.socket, b, "socket", "web"}, {&c.peer, b, "peer", "peer"}, {new(*nettest.Pod), a, "near", "peer"}, {new(*nettest.Pod), a, "guest", "guest"}} {
		var err error
		if *p.at, err = p.node.AddPod(ctx, nettest.PodSpec{Name: p.name, Labels: map[string]string{"app": p.app}}); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		m, err := c.member(ctx, n, "always-"+n.Name)
		if err != nil {
			return err
		}
		c.always = append(c.always, m)
	}
	if err := b.Serve(servePort); err != nil {
		return err
	}
	c.always = append(c.always, &member{Station: b.Station, node: "b"})
	c.backends[b.Station.Name] = &backend{}
	for i, name := range []string{"snat", "dsr"} {
		c.services[name] = c.service(name, i)
	}
	if err := c.publish(); err != nil {
		return err
	}
	return c.Apply(ctx, []byte(ruleOfAll))
}

// service has a cluster address and node ports: 30080 and 30081 the first one, 30090 and 30091 the second.
func (c *churning) service(name string, i int) *corev1.Service {
	s := &corev1.Service{}
	s.Namespace, s.Name, s.Annotations = corev1.NamespaceDefault, name, map[string]string{"service.cilium.io/forwarding-mode": name}
	s.Spec.Type = corev1.ServiceTypeNodePort
	for _, a := range addressesOf(i) {
		s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, a.String())
	}
	s.Spec.ClusterIP = s.Spec.ClusterIPs[0]
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	s.Spec.Ports = []corev1.ServicePort{
		{Name: "tcp", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: int32(30_080 + 10*i)}, {Name: "udp", Protocol: corev1.ProtocolUDP, Port: 80, NodePort: int32(30_081 + 10*i)},
	}
	return s
}

func addressesOf(i int) []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{10, 96, 1, byte(i + 1)}), netip.MustParseAddr(fmt.Sprintf("fd00:96::1:%x", i+1))}
}

// publish writes services and who serves them.
func (c *churning) publish() error {
	for _, name := range slices.Sorted(maps.Keys(c.services)) {
		s := c.services[name]
		if err := c.Put(s.DeepCopy(), slice(s, 4, c.always, c.live), slice(s, 6, c.always, c.live)); err != nil {
			return err
		}
	}
	return nil
}

// slice names the backends of a service in one family.
func slice(of *corev1.Service, family int, lists ...[]*member) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
	if family == 6 {
		s.AddressType = discoveryv1.AddressTypeIPv6
	}
	s.Namespace, s.Name, s.Labels = of.Namespace, fmt.Sprint(of.Name, "-", family), map[string]string{discoveryv1.LabelServiceName: of.Name}
	for _, p := range of.Spec.Ports {
		port, name, protocol := int32(servePort), p.Name, p.Protocol
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &name, Port: &port, Protocol: &protocol})
	}
	for _, m := range slices.Concat(lists...) {
		a, ok := m.Address(family)
		if !ok {
			continue
		}
		ready, serving, terminating := !m.terminating, true, m.terminating
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{a.String()}, NodeName: &m.node,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		})
	}
	return s
}

// load begins what runs all the time.
func (c *churning) load(calls *callers) (*load.Load, error) {
	l, ms := load.New(), time.Millisecond
	a, b := c.Node("a"), c.Node("b")
	web, peer, near := c.web.Station, c.peer.Station, a.Pod("near").Station
	var errs []error
	for i, family := range []string{"IPv4", "IPv6"} {
		errs = append(errs,
			l.Ping(family+" pings to another node", web, peer.Addresses[i], 10*ms),
			l.Stream(family+" TCP to another node", web, peer, peer.Addresses[i], 20*ms),
			l.Datagrams(family+" UDP to another node", web, peer, peer.Addresses[i], 20*ms),
			l.Stream(family+" TCP on a node", web, near, near.Addresses[i], 20*ms),
			l.Ping(family+" pings of a node to its pod", b.Station, peer.Addresses[i], 20*ms),
		)
	}
	errs = append(errs, l.Ping("pings to the outside", web, c.Outside.Addresses[0], 20*ms))
	if err := errors.Join(errs...); err != nil {
		_ = l.Stop() // of no interest
		return nil, err
	}
	at := func(port uint16, list ...netip.Addr) (to []netip.AddrPort) {
		for _, one := range list {
			to = append(to, netip.AddrPortFrom(one, port))
		}
		return to
	}
	service, everyNode := at(80, addressesOf(0)...), slices.Concat(a.Addresses, b.Addresses)
	for i, network := range []string{"tcp", "udp"} {
		calls.add("a pod, per packet, "+network, web, network, service...)
		calls.add("a pod, at its sockets, "+network, c.socket.Station, network, service...)
		calls.add("a process of a node, "+network, a.Station, network, service...)
		calls.add("a process of a node with a backend, "+network, b.Station, network, service...)
		calls.add("the outside, SNAT, "+network, c.Outside, network, at(uint16(30_080+i), everyNode...)...)
		calls.add("the outside, DSR, "+network, c.Outside, network, at(uint16(30_090+i), everyNode...)...)
		calls.add("a pod, at a node port, "+network, web, network, at(uint16(30_080+i), b.Addresses...)...)
	}
	calls.guest("a guest", a.Pod("guest").Station, service...)
	return l, nil
}
