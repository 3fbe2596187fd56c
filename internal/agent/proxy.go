package agent

import (
	"fmt"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/install/proxy"
	"weftnet.io/weftnet/internal/state"
)

// proxy names what there is of a kube-proxy on a node that is to do without. False: it is kube-proxy's to lead services on.
func (a *Agent) proxy(s *state.Snapshot) (c agentv1.Component, replaced bool) {
	c = agentv1.Component{Name: agentv1.ComponentProxy, Health: agentv1.HealthOK, Message: "it is not there, and has left nothing"}
	if !a.Tables.Config(s).Replaces() {
		return c, false
	}
	left, err := proxy.Look()
	if err != nil {
		c.Health, c.Message = agentv1.HealthDegraded, fmt.Sprintf("whether it has left anything is not known: %v", err)
		return c, true
	}
	var parts []string
	if who := a.runningProxy(s, left); who != "" {
		parts = append(parts, agentv1.ProxyRuns+" ("+who+"), and so do programs that take its place: delete its DaemonSet")
	}
	if left.Some() {
		parts = append(parts, "a kube-proxy has left "+strings.Join(left.Lines(), ", ")+": when it has ended, weft uninstall kube-proxy removes them")
	}
	if others := left.Others(); len(others) > 0 {
		parts = append(parts, "a kube-proxy has left "+strings.Join(others, ", ")+": its own kube-proxy --cleanup removes them, or a restart of the machine")
	}
	if len(parts) > 0 {
		c.Health, c.Message = agentv1.HealthDegraded, strings.Join(parts, "; ")
	}
	return c, true
}

// runningProxy says where a kube-proxy runs on this node; empty: none is seen.
func (a *Agent) runningProxy(s *state.Snapshot, left proxy.Left) string {
	for p := range a.Tables.Pods.All(s) {
		isProxy := p.Labels["k8s-app"] == "kube-proxy" || p.Labels["component"] == "kube-proxy" || p.Labels["app.kubernetes.io/name"] == "kube-proxy"
		if isProxy && p.HostNetwork && p.Node == a.Node && !p.Finished {
			return fmt.Sprintf("pod %s/%s", p.Namespace, p.Name)
		}
	}
	if left.Process != 0 {
		return fmt.Sprintf("process %d", left.Process)
	}
	return ""
}
