package agent

import (
	"context"
	"net/http"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/sink/link/record"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

type runFunc func(name string, f func(context.Context) error)

// start waits for the programs, and opens the node for workloads.
func (a *Agent) start(ctx context.Context, run runFunc, mux *http.ServeMux) error {
	dp, err := a.loaded(ctx)
	if err != nil {
		return err
	}
	defer dp.Close()
	a.datapath = dp
	if err := a.runMaps(run); err != nil {
		return err
	}
	boot, err := record.Boot()
	if err != nil {
		return err
	}
	a.cni, err = cni.New(cni.Options{
		Tables: a.Tables, DB: a.DB, StateDir: a.StateDir, Boot: boot, Root: a.Root, Log: a.Log, Health: a.health, Kernel: a.node.Links,
		Others: a.node.Networks,
		Multus: func() bool { return cni.MultusConf(a.CNIConf) != "" },
	})
	if err != nil {
		return err
	}
	a.node.Networks.Serve(a.cni)
	a.cni.Register(mux)
	run("cni", a.cni.Run)
	if err := a.open(ctx); err != nil {
		return err
	}
	a.keepConf(ctx)
	return nil
}

// leadsHostPorts tells whether this node leads hostPorts on by its programs, so that no other plugin is to.
func (a *Agent) leadsHostPorts(s *state.Snapshot) bool {
	c := a.Tables.Config(s)
	return c.Outside.HostPorts && c.Replaces()
}

// writeConf tells the container runtime that the node has a network, and which plugins serve it.
func (a *Agent) writeConf(s *state.Snapshot) error {
	return cni.WriteConf(a.CNIConf, cni.Conf{Socket: a.Socket, HostPorts: a.leadsHostPorts(s)})
}

// keepConf writes the CNI configuration anew when another one leads hostPorts on, until ctx ends.
func (a *Agent) keepConf(ctx context.Context) {
	for a.CNIConf != "" {
		s := a.DB.Snapshot()
		if err := a.writeConf(s); err != nil { // an equal one is left alone
			a.Log.Error("new pods are served by the plugins of before until the configuration of services changes again", "error", err)
		}
		select {
		case <-a.Tables.Configs.WatchAll(s):
		case <-ctx.Done():
			return
		}
	}
	<-ctx.Done()
}

// loaded waits for the programs and says meanwhile what they wait for.
func (a *Agent) loaded(ctx context.Context) (*datapath.Datapath, error) {
	for last := ""; ; {
		s := a.DB.Snapshot()
		if missing := a.missing(s); missing != last {
			a.waitsFor(missing)
			last = missing
		}
		select {
		case dp := <-a.node.Programs.Opened():
			return dp, nil
		case <-a.Tables.Settings.WatchAll(s):
		case <-a.Tables.Nodes.WatchAll(s):
		case <-a.Tables.Programs.WatchAll(s):
		case <-status.Statuses.WatchAll(s):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// missing is what programs are not told yet.
func (a *Agent) missing(s *state.Snapshot) string {
	if !a.Tables.Settings.IsSynced(s) {
		return "the configuration (ConfigMap kube-system/cilium-config)"
	}
	node, _ := a.Tables.LocalNode(s)
	switch {
	case len(node.Addresses) == 0:
		return "the CiliumNode object of this node"
	case a.Tables.Programs.Len(s) == 0:
		return "the tunnel device " + attach.TunnelDevice
	}
	if row, _ := status.Statuses.One(s, status.KeyOf(a.Tables.Programs, table.ProgramsKey)); row.Err != "" {
		return "the programs of this node: " + row.Err
	}
	return "the programs of this node"
}

// open waits until what stands in the tables is in the kernel, and tells the container runtime that the node has a network.
func (a *Agent) open(ctx context.Context) error {
	t := a.Tables
	a.waitsFor("the first full list of policies, identities, endpoints and services")
	for _, one := range []state.AnyTable{t.Policies, t.Identities, t.Endpoints, t.Services, t.EndpointSlices, t.Namespaces, t.Pods, t.IPCache, t.Frontends} {
		if err := a.until(ctx, one, func(r state.Reader) bool { return one.Synced(a.DB.Snapshot()) }); err != nil {
			return err
		}
	}
	a.waitsFor("the datapath of this node")
	for _, name := range []string{t.IPCache.Name(), t.Frontends.Name(), t.Hooks.Name()} {
		if err := a.until(ctx, status.Statuses, func(r state.Reader) bool {
			s, ok := status.Statuses.One(r, state.Join(name, state.Key("")))
			return ok && s.Done
		}); err != nil {
			return err
		}
	}
	if a.CNIConf != "" {
		if err := a.writeConf(a.DB.Snapshot()); err != nil {
			return err
		}
	}
	a.waitsFor("")
	a.Log.Info("ready")
	return nil
}

// until waits for a condition on a table.
func (a *Agent) until(ctx context.Context, t interface {
	WatchAll(*state.Snapshot) <-chan struct{}
}, done func(state.Reader) bool,
) error {
	for {
		s := a.DB.Snapshot()
		changed := t.WatchAll(s)
		if done(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
