package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/notation"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

// end is one end of a connection.
type end struct {
	name     string
	address  netip.Addr   // if it matters which of them
	owns     []netip.Addr // else all of them
	node     string       // name of the node that it is on, or is; empty: not known
	isNode   bool
	number   identity.Number
	labels   identity.Labels
	ports    policy.NamedPorts
	governed bool
	backend  *port          // of a service: where it ends up
	idle     bool           // … which is not ready
	servesOn string         // … the only node whose callers it serves; empty: it serves all
	on       string         // … the node that its slice says it is on
	enters   *table.Service // … that is called from outside, at a node that is not known
	carried  bool           // it has come through a node port
	nodePort *nodePort      // where a node leads on from; nil: policies see none but who serves
}

func (e end) party() agentv1.Party {
	p := agentv1.Party{Name: e.name, Identity: uint32(e.number), Governed: e.governed}
	if e.address.IsValid() && e.address.Zone() == "" && e.address.String() != e.name {
		p.Address = e.address.String()
	}
	for key, value := range e.labels.All() {
		p.Labels = append(p.Labels, strings.TrimSuffix(key+"="+value, "="))
	}
	return p
}

func (e end) peer() policy.Peer {
	return policy.Peer{Number: e.number, Labels: e.labels, NamedPorts: e.ports, Address: firstOf(e.owns)}
}

func firstOf(list []netip.Addr) (a netip.Addr) {
	if len(list) > 0 {
		a = list[0]
	}
	return a
}

// ZoneOfSeveral marks the made-up address of what stands for several workloads: a Deployment in a file. Two of its pods are
// not one pod.
const ZoneOfSeveral = "several"

// isItself tells whether two ends are one workload.
func (e end) isItself(other end) bool {
	return e.governed && other.governed && !e.isNode && !other.isNode && e.name == other.name && !e.isSeveral() && !e.carried && !other.carried
}

func (e end) isSeveral() bool { return firstOf(e.owns).Zone() == ZoneOfSeveral }

// meet gives two ends the addresses by which they speak with each other: of one family.
func meet(from, to end, p port) (end, end) {
	only := func(e end, six bool) end {
		e.owns = slices.DeleteFunc(slices.Clone(e.owns), func(a netip.Addr) bool { return a.Zone() == "" && a.Is6() != six })
		return e
	}
	for _, e := range []*end{&from, &to} {
		if e.address.IsValid() {
			e.owns = []netip.Addr{e.address}
		}
	}
	for _, known := range []netip.Addr{to.address, from.address, firstOf(to.owns), firstOf(from.owns)} {
		switch {
		case p.Protocol == policy.ICMP || p.Protocol == policy.ICMPv6:
			return only(from, p.Protocol == policy.ICMPv6), only(to, p.Protocol == policy.ICMPv6)
		case known.IsValid() && known.Zone() == "":
			return only(from, known.Is6()), only(to, known.Is6())
		}
	}
	return from, to
}

// port is what is asked for of the end that serves.
type port = notation.Port

// portOf is a port as a number: a name is that of a container port of the end, and ping of the family in which the two speak.
func portOf(p port, from, e end) (port, error) {
	_, met := meet(from, e, port{})
	if first := firstOf(met.owns); p.Ping && first.Is6() && first.Zone() == "" {
		p = port{Protocol: policy.ICMPv6, Number: 128 << 8}
	}
	for _, a := range []netip.Addr{from.address, e.address} {
		switch {
		case p.Protocol == policy.ICMP && a.Is6() && a.Zone() == "":
			return port{}, fmt.Errorf("to: %s has ICMP messages of IPv6: write icmpv6/TYPE, or icmp for ping", a)
		case p.Protocol == policy.ICMPv6 && a.Is4():
			return port{}, fmt.Errorf("to: %s has ICMP messages of IPv4: write icmp/TYPE, or icmp for ping", a)
		}
	}
	if p.Name == "" {
		return p, nil
	}
	for _, n := range e.ports {
		if n.Name == p.Name && n.Protocol == p.Protocol {
			return port{Protocol: n.Protocol, Number: n.Port}, nil
		}
	}
	return port{}, fmt.Errorf("to: %s has no container port %s", e.name, p)
}

// find gives the ends that a name stands for: one, or all backends of a service. The port is that of the service.
func (q question) find(name string, p port) ([]end, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return q.byAddress(a.Unmap(), p)
	}
	if n, ok := notation.Reserved(name); ok {
		return []end{ofNumber(n)}, nil
	}
	if node, ok := strings.CutPrefix(name, notation.Node); ok {
		if a, err := netip.ParseAddr(node); err == nil && q.nodeAt(a.Unmap()) != "" {
			return q.byAddress(a.Unmap(), p)
		}
		e, err := q.nodeNamed(node)
		return []end{e}, err
	}
	namespace, object, ok := strings.Cut(name, "/")
	if !ok || namespace == "" || object == "" {
		return nil, fmt.Errorf("%q is no namespace/name, no address, no node:NAME and no entity (host, remote-node, world, …)", name)
	}
	for _, pod := range append([]string{object}, machine.Running(q.t, q.r, namespace, object)...) {
		if e, ok := q.pod(namespace, pod); ok {
			return []end{e}, nil
		}
	}
	if s, ok := q.t.Services.One(q.r, table.ObjectKey(namespace, object)); ok {
		if ends := q.backends(s, atService, p, netip.Addr{}); len(ends) > 0 {
			return ends, nil
		}
		return nil, fmt.Errorf("service %s has no backend for port %s", name, p)
	}
	return nil, fmt.Errorf("there is no pod, virtual machine or service %s%s", name, q.similar(namespace, object))
}

// similar names the workloads of a namespace whose name begins alike: suffixes of pods are hard to remember.
func (q question) similar(namespace, name string) string {
	var found []string
	for e := range q.t.Endpoints.Prefix(q.r, state.Join(namespace)) {
		if strings.HasPrefix(e.Name, name) && len(found) < 3 {
			found = append(found, e.Namespace+"/"+e.Name)
		}
	}
	if len(found) == 0 {
		return "; of a pod on the host network ask for its node, node:NAME"
	}
	return "; there is " + strings.Join(found, ", ")
}

func ofNumber(n identity.Number) end {
	isNode := n == identity.Host || n == identity.RemoteNode
	return end{name: n.Name(), number: n, labels: identity.Reserved(n), isNode: isNode}
}

// pod is a workload of this node or of another one.
func (q question) pod(namespace, name string) (end, bool) {
	key := table.ObjectKey(namespace, name)
	for w := range q.t.Workloads.By(q.r, table.ByPod, key) {
		return q.ofWorkload(w), true
	}
	if e, ok := q.t.Endpoints.One(q.r, key); ok {
		return q.ofEndpoint(e), true
	}
	if p, ok := q.t.Pods.One(q.r, key); ok && p.HostNetwork {
		e := ofNumber(identity.Host)
		if n, ok := q.t.Nodes.One(q.r, state.Join(p.Node)); ok {
			e = ofNode(n)
		}
		e.name = fmt.Sprintf("%s/%s (on the host network)", namespace, name)
		return e, true
	}
	return end{}, false
}

func (q question) ofWorkload(w table.Workload) end {
	return end{name: machine.Title(q.t, q.r, w.Namespace, w.Pod, w.Labels), number: w.Identity, labels: w.Labels, ports: named(w.NamedPorts), governed: true, node: q.localNode(), owns: q.owns(w.Namespace, w.Pod, w.Addresses)}
}

func (q question) ofEndpoint(e table.Endpoint) end {
	i, _ := q.t.Identities.One(q.r, state.Join(uint32(e.Identity)))
	return end{name: machine.Title(q.t, q.r, e.Namespace, e.Name, i.Labels), number: e.Identity, labels: i.Labels, ports: named(e.NamedPorts), governed: true, node: q.nodeAt(e.Node), owns: q.owns(e.Namespace, e.Name, e.Addresses)}
}

// owns are the addresses of a pod in the network of the question.
func (q question) owns(namespace, pod string, first []netip.Addr) []netip.Addr {
	if q.network.Number == 0 {
		return first
	}
	return q.network.Of(namespace, pod)
}

func named(ports []table.NamedPort) (out policy.NamedPorts) {
	for _, p := range ports {
		out = append(out, policy.NamedPort(p))
	}
	return out
}

// byAddress is who is called at an address: a workload, the backends of a service, a node, or what is outside the cluster.
func (q question) byAddress(a netip.Addr, p port) ([]end, error) {
	who := q.who(a)
	if who.governed || q.network.Number != 0 {
		return []end{who}, nil
	}
	s, offered, known := q.serviceAt(a, p)
	switch {
	case offered:
		if ends := q.backends(s, atService, p, a); len(ends) > 0 {
			return ends, nil
		}
		return nil, fmt.Errorf("%s is service %s/%s, which has no backend for port %s", a, s.Namespace, s.Name, p)
	case known && !who.isNode:
		return nil, fmt.Errorf("%s is service %s/%s, which has no port %s", a, s.Namespace, s.Name, p)
	}
	return []end{who}, nil
}

// who has an address: a workload, a node, or what is outside the cluster.
func (q question) who(a netip.Addr) end {
	key := state.Join(a)
	e, found := end{}, false
	if q.network.Number != 0 {
		if namespace, pod, ok := q.network.At(a); ok {
			e, _ = q.pod(namespace, pod)
		} else {
			e = ofNumber(identity.World)
			e.name = a.String()
		}
		e.address = a
		return e
	}
	for w := range q.t.Workloads.By(q.r, table.ByAddress, key) {
		if w.Network == 0 {
			e, found = q.ofWorkload(w), true
		}
	}
	if !found {
		for endpoint := range q.t.Endpoints.By(q.r, table.ByAddress, key) {
			e, found = q.ofEndpoint(endpoint), true
		}
	}
	if n, ok := q.t.Nodes.One(q.r, state.Join(q.nodeAt(a))); ok && !found {
		e, found = ofNode(n), true
	}
	if !found {
		e = q.outside(a)
		e.name = a.String()
	}
	e.address = a
	return e
}

// outside is what policies take an address for that no pod or node has: the longest prefix that the node knows.
func (q question) outside(a netip.Addr) end {
	for bits := a.BitLen(); bits >= 0; bits-- {
		prefix, _ := a.Prefix(bits)
		h, ok := q.t.IPCache.One(q.r, state.Join(uint32(0), prefix))
		if !ok {
			continue
		}
		if h.Identity.Name() != "" {
			return ofNumber(h.Identity)
		}
		i, _ := q.t.Identities.One(q.r, state.Join(uint32(h.Identity)))
		return end{number: h.Identity, labels: i.Labels}
	}
	return ofNumber(identity.World)
}
