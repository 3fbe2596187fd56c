package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
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
	backend  *port     // of a service: where it ends up
	idle     bool      // … which is not ready
	servesOn string    // … the only node whose callers it serves; empty: it serves all
	carried  bool      // it has come through a node port
	nodePort *nodePort // where the netfilter of a node leads on from; nil: policies see none but who serves
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
		case p.protocol == policy.ICMP || p.protocol == policy.ICMPv6:
			return only(from, p.protocol == policy.ICMPv6), only(to, p.protocol == policy.ICMPv6)
		case known.IsValid() && known.Zone() == "":
			return only(from, known.Is6()), only(to, known.Is6())
		}
	}
	return from, to
}

// port is what is asked for of the end that serves.
type port struct {
	protocol uint8
	number   uint16 // ICMP: type<<8
	name     string // of a container port, or of a port of a service
	ping     bool   // an echo request, of the family that the end has
}

var protocols = map[string]uint8{"": policy.TCP, "tcp": policy.TCP, "udp": policy.UDP, "sctp": policy.SCTP}

// cut takes the port off an end: shop/db:5432/tcp, [fd00::1]:53/udp, shop/web:icmp, node:a:22. Without a colon there is none.
// An IPv6 address needs brackets only where its last group may be its own or a port.
func cut(text string) (name, port string) {
	if rest, ok := strings.CutPrefix(text, "["); ok {
		name, port, _ = strings.Cut(rest, "]")
		return name, strings.TrimPrefix(port, ":")
	}
	if rest, ok := strings.CutPrefix(text, prefixNode); ok {
		name, port = cut(rest)
		return prefixNode + name, port
	}
	at := strings.LastIndexByte(text, ':')
	if at < 0 || isAddress(text) {
		return text, ""
	}
	if isAddress(text[:at]) || strings.Count(text, ":") == 1 {
		return text[:at], text[at+1:]
	}
	return text, ""
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// noPort says what is missing, and how to write it.
func noPort(to string) error {
	rest := strings.TrimPrefix(to, prefixNode)
	prefix := to[:len(to)-len(rest)]
	if at := strings.LastIndexByte(rest, ':'); at > 0 && isAddress(rest) && isAddress(rest[:at]) {
		return fmt.Errorf("to: %q is an address without a port; of %s port %s write %s[%s]:%s", to, rest[:at], rest[at+1:], prefix, rest[:at], rest[at+1:])
	}
	full := to
	if isAddress(rest) && strings.Contains(rest, ":") {
		full = prefix + "[" + rest + "]"
	}
	return fmt.Errorf("to: %q has no port; write %s:80, %s:53/udp or %s:icmp", to, full, full, full)
}

// messages are the protocols whose port is the type of a message, with the type of an echo request.
var messages = map[string]port{
	"icmp": {protocol: policy.ICMP, number: 8 << 8}, "ping": {protocol: policy.ICMP, number: 8 << 8},
	"icmpv6": {protocol: policy.ICMPv6, number: 128 << 8}, "icmp6": {protocol: policy.ICMPv6, number: 128 << 8},
}

func parsePort(text string) (port, error) {
	number, protocol, _ := strings.Cut(strings.ToLower(text), "/")
	if p, ok := messages[number]; ok {
		if protocol == "" {
			p.ping = p.protocol == policy.ICMP
			return p, nil
		}
		kind, err := strconv.ParseUint(protocol, 10, 8)
		if err != nil {
			return port{}, fmt.Errorf("%q is no type of an ICMP message: write %s/N, N from 0 to 255 (ping is %s/%d)", protocol, number, number, p.number>>8)
		}
		return port{protocol: p.protocol, number: uint16(kind) << 8}, nil
	}
	if n, known := policy.Extended[strings.ToUpper(number)]; known && protocol == "" {
		return port{protocol: n}, nil
	}
	if _, swapped := protocols[number]; swapped && number != "" && protocol != "" {
		number, protocol = protocol, number // as answers write it
	}
	p, known := protocols[protocol]
	if !known {
		return port{}, fmt.Errorf("protocol %q is not one of tcp, udp, sctp (ping is :icmp, other ICMP messages :icmp/TYPE and :icmpv6/TYPE)", protocol)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	switch {
	case err == nil && n > 0:
		return port{protocol: p, number: uint16(n)}, nil
	case err == nil || number == "" || number[0] >= '0' && number[0] <= '9':
		return port{}, fmt.Errorf("port %q is neither a number from 1 to 65535 nor the name of a port", number)
	}
	return port{protocol: p, name: number}, nil
}

// of is the port as a number: a name is that of a container port of the end, and ping of the family in which the two speak.
func (p port) of(from, e end) (port, error) {
	_, met := meet(from, e, port{})
	if first := firstOf(met.owns); p.ping && first.Is6() && first.Zone() == "" {
		p = messages["icmpv6"]
	}
	for _, a := range []netip.Addr{from.address, e.address} {
		switch {
		case p.protocol == policy.ICMP && a.Is6() && a.Zone() == "":
			return port{}, fmt.Errorf("to: %s has ICMP messages of IPv6: write icmpv6/TYPE, or icmp for ping", a)
		case p.protocol == policy.ICMPv6 && a.Is4():
			return port{}, fmt.Errorf("to: %s has ICMP messages of IPv4: write icmp/TYPE, or icmp for ping", a)
		}
	}
	if p.name == "" {
		return p, nil
	}
	for _, n := range e.ports {
		if n.Name == p.name && n.Protocol == p.protocol {
			return port{protocol: n.Protocol, number: n.Port}, nil
		}
	}
	return port{}, fmt.Errorf("to: %s has no container port %s", e.name, p)
}

func (p port) String() string {
	if p.name != "" {
		return portText(p.protocol, 0, 0) + "/" + p.name
	}
	return portText(p.protocol, p.number, p.number)
}

// portText is tcp/80, tcp/80-90, tcp (all of it), icmp/8, any.
func portText(protocol uint8, first, last uint16) string {
	name := map[uint8]string{0: "any", policy.TCP: "tcp", policy.UDP: "udp", policy.SCTP: "sctp", policy.ICMP: "icmp", policy.ICMPv6: "icmp6"}[protocol]
	for extended, n := range policy.Extended {
		if n == protocol {
			name = strings.ToLower(extended)
		}
	}
	if name == "" {
		name = fmt.Sprint(protocol)
	}
	switch {
	case protocol == 0 || first == 0 && last == 0xffff:
		return name
	case protocol == policy.ICMP || protocol == policy.ICMPv6:
		return fmt.Sprintf("%s/%d", name, first>>8)
	case first == 0 && last == 0:
		return name
	case first == last:
		return fmt.Sprintf("%s/%d", name, first)
	}
	return fmt.Sprintf("%s/%d-%d", name, first, last)
}

// find gives the ends that a name stands for: one, or all backends of a service. The port is that of the service.
func (q question) find(name string, p port) ([]end, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return q.byAddress(a.Unmap(), p)
	}
	if n, ok := reserved(name); ok {
		return []end{ofNumber(n)}, nil
	}
	if node, ok := strings.CutPrefix(name, prefixNode); ok {
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
	if e, ok := q.pod(namespace, object); ok {
		return []end{e}, nil
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

func reserved(name string) (identity.Number, bool) {
	for _, n := range identity.ReservedNumbers() {
		if n.Name() == name {
			return n, true
		}
	}
	return 0, false
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
	return end{name: w.Namespace + "/" + w.Pod, number: w.Identity, labels: w.Labels, ports: named(w.NamedPorts), governed: true, node: q.localNode(), owns: w.Addresses}
}

func (q question) ofEndpoint(e table.Endpoint) end {
	i, _ := q.t.Identities.One(q.r, state.Join(uint32(e.Identity)))
	return end{name: e.Namespace + "/" + e.Name, number: e.Identity, labels: i.Labels, ports: named(e.NamedPorts), governed: true, node: q.nodeAt(e.Node), owns: e.Addresses}
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
	if who.governed {
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
	for w := range q.t.Workloads.By(q.r, table.ByAddress, key) {
		e, found = q.ofWorkload(w), true
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
