// Package topology is the address plan of a lab cluster: pure arithmetic, no I/O.
//
// A lab is one layer-2 segment, the bridge weftlab0 in the root network namespace. The machine itself owns .1 of it and serves the
// Kubernetes API there; node N owns .10+N; the address .200 belongs to a namespace outside the cluster. Pods and services have
// ranges of their own that no device of the machine carries:
//
//	                  IPv4            IPv6
//	segment           10.80.0.0/24    fd00:80::/64
//	pods              10.244.0.0/16   fd00:244::/56    one /24 and one /64 per node
//	services          10.96.0.0/16    fd00:96::/112
//
// Nodes have further devices, too, as machines have them for networks that their pods join by NetworkAttachmentDefinitions (Uplinks): each
// is on a segment of its own, where no address is given. On these the machine is a switch and nothing else.
//
// Invariant: every name and address the lab puts on the machine comes from here, so that cleaning up needs no record of what was
// made: `weft-lab down` looks for these names.
package topology

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Names on the host. A link name holds at most 15 bytes.
const (
	Bridge       = "weftlab0"
	Prefix       = "weftlab-" // of every network namespace and veth of the lab
	OutsideName  = "outside"
	CgroupName   = "weftlab"              // top-level cgroup, in every hierarchy
	CgroupMount  = "/run/cilium/cgroupv2" // on a node: its own below that, of cgroup2
	MaxNodes     = 9
	outsideIndex = 190
)

// Family is which address families the cluster has.
type Family int

// Families. With Dual, IPv4 is the primary one, as in most clusters.
const (
	FamilyNone Family = iota
	V4
	V6
	Dual
)

// ParseFamily reads "v4", "v6" or "dual".
func ParseFamily(s string) (Family, error) {
	switch s {
	case "v4":
		return V4, nil
	case "v6":
		return V6, nil
	case "dual":
		return Dual, nil
	}
	return FamilyNone, fmt.Errorf("family %q: want dual, v4 or v6", s)
}

func (f Family) String() string {
	switch f {
	case V4:
		return "v4"
	case V6:
		return "v6"
	case Dual:
		return "dual"
	}
	return "none"
}

// Cluster is the size and shape everything else follows from.
type Cluster struct {
	Nodes  int
	Family Family
}

// Validate checks the bounds of the address plan.
func (c Cluster) Validate() error {
	if c.Nodes < 1 || c.Nodes > MaxNodes {
		return fmt.Errorf("nodes: %d: want 1 to %d", c.Nodes, MaxNodes)
	}
	if c.Family == FamilyNone {
		return fmt.Errorf("family: not set: want dual, v4 or v6")
	}
	return nil
}

// pick returns the values of the families in use, primary first.
func pick[T any](f Family, v4, v6 T) []T {
	switch f {
	case V4:
		return []T{v4}
	case V6:
		return []T{v6}
	}
	return []T{v4, v6}
}

// Host is one network namespace on the segment: a node, or the outside.
type Host struct {
	Name      string         // node1; also the Kubernetes node name and the host name
	Namespace string         // name below /run/netns
	Veth      string         // root side of its cable
	Addrs     []netip.Prefix // on eth0, with the segment's prefix length
	Uplinks   []Uplink       // of a node
}

// Uplink is a further device of a node.
type Uplink struct {
	Device string // on the node
	Bridge string // its segment
	Veth   string // root side of its cable
}

// Uplinks are the devices that every node has besides eth0.
var Uplinks = []string{"ens192", "ens224"}

// IPs are the host's addresses without prefix length, primary first.
func (h Host) IPs() []netip.Addr {
	var out []netip.Addr
	for _, p := range h.Addrs {
		out = append(out, p.Addr())
	}
	return out
}

func (c Cluster) segment(n int) []netip.Prefix {
	v4 := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 80, 0, byte(n)}), 24)
	// The last group repeats the decimal digits, so that node 1 is .11 and ::11.
	v6 := netip.PrefixFrom(netip.MustParseAddr("fd00:80::"+strconv.Itoa(n)), 64)
	return pick(c.Family, v4, v6)
}

// Gateway is the machine's own address on the segment, where the API server listens.
func (c Cluster) Gateway() []netip.Prefix { return c.segment(1) }

// Node returns node n, counted from 1.
func (c Cluster) Node(n int) Host {
	name, veth := "node"+strconv.Itoa(n), Prefix+"n"+strconv.Itoa(n)
	h := Host{Name: name, Namespace: Prefix + name, Veth: veth, Addrs: c.segment(10 + n)}
	for i, device := range Uplinks {
		h.Uplinks = append(h.Uplinks, Uplink{Device: device, Bridge: Prefix + device, Veth: veth + "-" + strconv.Itoa(i+1)})
	}
	return h
}

// All returns every node.
func (c Cluster) All() []Host {
	var out []Host
	for n := 1; n <= c.Nodes; n++ {
		out = append(out, c.Node(n))
	}
	return out
}

// Outside is a host on the segment that belongs to no cluster. It has no route to pods or services, so a pod that gets an answer
// from it was masqueraded.
func (c Cluster) Outside() Host {
	return Host{Name: OutsideName, Namespace: Prefix + OutsideName, Veth: Prefix + "out", Addrs: c.segment(10 + outsideIndex)}
}

// PodCIDRs are the ranges of all pods.
func (c Cluster) PodCIDRs() []netip.Prefix {
	return pick(c.Family, netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:244::/56"))
}

// NodeMasks are the prefix lengths of one node's share of PodCIDRs.
func (c Cluster) NodeMasks() []int { return pick(c.Family, 24, 64) }

// ServiceCIDRs are the ranges of ClusterIPs.
func (c Cluster) ServiceCIDRs() []netip.Prefix {
	return pick(c.Family, netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:96::/112"))
}

// APIService is the ClusterIP of the service "kubernetes": the first address of the primary service range.
func (c Cluster) APIService() netip.Addr { return c.ServiceCIDRs()[0].Addr().Next() }

// DNS are the ClusterIPs of the cluster's resolver: the tenth address of each service range.
func (c Cluster) DNS() []netip.Addr {
	var out []netip.Addr
	for _, p := range c.ServiceCIDRs() {
		a := p.Addr()
		for range 10 {
			a = a.Next()
		}
		out = append(out, a)
	}
	return out
}

// APIServer is the address and port of the API server on the segment.
func (c Cluster) APIServer() netip.AddrPort { return netip.AddrPortFrom(c.Gateway()[0].Addr(), 6443) }

// Join prints prefixes or addresses separated by commas, as Kubernetes flags want them.
func Join[T fmt.Stringer](items []T) string {
	s := ""
	for i, it := range items {
		if i > 0 {
			s += ","
		}
		s += it.String()
	}
	return s
}
