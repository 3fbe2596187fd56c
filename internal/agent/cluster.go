package agent

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"weftnet.io/weftnet/internal/reconcile"
	sinkkube "weftnet.io/weftnet/internal/sink/kube"
	"weftnet.io/weftnet/internal/source/kube"
	"weftnet.io/weftnet/internal/table"
)

// runCluster connects the tables with the API server: objects come in, identities, endpoints and this node's CiliumNode
// go out.
func (a *Agent) runCluster(run runFunc) error {
	api, err := kube.Connect(a.Kubeconfig, "weft-agent")
	if err != nil {
		return err
	}
	source, err := kube.New(kube.Config{API: api, Node: a.Node, Flags: a.Flags, Log: a.Log}, a.DB, a.Tables)
	if err != nil {
		return err
	}
	identities, err := sinkkube.NewIdentities(api, a.DB, a.Tables)
	if err != nil {
		return err
	}
	endpoints, err := sinkkube.NewEndpoints(api, a.Tables, a.Node)
	if err != nil {
		return err
	}
	node, err := sinkkube.NewNode(api, a.DB, a.Tables, a.Node, a.Log)
	if err != nil {
		return err
	}
	run("source/kube", func(ctx context.Context) error { return source.Run(ctx) })
	events, err := sinkkube.NewEvents(api, "weft-agent", a.Node)
	if err != nil {
		return err
	}
	run("CiliumNode", node.Run)
	run("warnings", func(ctx context.Context) error { return a.warnUnmet(ctx, events) })
	follow(a, run, a.Tables.IdentityClaims, reconcile.Sink[table.IdentityClaim](identities), true)
	follow(a, run, a.Tables.Published, reconcile.Sink[table.PublishedEndpoint](endpoints), true)
	return nil
}

// warnUnmet tells, as events of this node, which protections the configuration asks for and does not get.
func (a *Agent) warnUnmet(ctx context.Context, events *sinkkube.Events) error {
	told := map[string]bool{}
	for {
		changed := a.Tables.Settings.WatchAll(a.DB.Snapshot())
		for _, line := range a.report() {
			message := line.Key + "=" + line.Value + ": " + line.Message
			if !line.Alarm() || told[message] {
				continue
			}
			a.Log.Warn("a protection that the configuration asks for is not active", "key", line.Key, "value", line.Value, "why", line.Message)
			about := corev1.ObjectReference{Kind: "Node", Name: a.Node, APIVersion: "v1"}
			if err := events.Warn(ctx, about, "ProtectionNotActive", message); err != nil {
				a.Log.Warn("tell about a protection that is not active", "error", err)
			}
			told[message] = true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
