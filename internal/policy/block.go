package policy

import (
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
)

// Place is what kind of thing has an address: a peer by address is, unless it says so, about what is outside alone. The
// numbers are those of abi enum place.
type Place uint8

// Places.
const (
	PlaceNone Place = iota
	Outside         // neither pod nor node
	Node            // an address of a node, this one included
	Pod             // a workload, or an address where one could be
)

func (p Place) String() string { return name("place", uint8(p), "none", "outside", "node", "pod") }

// places are all of them.
var places = [...]Place{Outside, Node, Pod}

// PlaceOf is the place of what has an identity. What is not known is a pod: it has an address of the cluster.
func PlaceOf(n identity.Number) Place {
	switch n {
	case identity.World, identity.WorldIPv4, identity.WorldIPv6:
		return Outside
	case identity.Host, identity.RemoteNode, identity.KubeAPIServer:
		return Node
	}
	return Pod
}

// Block chooses peers by address: those in one of the prefixes, and in none of the exceptions. A port by name means
// nothing to a block in egress: an address has no named ports.
type Block struct {
	// Name tells blocks apart, and stays when what a name stands for changes: "10.0.0.0/8 except 10.1.0.0/16",
	// "group partners". Blocks with one name are the same.
	Name   string
	Within []netip.Prefix // canonical: see Canonical
	Except []netip.Prefix
	Nodes  bool      // nodes, too
	Pods   bool      // pods, too
	Of     Reference // an object that Within is to be taken from; zero: none
}

// NewBlock makes a block of what is outside, named after its prefixes.
func NewBlock(within, except []netip.Prefix) Block {
	b := Block{Within: canonical(within), Except: canonical(except)}
	var name strings.Builder
	for i, p := range b.Within {
		name.WriteString([...]string{"", " "}[min(i, 1)])
		name.WriteString(p.String())
	}
	for i, p := range b.Except {
		name.WriteString([...]string{" except ", " "}[min(i, 1)])
		name.WriteString(p.String())
	}
	b.Name = name.String()
	return b
}

// Also gives the block with nodes, with pods, or with both.
func (b Block) Also(nodes, pods bool) Block {
	b.Nodes, b.Pods = b.Nodes || nodes, b.Pods || pods
	return b
}

// Chooses tells whether a block chooses a peer, as the daemon's configuration has it.
func (o Options) Chooses(b Block, p Peer) bool {
	return b.under(o).Matches(p.Address, PlaceOf(p.Number))
}

// under is the block as the daemon's configuration has it.
func (b Block) under(o Options) Block { return b.Also(o.CIDRNodes, o.CIDRPods) }

// Canonical is a prefix as Weftnet keeps it: without host bits, and an IPv4-mapped one as IPv4.
func Canonical(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

func canonical(list []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		out[i] = Canonical(p)
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// String is e.g. "10.0.0.0/8 except 10.1.0.0/16, nodes too". It tells a block apart from others.
func (b Block) String() string {
	return b.Name + map[bool]string{true: ", nodes too"}[b.Nodes] + map[bool]string{true: ", pods too"}[b.Pods]
}

// isAbout tells whether the block chooses at a place at all.
func (b Block) isAbout(at Place) bool {
	return at == Outside || at == Node && b.Nodes || at == Pod && b.Pods
}

// Matches tells whether the block chooses who has this address. An address that is not known chooses nothing.
func (b Block) Matches(a netip.Addr, at Place) bool {
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	return a.IsValid() && b.isAbout(at) && slices.ContainsFunc(b.Within, contains) && !slices.ContainsFunc(b.Except, contains)
}
