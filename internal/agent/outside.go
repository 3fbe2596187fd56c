package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// fromOutside says what of a node's services machines outside can call, and how, and what keeps them from that.
func (a *Agent) fromOutside(s *state.Snapshot) agentv1.Component {
	node, _ := a.Tables.LocalNode(s)
	var devices, faults []string
	for h := range a.Tables.Hooks.All(s) {
		if h.Program != abi.HookFromNet.String() {
			continue
		}
		devices = append(devices, h.Device)
		if row, _ := status.Statuses.One(s, status.KeyOf(a.Tables.Hooks, a.Tables.Hooks.Key(h))); row.Err != "" {
			faults = append(faults, row.Err)
		}
	}
	if row, _ := status.Statuses.One(s, status.KeyOf(a.Tables.Tunnels, state.Join(attach.GeneveDevice))); row.Err != "" {
		faults = append(faults, "no call goes on by DSR from here, but by SNAT, and none of another node's arrives: "+row.Err)
	}
	return fromOutside(a.Tables.Config(s).Services, node.Addresses, devices, faults)
}

// fromOutside does so for a node with these addresses; devices are those at which calls come in, faults what keeps programs from them.
func fromOutside(c settings.Services, addresses []netip.Addr, devices, faults []string) agentv1.Component {
	out := agentv1.Component{Name: "calls from outside", Health: agentv1.HealthOK, Message: "left to kube-proxy: enable-node-port, enable-external-ips and enable-host-port say no"}
	o := c.Outside
	if !o.Any() {
		return out
	}
	var parts []string
	if o.NodePorts {
		var at []string
		for _, a := range addresses {
			if o.At.Has(a, addresses) {
				at = append(at, a.String())
			}
		}
		parts = append(parts, fmt.Sprintf("node ports %d-%d at %s", o.First, o.Last, list(at)))
		if len(at) == 0 {
			faults = append(faults, "nodeport-addresses names none of this node's addresses: no node port is offered here")
		}
	}
	if o.ExternalIPs {
		parts = append(parts, "external addresses")
	}
	if o.ClusterIPs {
		parts = append(parts, "cluster addresses")
	}
	if o.HostPorts {
		parts = append(parts, "hostPorts")
	}
	mode := "to other nodes by " + o.Mode
	if o.Geneve {
		mode += ", DSR in Geneve"
	}
	if o.ByService {
		mode += ", unless the service says otherwise"
	}
	choice := "backends by chance"
	if c.Choice.Maglev {
		choice = "backends by Maglev"
	}
	slices.Sort(devices)
	parts = append(parts, mode, choice, "at devices "+list(devices))
	out.Message = strings.Join(parts, "; ")
	if len(devices) == 0 {
		faults = append(faults, "no device leads out of this node: see key devices")
	}
	if len(faults) > 0 {
		out.Health = agentv1.HealthDegraded
		out.Message = strings.Join(faults, "; ") + "; " + out.Message
	}
	return out
}

// list is some names, or none.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
