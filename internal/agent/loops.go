package agent

import (
	"context"
	"net/netip"
	"time"

	"weftnet.io/weftnet/internal/derive/ipcache"
	"weftnet.io/weftnet/internal/derive/link"
	"weftnet.io/weftnet/internal/derive/nic"
	"weftnet.io/weftnet/internal/derive/policy"
	"weftnet.io/weftnet/internal/derive/service"
	"weftnet.io/weftnet/internal/derive/workload"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	sinklink "weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/sink/route"
	"weftnet.io/weftnet/internal/source/netdev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Derivation is one of any row type.
type Derivation interface {
	Run(ctx context.Context, db *state.DB) error
	CaughtUp(s *state.Snapshot) bool
}

// Derivations are all that make an agent's tables of others; node is its name.
func Derivations(t *table.Tables, node string) []Derivation {
	list := []Derivation{ipcache.New(t), service.New(t, node)}
	for _, d := range nic.Derivations(t) {
		list = append(list, d.(Derivation))
	}
	for _, d := range workload.Derivations(t) {
		list = append(list, d.(Derivation))
	}
	for _, d := range policy.Derivations(t) {
		list = append(list, d.(Derivation))
	}
	for _, d := range link.Derivations(t) {
		list = append(list, d.(Derivation))
	}
	return list
}

func (a *Agent) runDerivations(run runFunc) {
	for _, d := range Derivations(a.Tables, a.Node) {
		a.checks(derives(d))
		run("derivation", func(ctx context.Context) error { return d.Run(ctx, a.DB) })
	}
}

// follow runs the loop that keeps a sink equal to a table.
func follow[R state.Row](a *Agent, run runFunc, t *state.Table[R], sink reconcile.Sink[R], waitSynced bool) {
	followBrief(a, run, t, sink, waitSynced, nil)
}

// followBrief is follow with few words about some rows.
func followBrief[R state.Row](a *Agent, run runFunc, t *state.Table[R], sink reconcile.Sink[R], waitSynced bool, brief func(R) bool) {
	loop := &reconcile.Loop[R]{Table: t, Sink: sink, WaitSynced: waitSynced, Brief: brief, Log: a.Log, Every: every(t.Name() == a.Tables.IdentityClaims.Name())}
	a.checks(realises(t))
	run(t.Name(), func(ctx context.Context) error { return loop.Run(ctx, a.DB) })
}

// every is the time between full comparisons. Identities are few, and one that was deleted while in use hurts at once.
func every(short bool) time.Duration {
	if short {
		return 15 * time.Second
	}
	return 5 * time.Minute
}

// runLinks starts what needs no datapath: devices, links, routes.
func (a *Agent) runLinks(run runFunc) error {
	o := sinklink.Options{Root: a.Root, Proc: a.Proc}
	links, err := sinklink.NewLinks(o)
	if err != nil {
		return err
	}
	tunnels, err := sinklink.NewTunnels(o)
	if err != nil {
		return err
	}
	routes, err := route.New()
	if err != nil {
		return err
	}
	devices, err := netdev.New(a.Tables.Devices, a.DB, a.Log)
	if err != nil {
		return err
	}
	a.links = links
	run("devices", devices.Run)
	follow(a, run, a.Tables.Links, reconcile.Sink[table.Link](links), false)
	follow(a, run, a.Tables.Tunnels, reconcile.Sink[table.Tunnel](tunnels), false)
	follow(a, run, a.Tables.Routes, reconcile.Sink[table.Route](routes), false)
	return nil
}

// exempt keeps what is open on the node when its first policy comes, and says what that is.
func (a *Agent) exempt() error {
	var list []bpfmap.Connection
	err := netdev.Connections(func(protocol uint8, from, to netip.AddrPort) {
		list = append(list, bpfmap.Connection{Protocol: protocol, Source: from, Destination: to})
	})
	if err == nil {
		err = bpfmap.Exempt(a.datapath, list)
	}
	if err != nil {
		return err
	}
	a.Log.Info("a policy selects this node for the first time: connections that are open are kept until they close", "count", len(list), "connections", list)
	return nil
}

// runMaps starts what lives in the datapath's maps, and its programs on devices.
func (a *Agent) runMaps(run runFunc) error {
	t, revisions := a.Tables, bpfmap.NewRevisions(a.datapath)
	sets, err := bpfmap.NewSets(a.DB, t.SetStatuses, a.datapath, revisions, policy.Number(t, a.DB))
	if err != nil {
		return err
	}
	nics, err := bpfmap.NewNICs(a.DB, t.NICStatuses, a.datapath, revisions, a.attached, a.exempt)
	if err != nil {
		return err
	}
	services, err := bpfmap.NewServices(a.datapath)
	if err != nil {
		return err
	}
	// Nobody waits for a single address of another node, and there may be a hundred thousand.
	remote := func(h table.IPCacheEntry) bool { return h.Flags&table.IPCacheLocal == 0 }
	// While there was no agent, somebody may have become somebody whom the sets of the last one do not know.
	after := func(name string, loop func(context.Context) error) {
		run(name, func(ctx context.Context) error {
			if err := status.AwaitFirst(ctx, a.DB, t.PolicySets); err != nil {
				return err
			}
			return loop(ctx)
		})
	}
	followBrief(a, after, t.IPCache, reconcile.Sink[table.IPCacheEntry](bpfmap.NewIPCache(a.datapath, revisions)), false, remote)
	follow(a, run, t.Frontends, reconcile.Sink[table.Frontend](services), false)
	follow(a, run, t.PolicySets, reconcile.Sink[table.PolicySet](sets), true)
	follow(a, run, t.NICs, reconcile.Sink[table.NIC](nics), false)
	follow(a, run, t.Hooks, reconcile.Sink[table.Hook](sinklink.NewHooks(a.datapath, a.served)), false)
	return nil
}
