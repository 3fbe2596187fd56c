package agent

import (
	"fmt"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
)

// multus says who attaches further NICs where Multus calls, or has called; false: it does not.
func (a *Agent) multus(s *state.Snapshot) (agentv1.Component, bool) {
	pods := 0
	for x := range a.Tables.Attachments.All(s) {
		if x.Multus && x.Further.First == "" {
			pods++
		}
	}
	return multus(cni.MultusConf(a.CNIConf), pods)
}

// multus says so for a node with this configuration of Multus, on which it has called for so many pods.
func multus(conf string, pods int) (agentv1.Component, bool) {
	c := agentv1.Component{Name: "multus", Health: agentv1.HealthOK}
	switch {
	case conf != "":
		c.Message = fmt.Sprintf("Multus calls this agent, for %s comes first in its folder: it attaches the further NICs of new pods, and this agent none; it has attached those of %d pods", conf, pods)
	case pods > 0:
		c.Message = fmt.Sprintf("Multus has called for %d pods, and attaches their further NICs; new pods for which it does not call get theirs from this agent", pods)
	}
	return c, c.Message != ""
}
