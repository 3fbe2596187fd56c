package policy

import (
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// host is this node as a member of its set (host firewall); nil: the host firewall is off, or the node is not known yet.
func (d *sets) host(r state.Reader) *member {
	config := d.options.Of(r).Config
	if !config.HostFirewall {
		return nil
	}
	if n, known := d.t.LocalNode(r); known {
		return &member{number: identity.Host, subject: policyinput.NodeSubject(n, config)}
	}
	return nil
}

func ofHost(_ state.Reader, n table.Node) []state.Key {
	if n.Local {
		return []state.Key{table.HostSet}
	}
	return nil
}
