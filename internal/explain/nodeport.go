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
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// nodePort is a port of a node (node port, hostPort, that of an external address) behind which another end serves. The node leads on from it,
// by its programs or in its netfilter (kube-proxy, the portmap plugin), so the sender's policies see the node, and those of the end that
// serves see the sender.
type nodePort struct {
	node   end
	at     port
	leads  string // what makes it one: node port of service shop/web
	spared string // why the node's own policies are not asked; empty: they are
	direct bool   // an end on another node answers who is outside itself (DSR)
}

// offered is which number of a port of a service is meant.
type offered func(table.ServicePort) uint16

func atService(p table.ServicePort) uint16 { return p.Port }
func atNode(p table.ServicePort) uint16    { return p.NodePort }

// has is the index of a port among those of a service; -1: it has none like it.
func has(s table.Service, number offered, p port) int {
	return slices.IndexFunc(s.Ports, func(sp table.ServicePort) bool {
		return sp.Protocol == p.Protocol && (number(sp) == p.Number && p.Number != 0 && p.Name == "" || sp.Name == p.Name && p.Name != "")
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
			if target.Name != s.Ports[i].Name || target.Protocol != p.Protocol {
				continue
			}
			for _, backend := range slice.Endpoints {
				for _, a := range backend.Addresses[:min(1, len(backend.Addresses))] {
					if isOther(a, at) {
						continue
					}
					served := port{Protocol: target.Protocol, Number: target.Port}
					found := q.who(a)
					found.address, found.backend, found.idle, found.on = a, &served, !backend.Ready, backend.Node
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
			order(!a.isItself(source), !b.isItself(source)), cmp.Compare(a.number, b.number), cmp.Compare(a.backend.Number, b.backend.Number),
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
	if p.Name != "" {
		return []end{node}, nil
	}
	if s, offers, _ := q.serviceAt(at, p); offers {
		return q.led(q.backends(s, atService, p, at), s, source, nodePort{node: node, at: p, leads: "address of", spared: "who calls a service's address calls the service, not the node"})
	}
	for s := range q.t.Services.All(q.r) {
		if !hasFamily(s, at) || !q.offers(node, at) || has(s, atNode, p) < 0 || q.config.Outside.NodePorts && !q.isNodePort(p) {
			continue
		}
		door := nodePort{node: node, at: p, leads: "node port of"}
		if q.isNodePort(p) {
			door.spared = "who calls a node port calls the service, not the node"
		}
		return q.led(q.backends(s, atNode, p, at), s, source, door)
	}
	if ends := q.hostPorts(source, node, p, at); len(ends) > 0 {
		return ends, nil
	}
	return []end{node}, nil
}

// isNodePort tells whether programs take a port for a node port, if a service has it.
func (q question) isNodePort(p port) bool {
	return p.Number >= q.config.Outside.First && p.Number <= q.config.Outside.Last
}

// offers tells whether a node offers node ports at an address of it. What kube-proxy does is not known here.
func (q question) offers(node end, at netip.Addr) bool {
	n, known := q.t.Nodes.One(q.r, state.Join(node.node))
	return !known || !at.IsValid() || !q.config.Outside.NodePorts || q.config.Outside.At.Has(at, n.Addresses)
}

// led are the backends of a service that a source gets which calls it at a node: straight, if they are chosen where it sends, else by way of
// the node.
func (q question) led(ends []end, s table.Service, source end, door nodePort) ([]end, error) {
	name := fmt.Sprintf("service %s/%s", s.Namespace, s.Name)
	straight := q.isLed(source, door, s)
	door.direct = q.isDirect(s, door.at)
	if door.leads += " " + name; !straight && s.ExternalLocal {
		ends = slices.DeleteFunc(ends, func(e end) bool { return e.on != door.node.node && e.address.Zone() == "" })
		name += " with externalTrafficPolicy Local"
	}
	if len(ends) == 0 {
		return nil, fmt.Errorf("to: port %s of %s is that of %s, which has no backend%s", door.at, door.node.name, name, map[bool]string{true: " there"}[!straight && s.ExternalLocal])
	}
	for i := range ends {
		if !straight {
			ends[i].nodePort = &door
		}
	}
	return ends, nil
}

// isLed tells whether a call is led to a backend where it is sent, before policies look. The node port of another node is not, if that alone
// knows what it offers.
func (q question) isLed(source end, door nodePort, s table.Service) bool {
	isPod := source.governed && !source.isNode
	byNode := s.ExternalLocal && q.config.Outside.NodePorts && source.node != door.node.node
	switch {
	case source.isNode && source.node == door.node.node && source.node != "":
		return true
	case has(s, atNode, door.at) < 0: // an address of the service
		return isPod || source.isNode
	case isPod, source.isNode && q.config.Sockets.On:
		return q.isNodePort(door.at) && !byNode
	}
	return false
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
			if !ok || p.Name != "" || h.Protocol != p.Protocol || h.HostPort != p.Number || !isFor(h.HostIP, at) {
				continue
			}
			e.backend = &port{Protocol: p.Protocol, Number: h.Port}
			sent := source.node == node.node && node.node != "" && (source.isNode || source.governed && q.config.Outside.HostPorts)
			if door := (nodePort{node: node, at: p, leads: fmt.Sprintf("hostPort of %s", e.name)}); !sent { // else it is led on where it is sent
				if q.config.Outside.HostPorts {
					door.spared = "who calls a hostPort calls the pod, not the node"
				}
				e.nodePort = &door
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
	if d.spared != "" {
		via.Ingress = agentv1.PolicySide{Verdict: policy.Allow.String(), Reason: d.spared}
	}
	behind := q.explain(q.carried(from, node, to, d.direct), to, p)
	x.Via, x.To, x.Port, x.Ingress = &via, behind.To, behind.Port, behind.Ingress
	x.Allowed = passes(x.Egress) && passes(via.Ingress) && passes(x.Ingress)
	return x
}

// isDirect tells whether backends of a service on other nodes answer who is outside themselves.
func (q question) isDirect(s table.Service, p port) bool {
	return q.config.Outside.Any() && q.config.Outside.Direct(s.Forwarding, p.Protocol == policy.TCP)
}

// carried is the sender as the end that serves sees it: never as itself, and on another node than the one that has led on with that node's
// address. By the tunnel who it is comes with it; with native routing, and to a node, it is the node that has led on. A node that calls
// another one is a remote one by then to its own pods, too. Direct: who is outside comes with its own address.
func (q question) carried(from, node, to end, direct bool) end {
	elsewhere := to.node != node.node && to.node != ""
	switch {
	case direct && from.isOutside():
	case elsewhere && (q.config.Routing == settings.Native || to.isNode):
		from = ofNumber(identity.RemoteNode)
		from.owns, from.address = node.owns, node.address
	case elsewhere && from.isOutside():
		from.owns, from.address = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, netip.Addr{}
	}
	if from.isNode {
		from.node = ""
	}
	from.carried = true
	return from
}

// isOutside tells whether an end is outside the cluster.
func (e end) isOutside() bool {
	return !e.isNode && !e.governed && policy.PlaceOf(e.number) == policy.Outside
}

// entered are the backends that an end gets which calls a service at an address of its own. Where a call from outside enters the cluster is
// not known, if any node may lead it on.
func (q question) entered(source end, called string, p port, ends []end) ([]end, error) {
	at, err := netip.ParseAddr(called)
	s, offers, _ := q.serviceAt(at.Unmap(), p)
	if err != nil || !offers || !source.isOutside() {
		return ends, nil
	}
	if slices.Contains(s.ClusterIPs, at.Unmap()) && q.config.Replaces() {
		return nil, fmt.Errorf("to: %s is a cluster address, of service %s/%s: without kube-proxy no machine outside the cluster reaches it", at, s.Namespace, s.Name)
	}
	if slices.Contains(s.LoadBalancerIPs, at.Unmap()) && source.address.IsValid() && !admits(s, source.address) {
		return nil, fmt.Errorf("to: %s is an address of service %s/%s, and %s is in none of its loadBalancerSourceRanges", at, s.Namespace, s.Name, source.address)
	}
	if s.ExternalLocal {
		ends = slices.DeleteFunc(ends, func(e end) bool { return e.on == "" && e.address.Zone() == "" })
	}
	if len(ends) == 0 {
		return nil, fmt.Errorf("to: %s is service %s/%s, which has no backend on any node, and its externalTrafficPolicy is Local", at, s.Namespace, s.Name)
	}
	for i := range ends {
		ends[i].enters = &s
	}
	return ends, nil
}

// admits tells whether a service takes calls of a client at addresses of load balancers: as its longest range that has it says.
func admits(s table.Service, client netip.Addr) bool {
	bits, allowed := -1, len(s.Sources) == 0
	for _, one := range s.Sources {
		if one.Prefix.Contains(client) && one.Prefix.Bits() > bits {
			bits, allowed = one.Prefix.Bits(), one.Allowed
		}
	}
	return allowed
}

// elsewhere says what becomes of a call that enters the cluster at another node than that of who serves, if that is something else.
func (q question) elsewhere(from, to end, p port, x agentv1.Explanation) []string {
	switch {
	case to.enters == nil || to.node == "":
		return nil
	case to.enters.ExternalLocal:
		return []string{fmt.Sprintf("the call must enter the cluster at node %s: the service's externalTrafficPolicy is Local", to.node)}
	}
	other := q.explain(q.carried(from, end{}, to, q.isDirect(*to.enters, p)), to, p)
	if other.Ingress.Verdict == x.Ingress.Verdict {
		return nil
	}
	as := "without the address of its client"
	if q.config.Routing == settings.Native || to.isNode {
		as = "from that node (" + identity.RemoteNode.Name() + ")"
	}
	return []string{fmt.Sprintf("a call that enters the cluster at another node than %s comes %s: %s", to.node, as, other.Ingress.Verdict)}
}

// unknown says what an agent cannot know of another node: the hostPorts of its pods.
func (q question) unknown(target end) []string {
	local := q.localNode()
	if !target.isNode || target.backend != nil || local == "" || target.node == local || target.node == "" {
		return nil
	}
	return []string{fmt.Sprintf("if a pod of node %s has this as its hostPort, its policies decide, too: ask the agent there", target.node)}
}
