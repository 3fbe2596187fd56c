package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// lifelines are what people and the cluster need of a node. Who must be let in is named by entities; a CIDR may be any peer.
var lifelines = []struct {
	what     string
	port     uint64
	entities []string
}{
	{"SSH (tcp/22)", 22, []string{"all", "world", "world-ipv4", "world-ipv6"}},
	{"the API server (tcp/6443, on control-plane nodes)", 6443, []string{"all", "cluster", "remote-node", "world", "world-ipv4", "world-ipv6"}},
	{"the kubelet (tcp/10250: logs, exec, probes of the API server)", 10250, []string{"all", "cluster", "remote-node", "kube-apiserver"}},
}

// nodes notes a rule that closes nodes for what people and the cluster need, as far as no rule for nodes here lets
// them in.
func (c *checker) nodes(o *object) {
	if c.World != nil && !c.World.Config.HostFirewall {
		return // they do nothing, and that is said
	}
	for _, r := range o.rules {
		if r.NodeSelector == nil || len(r.Ingress)+len(r.IngressDeny) == 0 || r.KeepsOpen("ingress") {
			continue
		}
		var cut []string
		for _, l := range lifelines {
			if !c.letsIn(l.port, l.entities) {
				cut = append(cut, l.what)
			}
		}
		if len(cut) > 0 {
			c.add(o, Warning, "nodes", r.Field+".nodeSelector", fmt.Sprintf("it closes nodes for all that no rule for nodes allows, and none here allows %s", strings.Join(cut, ", ")),
				"", "add elements for them first, or try it with enableDefaultDeny: {ingress: false}")
		}
	}
}

// letsIn tells whether some rule for nodes allows a TCP port for one of these entities, or by address.
func (c *checker) letsIn(port uint64, entities []string) bool {
	for _, o := range c.objects {
		for _, r := range o.rules {
			if r.NodeSelector == nil {
				continue
			}
			elements := r.Elements()
			for i, in := range r.Ingress { // the first elements
				anyPeer := elements[i].Members == 0 && len(in.ToPorts) > 0
				named := slices.ContainsFunc(in.FromEntities, func(e string) bool { return slices.Contains(entities, e) })
				if (anyPeer || named || len(in.FromCIDR)+len(in.FromCIDRSet)+len(in.FromNodes) > 0) && opensTCP(in, port) {
					return true
				}
			}
		}
	}
	return false
}

func opensTCP(in v2.IngressRule, port uint64) bool {
	if len(in.ToPorts) == 0 {
		return len(in.ICMPs) == 0
	}
	return slices.ContainsFunc(in.ToPorts, func(t v2.PortRule) bool {
		return len(t.Ports) == 0 || slices.ContainsFunc(t.Ports, func(p v2.PortProtocol) bool {
			first, err := strconv.ParseUint(p.Port, 0, 16)
			protocol := strings.ToUpper(p.Protocol)
			return err == nil && (protocol == "" || protocol == "ANY" || protocol == "TCP") && (first == 0 || first <= port && port <= max(first, uint64(max(p.EndPort, 0))))
		})
	})
}
