// Package tier says what a ClusterNetworkPolicy says of a packet, from its raw text and in the words of its API
// (policy.networking.k8s.io/v1alpha2).
//
// # The world it models
//
// A policy is in tier Admin or Baseline and has a priority. Of a packet from or to a subject that it selects, each of its
// rules says nothing, or Accept, Deny or Pass. Says lists them; who asks weighs them against those of other policies.
//
// # Invariants
//
//   - It shares no code with the project.
//   - Text that sets no field that this version of the API knows fails closed: its rule says nothing if it accepts, and
//     Deny to everybody if it denies or passes.
//   - Domain names are not enforced yet: a rule with some accepts DNS for them and nothing else.
//
// # Example
//
//	for _, s := range tier.Says(policy, call) {
//		fmt.Println(s.Path, s.Action) // ingress[0] Deny
//	}
package tier

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/test/oracle/raw"
)

// Call is a packet as a policy sees it.
type Call struct {
	Ingress  bool              // to the subject; else from it
	Subject  map[string]string // source:key -> value
	Peer     map[string]string // nil: it is not known who it is
	Address  netip.Addr        // of the peer
	Protocol string            // TCP, UDP, SCTP, or another
	Port     int
	Named    func(name string) bool // whether the port that is called has a name

	Cluster string // name of this one
	Nodes   []raw.Object
}

// Say is what one rule says of a packet.
type Say struct {
	Priority, Index int // of the policy, and of the rule in its direction
	Action          string
	Path            string // ingress[0]
}

// Before tells whether a rule is heard, and another is not. "Policies with lower priority values have higher precedence
// … a rule that appears at the top … would take the highest precedence." Of two policies with one priority "the
// implementation can apply any"; this one reads them side by side (C8: priority + i/100), deny before accept before pass.
func (s Say) Before(t Say) bool {
	return slices.Compare(s.weight(), t.weight()) < 0
}

// Beside tells whether neither of two is heard before the other.
func (s Say) Beside(t Say) bool { return slices.Equal(s.weight(), t.weight()) }

func (s Say) weight() []int {
	return []int{s.Priority, s.Index, slices.Index([]string{"Deny", "Accept", "Pass"}, s.Action)}
}

// Of is the tier that a policy is in.
func Of(policy raw.Object) string { return raw.Text(raw.Sub(policy, "spec"), "tier") }

// Prefixes of labels in identities.
const (
	ofPods       = "k8s:"
	ofNamespaces = "k8s:io.cilium.k8s.namespace.labels."
	ofNodes      = "node"
	namespace    = "k8s:io.kubernetes.pod.namespace"
	cluster      = "k8s:io.cilium.k8s.policy.cluster"
)

// Says lists what the rules of a policy say of a packet; none if it does not select the subject.
func Says(policy raw.Object, c Call) (out []Say) {
	spec := raw.Sub(policy, "spec")
	if !selects(raw.Sub(spec, "subject"), c.Subject) {
		return nil
	}
	list, side := "egress", "to"
	if c.Ingress {
		list, side = "ingress", "from"
	}
	for i, rule := range raw.Objects(spec, list) {
		s := Say{raw.Number(spec, "priority"), i, raw.Text(rule, "action"), raw.At(list, i)}
		peers, protocols := raw.Objects(rule, side), raw.Objects(rule, "protocols")
		switch {
		case slices.ContainsFunc(peers, c.unknownPeer) || slices.ContainsFunc(protocols, unknownProtocol):
			// "For Accept rules, fail closed means: treat the rule as matching no traffic. For Deny and Pass rules … treat the
			// rule as a Deny all rule."
			if s.Action != "Accept" {
				s.Action = "Deny"
				out = append(out, s)
			}
		case c.meansPeer(peers) && c.meansPort(protocols), c.asksForNames(peers):
			out = append(out, s)
		}
	}
	return out
}

// selects tells whether a subject, or a peer of one of the two kinds, is about pods with these labels. "Host-networked
// pods are not included": they have no labels of pods.
func selects(choice raw.Object, labels map[string]string) bool {
	wanted := []raw.Requirement{raw.Exists(namespace)}
	if raw.There(choice, "pods") {
		pods := raw.Sub(choice, "pods")
		wanted = append(wanted, raw.Prefixed(raw.Sub(pods, "namespaceSelector"), ofNamespaces)...)
		wanted = append(wanted, raw.Prefixed(raw.Sub(pods, "podSelector"), ofPods)...)
	} else {
		wanted = append(wanted, raw.Prefixed(raw.Sub(choice, "namespaces"), ofNamespaces)...)
	}
	return raw.All(wanted, labels)
}

// kinds of peers: "exactly one of the fields must be set".
func kinds(ingress bool) []string {
	if ingress {
		return []string{"namespaces", "pods"}
	}
	return []string{"namespaces", "pods", "nodes", "networks", "domainNames"}
}

func (c Call) unknownPeer(peer raw.Object) bool { return set(peer, kinds(c.Ingress)...) == 0 }

// set counts which of some members are there.
func set(o raw.Object, members ...string) (count int) {
	for _, member := range members {
		if raw.There(o, member) {
			count++
		}
	}
	return count
}

// meansPeer: C8, an empty list is everybody. "If any element matches … then the specified action is applied."
func (c Call) meansPeer(peers []raw.Object) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(peer raw.Object) bool {
		switch {
		case raw.There(peer, "namespaces") || raw.There(peer, "pods"):
			_, here := c.Peer[cluster]
			return here && c.Peer[cluster] == c.Cluster && selects(peer, c.Peer)
		case raw.There(peer, "nodes"):
			return slices.ContainsFunc(c.Nodes, func(node raw.Object) bool {
				return raw.All(raw.Prefixed(raw.Sub(peer, "nodes"), ofNodes+":"), raw.Sourced(ofNodes, raw.Labels(node))) && c.isNode(node)
			})
		case raw.There(peer, "networks"):
			// "cluster-internal traffic will be checked against the rule as well"
			return raw.InsideAny(raw.Texts(peer, "networks"), c.Address)
		}
		return false
	})
}

// isNode: "matching on the IPs present in the node.Status.Addresses field of the node".
func (c Call) isNode(node raw.Object) bool {
	return slices.ContainsFunc(raw.Objects(raw.Sub(node, "status"), "addresses"), func(address raw.Object) bool {
		return raw.Inside(raw.Text(address, "address"), c.Address)
	})
}

// transports are the members of an element of protocols that have ports.
var transports = map[string]string{"tcp": "TCP", "udp": "UDP", "sctp": "SCTP"}

func unknownProtocol(protocol raw.Object) bool {
	for member := range transports {
		if raw.There(protocol, member) {
			port := raw.Sub(raw.Sub(protocol, member), "destinationPort")
			return raw.Number(port, "number") == 0 && !raw.There(port, "range")
		}
	}
	return raw.Text(protocol, "destinationNamedPort") == ""
}

// meansPort: "If unspecified, protocol-specific attributes will not be used to match traffic."
func (c Call) meansPort(protocols []raw.Object) bool {
	return len(protocols) == 0 || slices.ContainsFunc(protocols, func(protocol raw.Object) bool {
		if name := raw.Text(protocol, "destinationNamedPort"); name != "" {
			return c.Named(name)
		}
		for member, name := range transports {
			port := raw.Sub(raw.Sub(protocol, member), "destinationPort")
			first, last := raw.Number(port, "number"), raw.Number(port, "number")
			if ports := raw.Sub(port, "range"); ports != nil {
				first, last = raw.Number(ports, "start"), raw.Number(ports, "end")
			}
			if raw.There(protocol, member) && c.Protocol == name && first <= c.Port && c.Port <= last {
				return true
			}
		}
		return false
	})
}

// asksForNames: C8, domainNames add "a DNS allow to k8s-app=kube-dns ports dns/dns-tcp".
func (c Call) asksForNames(peers []raw.Object) bool {
	return slices.ContainsFunc(peers, func(peer raw.Object) bool {
		server := raw.All([]raw.Requirement{raw.Exists(namespace), raw.In(ofPods+"k8s-app", "kube-dns")}, c.Peer)
		return !c.Ingress && raw.There(peer, "domainNames") && server && (c.Named("dns") || c.Named("dns-tcp"))
	})
}
