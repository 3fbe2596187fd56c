package oracle

import (
	"slices"

	"weftnet.io/weftnet/test/oracle/raw"
)

// Packet is the first packet of a connection, as policy of one of its ends sees it.
type Packet struct {
	Ingress  bool // to the subject; else from it
	Subject  End
	Peer     End
	Protocol string // TCP, UDP, SCTP, ICMP, ICMPv6, or a number
	Port     int    // at the end that is called, after service translation; of ICMP the type
}

// Answer is what becomes of a packet, and the parts of policies that say so, sorted.
type Answer struct {
	Verdict string // allow, deny, deny-implicit
	By      []string
}

var shorts = map[string]string{
	"CiliumNetworkPolicy": "cnp", "CiliumClusterwideNetworkPolicy": "ccnp", "NetworkPolicy": "netpol",
}

// title names a policy, and a part of it.
func title(policy Object, path string) string {
	meta := raw.Sub(policy, "metadata")
	out := shorts[raw.Text(policy, "kind")] + " "
	if namespace := namespaceOf(policy); namespace != "" {
		out += namespace + "/"
	}
	out += raw.Text(meta, "name")
	if path != "" {
		out += " " + path
	}
	return out
}

// namespaceOf is where a policy is: default, unless it says; nowhere, if it is clusterwide.
func namespaceOf(policy Object) string {
	if raw.Text(policy, "kind") == "CiliumClusterwideNetworkPolicy" {
		return ""
	}
	if namespace := raw.Text(raw.Sub(policy, "metadata"), "namespace"); namespace != "" {
		return namespace
	}
	return "default"
}

// says is what one policy says of a packet.
type says struct {
	isolates, allows, denies []string
}

// Judge says what becomes of a packet (C3, C8): deny beats allow, always, whatever the specificity; what nothing allows is
// denied if some policy that selects the subject closes the direction.
func (w *World) Judge(p Packet) Answer {
	if w.Mode == "never" {
		return Answer{Verdict: "allow"}
	}
	var total says
	for i, policy := range w.Policies {
		if w.Refused(i) {
			continue // an object that is not valid means nothing at all
		}
		var s says
		if raw.Text(policy, "kind") == "NetworkPolicy" {
			s = w.kubernetes(policy, p)
		} else {
			s = w.cilium(policy, p)
		}
		total.isolates = append(total.isolates, s.isolates...)
		total.allows = append(total.allows, s.allows...)
		total.denies = append(total.denies, s.denies...)
	}
	_, onNode := p.Subject.Labels["reserved:host"]
	_, initial := p.Subject.Labels["reserved:init"]
	closed := len(total.isolates) > 0 || initial || w.Mode == "always" && !onNode
	_, probe := p.Peer.Labels["reserved:host"]
	switch {
	case len(total.denies) > 0:
		return Answer{"deny", sorted(total.denies)}
	case len(total.allows) > 0:
		return Answer{"allow", sorted(total.allows)}
	case closed && p.Ingress && probe && !onNode && !w.HostPolicy: // kubelet's probes
		return Answer{Verdict: "allow"}
	case closed:
		return Answer{"deny-implicit", sorted(total.isolates)}
	}
	return Answer{Verdict: "allow"}
}

// Refused tells whether a policy, by its index, is not valid and so without effect.
func (w *World) Refused(i int) bool {
	if w.refused == nil {
		w.refused = map[int]bool{}
		for i, policy := range w.Policies {
			w.refused[i] = len(Problems(policy)) > 0
		}
	}
	return w.refused[i]
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
