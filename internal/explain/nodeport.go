package explain

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/table"
)

// Node ports that the datapath translates where a workload sends: as in bpf/lib/lb.h.
const (
	firstNodePort = 30000
	lastNodePort  = 32767
)

// nodePort is a port of a node (node port or hostPort) behind which another end serves. The node's netfilter leads on from it
// (kube-proxy, the portmap plugin), so the sender's policies see the node, and those of the end that serves see the sender.
type nodePort struct {
	node   end
	at     port
	leads  string // what makes it one: node port of service shop/web
	spared bool   // the node's own policies are not asked
}

// offered is which number of a port of a service is meant.
type offered func(table.ServicePort) uint16

func atService(p table.ServicePort) uint16 { return p.Port }
func atNode(p table.ServicePort) uint16    { return p.NodePort }

// has is the index of a port among those of a service; -1: it has none like it.
func has(s table.Service, number offered, p port) int {
	return slices.IndexFunc(s.Ports, func(sp table.ServicePort) bool {
		return sp.Protocol == p.protocol && (number(sp) == p.number && p.number != 0 && p.name == "" || sp.Name == p.name && p.name != "")
	})
}

// serviceAt is the service that offers a port at an address, as in internal/derive/service: that whose cluster address it is,
// then that of the lower namespace and name. Known tells whether it is an address of a service at all, whatever its ports.
func (q question) serviceAt(a netip.Addr, p port) (s table.Service, offers, known bool) {
	for _, addresses := range []func(table.Service) []netip.Addr{
		func(s table.Service) []netip.Addr { return s.ClusterIPs },
		func(s table.Service) []netip.Addr { return s.ExternalIPs },
	} {
		for one := range q.t.Services.All(q.r) {
			if !slices.Contains(addresses(one), a) {
				continue
			}
			if has(one, atService, p) >= 0 {
				return one, true, true
			}
			if !known {
				s, known = one, true
			}
		}
	}
	return s, false, known
}

// backends are where a port of a service leads, those alone that have the family of an address if there is one.
func (q question) backends(s table.Service, number offered, p port, at netip.Addr) (ends []end) {
	i := has(s, number, p)
	if i < 0 {
		return nil
	}
	for slice := range q.t.EndpointSlices.By(q.r, table.ByService, table.ObjectKey(s.Namespace, s.Name)) {
		for _, target := range slice.Ports {
			if target.Name != s.Ports[i].Name || target.Protocol != p.protocol {
				continue
			}
			for _, backend := range slice.Endpoints {
				for _, a := range backend.Addresses[:min(1, len(backend.Addresses))] {
					if isOther(a, at) {
						continue
					}
					served := port{protocol: target.Protocol, number: target.Port}
					found := q.who(a)
					found.address, found.backend, found.idle = a, &served, !backend.Ready
					if s.InternalLocal && !slices.Contains(s.ExternalIPs, at) && number(s.Ports[i]) == s.Ports[i].Port {
						found.servesOn = cmp.Or(backend.Node, "no node")
						if a.Zone() != "" {
							found.servesOn = "" // it is not known yet where it will be
						}
					}
					ends = append(ends, found)
				}
			}
		}
	}
	if slices.ContainsFunc(ends, func(e end) bool { return !e.idle }) {
		ends = slices.DeleteFunc(ends, func(e end) bool { return e.idle })
	}
	return ends
}

// serving are the backends that the caller of a service gets: with internalTrafficPolicy Local those of its own node.
func serving(ends []end, source end, service string) ([]end, error) {
	family := slices.DeleteFunc(slices.Clone(ends), func(e end) bool { return isOther(e.address, source.address) })
	if len(family) == 0 {
		return nil, fmt.Errorf("to: %s has no backend of the family of %s", service, source.address)
	}
	own := slices.DeleteFunc(family, func(e end) bool { return e.servesOn != "" && source.node != "" && e.servesOn != source.node })
	if len(own) == 0 {
		return nil, fmt.Errorf("to: %s has no backend on node %s, where %s is, and its internalTrafficPolicy is Local", service, source.node, source.name)
	}
	return distinct(own, source), nil
}

// isOther tells whether two addresses are of different families, if both are known.
func isOther(a, b netip.Addr) bool {
	return a.IsValid() && b.IsValid() && a.Zone() == "" && b.Zone() == "" && a.Is6() != b.Is6()
}

// distinct keeps one end of each identity and port, as policies tell no others apart, and the source by itself.
func distinct(ends []end, source end) []end {
	slices.SortStableFunc(ends, func(a, b end) int {
		return cmp.Or(
			order(!a.isItself(source), !b.isItself(source)), cmp.Compare(a.number, b.number), cmp.Compare(a.backend.number, b.backend.number),
			cmp.Compare(a.name, b.name), a.address.Compare(b.address),
		)
	})
	return slices.CompactFunc(ends, func(a, b end) bool {
		return a.isItself(source) == b.isItself(source) && a.number == b.number && *a.backend == *b.backend && a.ports.String() == b.ports.String() &&
			(a.nodePort == nil || a.node == b.node)
	})
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// behind is who serves a port of a node: the node itself, the backends of a service that has its address or a node port, or
// the pods that have it as hostPort.
func (q question) behind(source, node end, p port) ([]end, error) {
	_, met := meet(source, node, p)
	at := firstOf(met.owns)
	if s, offers, _ := q.serviceAt(at, p); offers && p.name == "" {
		return some(q.backends(s, atService, p, at), s, p, node)
	}
	for s := range q.t.Services.All(q.r) {
		if !hasFamily(s, at) || p.name != "" || has(s, atNode, p) < 0 {
			continue
		}
		ends, err := some(q.backends(s, atNode, p, at), s, p, node)
		known := p.number >= firstNodePort && p.number <= lastNodePort
		if own := source.isNode && source.node == node.node && node.node != ""; own || known && source.governed && !source.isNode {
			return ends, err // translated where it is sent, before policies look
		}
		for i := range ends {
			ends[i].nodePort = &nodePort{node: node, at: p, leads: fmt.Sprintf("node port of service %s/%s", s.Namespace, s.Name), spared: known}
		}
		return ends, err
	}
	if ends := q.hostPorts(source, node, p, at); len(ends) > 0 {
		return ends, nil
	}
	return []end{node}, nil
}

// some are backends, if there are any.
func some(ends []end, s table.Service, p port, node end) ([]end, error) {
	if len(ends) == 0 {
		return nil, fmt.Errorf("to: port %s of %s is that of service %s/%s, which has no backend", p, node.name, s.Namespace, s.Name)
	}
	return ends, nil
}

// hasFamily tells whether a service has the family of an address, in which its node ports are offered.
func hasFamily(s table.Service, at netip.Addr) bool {
	return !at.IsValid() || slices.ContainsFunc(s.ClusterIPs, func(a netip.Addr) bool { return a.Is6() == at.Is6() })
}

// hostPorts are the pods that a port of a node leads to at an address. A pod whose node is not chosen yet may be there.
func (q question) hostPorts(source, node end, p port, at netip.Addr) (ends []end) {
	for pod := range q.t.Pods.All(q.r) {
		if pod.Finished || pod.HostNetwork || pod.Node != node.node && pod.Node != "" {
			continue
		}
		for _, h := range pod.HostPorts {
			e, ok := q.pod(pod.Namespace, pod.Name)
			if !ok || p.name != "" || h.Protocol != p.protocol || h.HostPort != p.number || !isFor(h.HostIP, at) {
				continue
			}
			e.backend = &port{protocol: p.protocol, number: h.Port}
			if !source.isNode || source.node != node.node || node.node == "" { // else it is led on where it is sent
				e.nodePort = &nodePort{node: node, at: p, leads: fmt.Sprintf("hostPort of %s", e.name)}
			}
			ends = append(ends, e)
		}
	}
	return ends
}

// isFor tells whether a hostPort with this hostIP is at an address of its node; zero: any of them.
func isFor(hostIP, a netip.Addr) bool {
	return !hostIP.IsValid() || !a.IsValid() || hostIP == a || hostIP.IsUnspecified() && hostIP.Is6() == a.Is6()
}

// enter is what policies make of a connection through a node port: those of who sends, of the node, and of who serves.
func (q question) enter(from, to end, p port) agentv1.Explanation {
	d := to.nodePort
	node, at := d.node, d.at
	sees, serves := meet(from, node, at)
	x := q.explain(sees, serves, at)
	via := agentv1.Via{Party: x.To, Port: x.Port, Leads: d.leads, Ingress: x.Ingress}
	if d.spared {
		via.Ingress = agentv1.PolicySide{Verdict: policy.Allow.String(), Reason: "who calls a node port calls the service, not the node"}
	}
	behind := q.explain(q.carried(from, node, to), to, p)
	x.Via, x.To, x.Port, x.Ingress = &via, behind.To, behind.Port, behind.Ingress
	x.Allowed = passes(x.Egress) && passes(via.Ingress) && passes(x.Ingress)
	return x
}

// carried is the sender as the end that serves sees it: never as itself, and with native routing on another node as the node that
// has led on, whose address the sender has got. A node that calls another one is a remote one by then to its own pods, too.
func (q question) carried(from, node, to end) end {
	if q.config.Routing == settings.Native && to.node != node.node && to.node != "" {
		from = ofNumber(identity.RemoteNode)
		from.owns, from.address = node.owns, node.address
	}
	if from.isNode {
		from.node = ""
	}
	from.carried = true
	return from
}

// unknown says what an agent cannot know of another node: the hostPorts of its pods.
func (q question) unknown(target end) []string {
	local := q.localNode()
	if !target.isNode || target.backend != nil || local == "" || target.node == local || target.node == "" {
		return nil
	}
	return []string{fmt.Sprintf("if a pod of node %s has this as its hostPort, its policies decide, too: ask the agent there", target.node)}
}
