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
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Ports that nodes reach each other on whatever their policies say, and those of DHCP: as in bpf/lib/node.h.
const (
	portHealth = 4240
	portDHCP   = 67  // server; the client has the next one
	portDHCPv6 = 546 // client; the server has the next one
)

// ICMPv6 types of neighbours: RFC 2710, RFC 4861, and reports of RFC 3810.
const (
	firstNeighbor = 130
	lastNeighbor  = 137
	groupReport   = 143
)

// ofNode is a node as an end. As which identity it is seen depends on where the other end is.
func ofNode(n table.Node) end {
	e := ofNumber(identity.RemoteNode)
	e.name, e.node, e.isNode, e.owns = "node "+n.Name, n.Name, true, n.Addresses
	return e
}

func (q question) nodeNamed(name string) (end, error) {
	if n, ok := q.t.Nodes.One(q.r, state.Join(name)); ok {
		return ofNode(n), nil
	}
	return end{}, fmt.Errorf("there is no node %s%s", name, q.nodeNames("; there are "))
}

// nodeNames lists some nodes after an introduction; nothing if there are none.
func (q question) nodeNames(introduction string) string {
	var names []string
	for n := range q.t.Nodes.All(q.r) {
		if len(names) == 5 {
			names = append(names, "…")
			break
		}
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		return ""
	}
	return introduction + strings.Join(names, ", ")
}

// nodeAt is the name of the node that has an address, localNode that of the one who answers; empty: not known.
func (q question) nodeAt(a netip.Addr) string {
	for n := range q.t.Nodes.All(q.r) {
		if slices.Contains(n.Addresses, a) {
			return n.Name
		}
	}
	if h, ok := q.t.IPCache.One(q.r, state.Join(uint32(0), netip.PrefixFrom(a.WithZone(""), a.BitLen()))); ok && h.Flags&table.IPCacheNode != 0 && h.Flags&table.IPCacheLocal != 0 {
		return q.localNode() // an address of one of its other devices
	}
	return ""
}

func (q question) localNode() string {
	n, _ := q.t.LocalNode(q.r)
	return n.Name
}

// hostOf makes the entity host what it stands for: the node that the other end is on, else the one who answers.
func (q question) hostOf(e, other end) end {
	if e.name != identity.Host.Name() {
		return e
	}
	n, ok := q.t.Nodes.One(q.r, state.Join(other.node))
	if other.node == "" {
		n, ok = q.t.Nodes.One(q.r, state.Join(q.localNode()))
	}
	if !ok {
		return e
	}
	host := ofNode(n)
	host.name = fmt.Sprintf("%s (node %s)", e.name, n.Name)
	return host
}

// seen is an end as the policies of another one see it: a node is host to what is on it, remote-node to all others.
func (e end) seen(by end) end {
	if !e.isNode || e.node == "" {
		return e
	}
	e.number = identity.RemoteNode
	if e.node == by.node {
		e.number = identity.Host
	}
	e.labels = identity.Reserved(e.number)
	return e
}

// which refuses a node without a name if it matters which one it is: policies are for some of them.
func (q question) which(e end) error {
	if !e.isNode || e.node != "" || !q.config.HostFirewall {
		return nil
	}
	for n := range q.t.Nodes.All(q.r) {
		who := policyinput.NodeSubject(n, q.config).Labels
		for _, rule := range q.rules {
			if rule.Subject.Matches(who) {
				return fmt.Errorf("which %s? %s is for node %s: write %s%s%s", e.name, rule.Origin, n.Name, notation.Node, n.Name, q.nodeNames("; nodes are "))
			}
		}
	}
	return nil
}

// governs tells whether policies are for an end at all, and else why not.
func (q question) governs(e end) (bool, string) {
	switch {
	case !e.isNode && !e.governed:
		return false, "no policy is for it: policies restrict pods, virtual machines and nodes"
	case e.isNode && !q.config.HostFirewall:
		for _, rule := range q.rules {
			if rule.Subject.Matches(q.subject(e).Labels) {
				return false, fmt.Sprintf("%s is without effect: policies for nodes are off (enable-host-firewall: false)", rule.Origin)
			}
		}
		return false, "no policy is for it: policies for nodes are off (enable-host-firewall: false)"
	}
	return true, ""
}

// subject is an end as one who has policies.
func (q question) subject(e end) policy.Subject {
	if !e.isNode {
		return policy.Subject{Labels: e.labels, NamedPorts: e.ports}
	}
	n, _ := q.t.Nodes.One(q.r, state.Join(e.node))
	return policyinput.NodeSubject(n, q.config)
}

// optionsFor are those that hold for an end.
func (q question) optionsFor(e end) policy.Options {
	if e.isNode {
		return policyinput.NodeOptions(q.options)
	}
	options := q.options
	options.Audit = options.Audit || policyinput.Audited(q.r, q.t, q.subject(e).Labels)
	return options
}

// exempt says why a packet passes a node whatever its policies say; empty: they decide.
func (q question) exempt(node, peer end, p policy.Packet) string {
	if !node.isNode {
		return ""
	}
	kind := p.Port >> 8
	switch {
	case node.node != "" && peer.node == node.node && peer.isNode:
		return "what a node says to itself leaves no device of it"
	case p.Protocol == policy.ICMPv6 && (kind >= firstNeighbor && kind <= lastNeighbor || kind == groupReport):
		return "neighbours always find each other (NDP, MLD)"
	case peer.isNode && p.Protocol == policy.TCP && p.Port == portHealth:
		return fmt.Sprintf("nodes always reach each other's health port (tcp/%d)", portHealth)
	case peer.isNode && p.Protocol == policy.UDP && q.config.Routing == settings.Tunnel && p.Port == q.config.TunnelPort:
		return fmt.Sprintf("nodes always reach each other's tunnel port (udp/%d)", q.config.TunnelPort)
	}
	return ""
}

// exemptions are those that effective lists: who passes whatever policies say, on which ports, and why.
func (q question) exemptions(e end) (list []agentv1.EffectivePeer) {
	if !e.isNode {
		return []agentv1.EffectivePeer{{Verdict: policy.Allow.String(), Names: []string{"itself"}, Ports: []string{notation.Text(0, 0, 0)}, Reason: "a workload always reaches itself"}}
	}
	ports := []notation.Span{{Protocol: policy.TCP, First: portHealth, Last: portHealth}}
	if q.config.Routing == settings.Tunnel {
		ports = append(ports, notation.Span{Protocol: policy.UDP, First: q.config.TunnelPort, Last: q.config.TunnelPort})
	}
	return []agentv1.EffectivePeer{{
		Verdict: policy.Allow.String(), Names: []string{identity.RemoteNode.Name()}, Ports: notation.Merge(ports),
		Reason: "nodes always reach each other's health and tunnel ports",
	}}
}

// dhcp says what of a denied packet to a port of DHCP passes nevertheless: an address asks from a port that is not told here.
func dhcp(subject end, p policy.Packet) []string {
	if !subject.isNode || p.Protocol != policy.UDP {
		return nil
	}
	for _, first := range []uint16{portDHCP, portDHCPv6} {
		if p.Port == first || p.Port == first+1 {
			return []string{fmt.Sprintf("DHCP itself passes a node: from udp/%d to udp/%d", 2*first+1-p.Port, p.Port)}
		}
	}
	return nil
}
