package policy

import (
	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/reference"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// host is this node as one who has policies (host firewall); nil: it has none, or is not known yet. Its labels are those of
// its Node, reserved:host, and its cluster.
func (d *sets) host(r state.Reader) *member {
	_, config := reference.Options(r, d.t)
	if !config.HostFirewall {
		return nil
	}
	for n := range d.t.Nodes.By(r, table.ByLocal, state.Join(true)) {
		labels := map[string]string{
			identity.SourceReserved + ":" + identity.Host.Name(): "",
			identity.SourceK8s + ":" + identity.LabelCluster:     config.ClusterName,
		}
		for key, value := range n.Labels {
			labels[identity.SourceK8s+":"+key] = value
		}
		return &member{number: identity.Host, subject: engine.Subject{Labels: identity.NewLabels(labels)}}
	}
	return nil
}

func ofHost(_ state.Reader, n table.Node) []state.Key {
	if n.Local {
		return []state.Key{table.HostSet}
	}
	return nil
}
