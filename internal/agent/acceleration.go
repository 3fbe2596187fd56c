package agent

import (
	"fmt"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/derive/nic"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// acceleration says of each device that leads out whether packets of known calls go on there before tc, and why not. False: it is not
// asked for.
func (a *Agent) acceleration(s *state.Snapshot) (agentv1.Component, bool) {
	mode := a.Tables.Config(s).Outside.XDP
	if !nic.Accelerates(a.Tables.Config(s).Outside) {
		return agentv1.Component{}, false
	}
	c := agentv1.Component{Name: "acceleration", Health: agentv1.HealthOK}
	var list []string
	for h := range a.Tables.Hooks.All(s) {
		if h.Program != abi.HookFromNet.String() {
			continue
		}
		text, is := a.accelerated(s, h)
		if !is && mode == "native" {
			c.Health = agentv1.HealthDegraded
		}
		list = append(list, h.Device+": "+text)
	}
	if hooks := a.node.Hooks.Load(); hooks != nil {
		list = append(list, fmt.Sprintf("%d packets led on", hooks.Accelerator.Led()))
	}
	c.Message = strings.Join(list, "; ")
	return c, true
}

// accelerated says it of one device.
func (a *Agent) accelerated(s *state.Snapshot, h table.Hook) (text string, is bool) {
	key := state.Join(h.Device, abi.HookXdp.String())
	row, wanted := a.Tables.Hooks.One(s, key)
	if !wanted {
		return "by tc alone, since VLAN devices lie on it: XDP would not see the tags that its driver takes off", false
	}
	if hooks := a.node.Hooks.Load(); hooks != nil {
		if why := hooks.Accelerator.Unfit(h.Device); why != "" {
			return "by tc alone: " + why, false
		}
	}
	if !status.Realised(s, a.Tables.Hooks, key) {
		return "by tc alone: the program of XDP is not there yet", false
	}
	if row.Generic {
		return "generic, for tests: slower than tc", true
	}
	return "native", true
}
