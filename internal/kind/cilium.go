package kind

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/cilium/v2alpha1"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/language/redirect"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table"
)

// number reads the number of an identity, which is 24 bits and not 0.
func number(text string) (identity.Number, bool) {
	n, err := strconv.ParseUint(text, 10, 24)
	return identity.Number(n), err == nil && n != 0
}

func identityRow(o *v2.CiliumIdentity) (table.Identity, bool) {
	n, ok := number(o.Name)
	if !ok || n.IsReserved() {
		return table.Identity{}, false // a reserved number has the labels that it has
	}
	return table.Identity{Number: n, Labels: identity.NewLabels(o.SecurityLabels)}, true
}

// CIDRGroupProblems says what of a group makes no sense, and is left out.
func CIDRGroupProblems(o *v2.CiliumCIDRGroup) []string {
	row, _ := cidrGroupRow(o)
	return row.Problems
}

func cidrGroupRow(o *v2.CiliumCIDRGroup) (table.CIDRGroup, bool) {
	row := table.CIDRGroup{Name: o.Name, Labels: o.Labels}
	for i, text := range o.Spec.ExternalCIDRs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			row.Problems = append(row.Problems, fmt.Sprintf("spec.externalCIDRs[%d]: %q is not a prefix such as 10.0.0.0/8; left out", i, text))
			continue
		}
		row.Prefixes = append(row.Prefixes, p)
	}
	return row, true
}

func redirectRow(o *v2.CiliumLocalRedirectPolicy) (redirect.Row, bool) {
	return redirect.Policy(o), true
}

func redirectGaps(o Object, w gap.World) []gap.Gap {
	return redirect.Gaps(redirect.Policy(o.(*v2.CiliumLocalRedirectPolicy)), w)
}

func poolGaps(o Object, w gap.World) []gap.Gap {
	return netobject.PoolGaps(o.(*v2alpha1.CiliumPodIPPool), w)
}

func overlayGaps(o Object, w gap.World) []gap.Gap {
	return netobject.OverlayGaps(o.(*netobject.OverlayNetwork), w)
}

func definitionGaps(o Object, w gap.World) []gap.Gap {
	return netobject.Gaps(o.(*netobject.NetworkAttachmentDefinition), w)
}

func endpointRow(o *v2.CiliumEndpoint) (table.Endpoint, bool) {
	row := table.Endpoint{Namespace: o.Namespace, Name: o.Name, UID: string(o.UID), NodeName: o.Labels[v2.EndpointNodeLabel]}
	if id := o.Status.Identity; id != nil {
		row.Identity, _ = number(strconv.FormatInt(id.ID, 10))
	}
	net := o.Status.Networking
	if net == nil {
		return row, false
	}
	for _, pair := range net.Addressing {
		if pair.Network == "" {
			row.Addresses = append(row.Addresses, addresses(pair.IPV4, pair.IPV6)...)
		}
	}
	if node := addresses(net.NodeIP); len(node) > 0 {
		row.Node = node[0]
	}
	for _, p := range o.Status.NamedPorts {
		if proto, known := protocols[corev1.Protocol(p.Protocol)]; known && p.Name != "" && p.Port != 0 {
			row.NamedPorts = append(row.NamedPorts, table.NamedPort{Name: p.Name, Protocol: proto, Port: p.Port})
		}
	}
	return row, len(row.Addresses) > 0
}

func nodeRow(o *v2.CiliumNode) (table.Node, bool) {
	row := table.Node{Name: o.Name}
	for _, a := range o.Spec.Addresses {
		if a.Type == v2.NodeInternalIP {
			row.Addresses = append(row.Addresses, addresses(a.IP)...)
		}
	}
	slices.SortStableFunc(row.Addresses, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	for _, text := range o.Spec.IPAM.PodCIDRs {
		if p, err := netip.ParsePrefix(text); err == nil {
			row.PodCIDRs = append(row.PodCIDRs, p.Masked())
		}
	}
	for _, pool := range o.Spec.IPAM.Pools.Allocated {
		for _, text := range pool.CIDRs {
			if p, err := netip.ParsePrefix(text); err == nil {
				if row.Pools == nil {
					row.Pools = map[string][]netip.Prefix{}
				}
				row.Pools[pool.Pool] = append(row.Pools[pool.Pool], p.Masked())
				row.PodCIDRs = append(row.PodCIDRs, p.Masked())
			}
		}
	}
	return row, true
}
