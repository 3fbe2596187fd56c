// Package named knows which ports the workloads of a cluster mean by a name.
//
// # The world it models
//
// Policy of egress may name a port: it stands for the port by that name of the workload that is called. In the kernel a peer
// is an identity, and workloads of one identity may give a name to different ports: while a rollout changes a port's number,
// or where two Deployments share their labels. Those are told apart by their addresses:
//
//	a name is http, asked for by some egress rule
//	identity 300: two pods with http=8080                      -> Ports: http is 8080
//	identity 301: 10.1.2.3 with http=8080, 10.1.2.4 with 9090  -> Members: each address in a kind of its own
//
// # Invariants
//
//   - A name never stands for a port that the workload which is called does not have by that name.
//   - Names that no rule asks for make no difference.
package named

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy/partition"
	"weftnet.io/weftnet/internal/policy/span"
)

// Holder is a workload as one that has named ports.
type Holder struct {
	Addresses  []netip.Addr
	NamedPorts span.NamedPorts
}

// Holders lists the workloads of an identity.
type Holders func(identity.Number) []Holder

// Kind is workloads of one identity that mean the same by all names.
type Kind struct {
	Labels identity.Labels
	Ports  span.NamedPorts
}

// Names is what is known of identities.
type Names struct {
	Asked   []span.Port                         // names that rules ask for
	Ports   map[identity.Number]span.NamedPorts // of identities whose workloads agree, as far as they are asked for
	Kinds   map[string]Kind                     // of workloads that do not agree, by the key of their members
	Members []partition.Member
	apart   map[identity.Number]bool // identities whose workloads do not agree
}

// Of asks the workloads of these identities.
func Of(asked []span.Port, peers iter.Seq2[identity.Number, identity.Labels], of Holders) Names {
	n := Names{Asked: asked, Ports: map[identity.Number]span.NamedPorts{}, Kinds: map[string]Kind{}, apart: map[identity.Number]bool{}}
	if len(asked) == 0 || of == nil {
		return n
	}
	for number, labels := range peers {
		if list := of(number); len(list) > 0 {
			n.learn(number, labels, list)
		}
	}
	return n
}

func (n *Names) learn(number identity.Number, labels identity.Labels, list []Holder) {
	if n.agree(list) {
		n.Ports[number] = n.about(list[0].NamedPorts)
		return
	}
	n.apart[number] = true
	for _, h := range list {
		ports := n.about(h.NamedPorts)
		if len(ports) == 0 {
			continue
		}
		key := fmt.Sprintf("named %d %s", number, ports)
		n.Kinds[key] = Kind{labels, ports}
		for _, a := range h.Addresses {
			a = a.Unmap()
			n.Members = append(n.Members, partition.Member{Prefix: netip.PrefixFrom(a, a.BitLen()), Key: key})
		}
	}
}

// about are those of the ports that rules ask for.
func (n *Names) about(ports span.NamedPorts) (out span.NamedPorts) {
	for _, p := range ports {
		if slices.ContainsFunc(n.Asked, func(q span.Port) bool { return len(q.Resolve(span.NamedPorts{p}, nil)) > 0 }) {
			out = append(out, p)
		}
	}
	return out
}

// agree tells whether workloads mean the same by each name that is asked for.
func (n *Names) agree(list []Holder) bool {
	first := n.about(list[0].NamedPorts).String()
	return !slices.ContainsFunc(list[1:], func(h Holder) bool { return n.about(h.NamedPorts).String() != first })
}

// Differed tells whether workloads of an identity did not agree.
func (n *Names) Differed(number identity.Number) bool { return n.apart[number] }

// Differ tells whether workloads of one identity do not agree.
func (n *Names) Differ(list []Holder) bool { return len(list) > 0 && !n.agree(list) }
