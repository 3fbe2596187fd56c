package netobject

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/api/cilium/v2alpha1"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/table/pool"
)

// Annotations of pods and namespaces that name pools of the pod network, for both families, or for one. The short ones are older.
const (
	poolAnnotation  = "ipam.cilium.io/ip-pool"
	pool4Annotation = "ipam.cilium.io/ipv4-pool"
	pool6Annotation = "ipam.cilium.io/ipv6-pool"
	skipMasquerade  = "ipam.cilium.io/skip-masquerade"
)

// Pool is a row of the table of CiliumPodIPPools, which is Pools.
type Pool = pool.Pool

// Pools has those of the cluster.
var Pools = pool.Pools

// PoolsOf names the pools of an IPv4 and an IPv6 address by these annotations; empty: none.
func PoolsOf(annotations map[string]string) [2]string {
	both := annotations[poolAnnotation]
	return [2]string{cmp.Or(annotations[pool4Annotation], both), cmp.Or(annotations[pool6Annotation], both)}
}

// PoolRow reads a CiliumPodIPPool into its row.
func PoolRow(o *v2alpha1.CiliumPodIPPool) (Pool, bool) {
	row := Pool{Name: o.Name}
	for _, part := range Parts(o) {
		row.CIDRs = append(row.CIDRs, part.CIDRs...)
	}
	return row, true
}

// Part is one family of a pool.
type Part struct {
	Field string
	CIDRs []netip.Prefix // those that make sense
	Bits  int            // length of what a node gets
	IPv6  bool
}

// Parts reads the families of a pool.
func Parts(o *v2alpha1.CiliumPodIPPool) (list []Part) {
	if v := o.Spec.IPv4; v != nil {
		list = append(list, part("spec.ipv4", v.CIDRs, int(v.MaskSize), false))
	}
	if v := o.Spec.IPv6; v != nil {
		list = append(list, part("spec.ipv6", v.CIDRs, int(v.MaskSize), true))
	}
	return list
}

func part(field string, texts []string, bits int, six bool) Part {
	p := Part{Field: field, Bits: bits, IPv6: six}
	for _, text := range texts {
		if c, err := netip.ParsePrefix(text); err == nil && c.Addr().Is6() == six && !c.Addr().Is4In6() && c.Bits() <= bits && bits <= c.Addr().BitLen() {
			p.CIDRs = append(p.CIDRs, c.Masked())
		}
	}
	return p
}

// PoolGaps says what of a pool gives no addresses.
func PoolGaps(o *v2alpha1.CiliumPodIPPool, w gap.World) (gaps []gap.Gap) {
	add := func(reason gap.Reason, field, because string, args ...any) {
		gaps = append(gaps, gap.Gap{Reason: reason, Field: field, Message: fmt.Sprintf(because, args...)})
	}
	if o.Name == pool.Default {
		add(gap.NotImplemented, "metadata.name", "pool default is what nodes have without a pool (key ipam); this object gives nothing: give it another name")
	}
	if o.Annotations[skipMasquerade] != "" {
		add(gap.NotImplemented, "metadata.annotations["+skipMasquerade+"]", "it says nothing: addresses of pools are masqueraded as all others are; name what is reached without in ipv4-native-routing-cidr")
	}
	if o.Spec.IPv4 == nil && o.Spec.IPv6 == nil {
		add(gap.Invalid, "spec", "it has neither ipv4 nor ipv6, so no addresses")
	}
	family := func(field string, texts []string, bits int, six bool) {
		for i, text := range texts {
			at := fmt.Sprintf("%s.cidrs[%d]", field, i)
			one := part(field, []string{text}, bits, six).CIDRs
			if len(one) == 0 {
				add(gap.Invalid, at, "%q is no prefix of that family that has parts of length %d (maskSize)", text, bits)
				continue
			}
			for _, nodes := range w.Config.Pools {
				if j := slices.IndexFunc(nodes.Prefixes, one[0].Overlaps); j >= 0 && w.Config.IPAM == settings.ClusterPool {
					add(gap.Invalid, at, "%s overlaps %s, of which nodes get their own prefixes (cluster-pool-ipv4-cidr, cluster-pool-ipv6-cidr): a node that joins may get what another has of the pool; take another range", text, nodes.Prefixes[j])
				}
			}
		}
	}
	if v := o.Spec.IPv4; v != nil {
		family("spec.ipv4", v.CIDRs, int(v.MaskSize), false)
	}
	if v := o.Spec.IPv6; v != nil {
		family("spec.ipv6", v.CIDRs, int(v.MaskSize), true)
	}
	return gaps
}
