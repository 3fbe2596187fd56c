package explain

import (
	"cmp"
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
	address  netip.Addr // if it matters which of them
	at       netip.Addr // else one of them
	node     string     // name of the node that it is on, or is; empty: nobody knows
	isNode   bool
	number   identity.Number
	labels   identity.Labels
	ports    policy.NamedPorts
	governed bool
	backend  *port // of a service: where it ends up
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
	return policy.Peer{Number: e.number, Labels: e.labels, NamedPorts: e.ports, Address: e.where()}
}

// where is an address of the end; zero: it has none, or many.
func (e end) where() netip.Addr {
	if e.address.IsValid() {
		return e.address
	}
	return e.at
}

func firstOf(list []netip.Addr) (a netip.Addr) {
	if len(list) > 0 {
		a = list[0]
	}
	return a
}

// port is what is asked for of the end that serves.
type port struct {
	protocol uint8
	number   uint16 // ICMP: type<<8
	name     string // of a container port, or of a port of a service
}

var protocols = map[string]uint8{"": policy.TCP, "tcp": policy.TCP, "udp": policy.UDP, "sctp": policy.SCTP}

// cut takes the port off an end: shop/db:5432/tcp, [fd00::1]:53/udp, shop/web:icmp, node:a:22. Without a colon there is none.
func cut(text string) (name, port string) {
	if rest, ok := strings.CutPrefix(text, "["); ok {
		name, port, _ = strings.Cut(rest, "]")
		return name, strings.TrimPrefix(port, ":")
	}
	if rest, ok := strings.CutPrefix(text, prefixNode); ok {
		name, port, _ = strings.Cut(rest, ":")
		return prefixNode + name, port
	}
	if strings.Count(text, ":") != 1 {
		return text, "" // no port, or an IPv6 address without brackets
	}
	name, port, _ = strings.Cut(text, ":")
	return name, port
}

func parsePort(text string) (port, error) {
	number, protocol, _ := strings.Cut(strings.ToLower(text), "/")
	if number == "icmp" || number == "ping" {
		return port{protocol: policy.ICMP, number: 8 << 8}, nil
	}
	if n, known := policy.Extended[strings.ToUpper(number)]; known && protocol == "" {
		return port{protocol: n}, nil
	}
	p, known := protocols[protocol]
	if !known {
		return port{}, fmt.Errorf("protocol %q is not one of tcp, udp, sctp (ping is :icmp)", protocol)
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
	case protocol == 0 || first == 0 && (last == 0 || last == 0xffff):
		return name
	case protocol == policy.ICMP || protocol == policy.ICMPv6:
		return fmt.Sprintf("%s/%d", name, first>>8)
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
	ends, known := q.backends(namespace, object, p)
	switch {
	case len(ends) > 0:
		return ends, nil
	case known:
		return nil, fmt.Errorf("service %s has no backend for port %s", name, p)
	}
	return nil, fmt.Errorf("there is no pod, virtual machine or service %s%s", name, q.similar(namespace, object))
}

// similar names the workloads of a namespace whose name begins alike: pods have suffixes that nobody remembers.
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
	full := namespace + "/" + name
	for w := range q.t.Workloads.By(q.r, table.ByPod, key) {
		return end{name: full, number: w.Identity, labels: w.Labels, ports: named(w.NamedPorts), governed: true, node: q.localNode(), at: firstOf(w.Addresses)}, true
	}
	if e, ok := q.t.Endpoints.One(q.r, key); ok {
		return q.ofEndpoint(e), true
	}
	if p, ok := q.t.Pods.One(q.r, key); ok && p.HostNetwork {
		e := ofNumber(identity.Host)
		if n, ok := q.t.Nodes.One(q.r, state.Join(p.Node)); ok {
			e = ofNode(n)
		}
		e.name = full + " (on the host network)"
		return e, true
	}
	return end{}, false
}

func (q question) ofEndpoint(e table.Endpoint) end {
	i, _ := q.t.Identities.One(q.r, state.Join(uint32(e.Identity)))
	return end{name: e.Namespace + "/" + e.Name, number: e.Identity, labels: i.Labels, ports: named(e.NamedPorts), governed: true, node: q.nodeAt(e.Node), at: firstOf(e.Addresses)}
}

func named(ports []table.NamedPort) (out policy.NamedPorts) {
	for _, p := range ports {
		out = append(out, policy.NamedPort(p))
	}
	return out
}

// byAddress is who has an address: a workload, a node, a service, or nobody in the cluster.
func (q question) byAddress(a netip.Addr, p port) ([]end, error) {
	key := state.Join(a)
	for w := range q.t.Workloads.By(q.r, table.ByAddress, key) {
		return []end{{name: w.Namespace + "/" + w.Pod, address: a, number: w.Identity, labels: w.Labels, ports: named(w.NamedPorts), governed: true, node: q.localNode()}}, nil
	}
	for e := range q.t.Endpoints.By(q.r, table.ByAddress, key) {
		out := q.ofEndpoint(e)
		out.address = a
		return []end{out}, nil
	}
	for n := range q.t.Nodes.All(q.r) {
		if slices.Contains(n.Addresses, a) {
			e := ofNode(n)
			e.address = a
			return []end{e}, nil
		}
	}
	for s := range q.t.Services.All(q.r) {
		if slices.Contains(s.ClusterIPs, a) || slices.Contains(s.ExternalIPs, a) {
			ends, _ := q.backends(s.Namespace, s.Name, p)
			if len(ends) == 0 {
				return nil, fmt.Errorf("%s is service %s/%s, which has no backend for port %s", a, s.Namespace, s.Name, p)
			}
			return ends, nil
		}
	}
	e := q.outside(a)
	e.name, e.address = a.String(), a
	return []end{e}, nil
}

// outside is what policies take an address for that nobody in the cluster has: the longest prefix that the node knows.
func (q question) outside(a netip.Addr) end {
	for bits := a.BitLen(); bits >= 0; bits-- {
		prefix, _ := a.Prefix(bits)
		h, ok := q.t.Hosts.One(q.r, state.Join(uint32(0), prefix))
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

// backends are where a port of a service leads, one for each set of identity and port; known tells whether there is such
// a service at all.
func (q question) backends(namespace, name string, p port) (ends []end, known bool) {
	key := table.ObjectKey(namespace, name)
	s, known := q.t.Services.One(q.r, key)
	i := slices.IndexFunc(s.Ports, func(sp table.ServicePort) bool {
		return sp.Protocol == p.protocol && (sp.Port == p.number && p.name == "" || sp.Name == p.name && p.name != "")
	})
	if i < 0 {
		return nil, known
	}
	for slice := range q.t.EndpointSlices.By(q.r, table.ByService, key) {
		for _, target := range slice.Ports {
			if target.Name != s.Ports[i].Name || target.Protocol != p.protocol {
				continue
			}
			for _, backend := range slice.Endpoints {
				for _, a := range backend.Addresses[:min(1, len(backend.Addresses))] {
					found, err := q.byAddress(a, port{protocol: p.protocol, number: target.Port})
					if err != nil {
						continue
					}
					found[0].address = a
					found[0].backend = &port{protocol: target.Protocol, number: target.Port}
					ends = append(ends, found[0])
				}
			}
		}
	}
	slices.SortStableFunc(ends, func(a, b end) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.backend.number, b.backend.number), cmp.Compare(a.name, b.name))
	})
	return slices.CompactFunc(ends, func(a, b end) bool {
		return a.number == b.number && *a.backend == *b.backend && a.ports.String() == b.ports.String()
	}), known
}
