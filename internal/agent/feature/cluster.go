package feature

import (
	"context"
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"

	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/agent/socket"
	"weftnet.io/weftnet/internal/reconcile"
	sinkkube "weftnet.io/weftnet/internal/sink/kube"
	"weftnet.io/weftnet/internal/source/kube"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

var cluster = Feature{
	Name: "cluster", Does: "reads objects of the API server, and writes this node's identities, endpoints, CiliumNode and events",
	Fills: kube.Fills,
	Early: func(n *Node) ([]Runner, error) {
		if !n.Alone {
			return runCluster(n)
		}
		if n.Books == "" {
			return nil, nil
		}
		api, _, err := kube.ConnectAndKeep(n.Books, "weft-agent", "", "", n.Log)
		if err == nil {
			n.Cluster, err = network.NewCluster(api, n.Name, n.Log)
		}
		return nil, err
	},
}

// lookAtIdentities is how often identities are compared with the API server: they are few, and one that was deleted while in use
// hurts at once.
const lookAtIdentities = 15 * time.Second

func runCluster(n *Node) ([]Runner, error) {
	api, servers, err := kube.ConnectAndKeep(n.Kube, "weft-agent", n.Servers, n.Kept, n.Log)
	if err != nil {
		return nil, err
	}
	source, err := kube.New(kube.Config{API: api, Node: n.Name, Flags: n.Flags, Log: n.Log}, n.DB, n.Tables)
	if err != nil {
		return nil, err
	}
	identities, err := sinkkube.NewIdentities(api, n.DB, n.Tables)
	if err != nil {
		return nil, err
	}
	endpoints, err := sinkkube.NewEndpoints(api, n.Tables, n.Name)
	if err != nil {
		return nil, err
	}
	node, err := sinkkube.NewNode(api, n.DB, n.Tables, n.Name, n.Log)
	if err != nil {
		return nil, err
	}
	node.Own = source.OwnNode
	events, err := sinkkube.NewEvents(api, "weft-agent", n.Name)
	if err != nil {
		return nil, err
	}
	n.Events = events
	if n.Cluster, err = network.NewCluster(api, n.Name, n.Log); err != nil {
		return nil, err
	}
	networks, err := sinkkube.NewNetworks(api, n.DB, n.Name)
	if err != nil {
		return nil, err
	}
	interfaces, err := sinkkube.PeerLoop(api, n.Name)
	if err != nil {
		return nil, err
	}
	follow := func(ctx context.Context) error { return servers.Follow(ctx, n.DB, n.Tables) }
	if servers == nil {
		follow = func(context.Context) error { return nil }
	}
	return []Runner{
		{Name: "API servers", Run: follow},
		{Name: "source/kube", Run: func(ctx context.Context) error { return source.Run(ctx) }},
		{Name: "CiliumNode", Run: node.Run},
		{Name: "warnings", Run: func(ctx context.Context) error { return warnUnmet(ctx, n, events) }},
		keep(n, networks.Loop()),
		keep(n, interfaces),
		{Name: "warnings of full maps", Run: func(ctx context.Context) error { return warnFull(ctx, n, events) }},
		keep(n, &reconcile.Loop[table.IdentityClaim]{Table: n.Tables.IdentityClaims, Sink: identities, WaitSynced: true, Every: lookAtIdentities}),
		keep(n, &reconcile.Loop[table.PublishedEndpoint]{Table: n.Tables.Published, Sink: endpoints, WaitSynced: true}),
	}, nil
}

// warnUnmet tells, as events of this node, which protections the configuration asks for and does not get, which maps have not the
// size that it asks for, and that services are not translated at sockets where they ought to be.
func warnUnmet(ctx context.Context, n *Node, events *sinkkube.Events) error {
	told := map[string]bool{}
	warn := func(reason, message string) {
		if told[message] {
			return
		}
		told[message] = true
		about := corev1.ObjectReference{Kind: "Node", Name: n.Name, APIVersion: "v1"}
		if err := events.Warn(ctx, about, reason, message); err != nil {
			n.Log.Warn("tell as an event of this node what the configuration asks for and does not get", "reason", reason, "message", message, "error", err)
		}
	}
	for {
		s := n.DB.Snapshot()
		changed, resized := n.Tables.Settings.WatchAll(s), n.Tables.MapSizes.WatchAll(s)
		_, _, sockets := status.Statuses.WatchOne(s, status.KeyOf(n.Tables.Sockets, table.SocketsKey))
		if why := socket.Missing(s, n.Tables); why != "" {
			warn("ServicesNotAtSockets", why)
		}
		for _, line := range n.Settings() {
			if message := line.Key + "=" + line.Value + ": " + line.Message; line.Alarm() && !told[message] {
				n.Log.Warn("a protection that the configuration asks for is not active", "key", line.Key, "value", line.Value, "why", line.Message)
				warn("ProtectionNotActive", message)
			}
		}
		for row := range n.Tables.MapSizes.All(s) {
			if row.Why != "" {
				warn("MapKeepsSize", row.Text())
			}
		}
		select {
		case <-changed:
		case <-resized:
		case <-sockets:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var fullMap = regexp.MustCompile(`map \w+ is full`)

// warnFull tells, as events of this node, which maps have no room for what is wanted of services: once, until all of it is in place.
func warnFull(ctx context.Context, n *Node, events *sinkkube.Events) error {
	told := map[string]bool{}
	for {
		s := n.DB.Snapshot()
		whole, _, changed := status.Statuses.WatchOne(s, status.KeyOf(n.Tables.Frontends, ""))
		if whole.Done {
			clear(told)
		} else {
			for row := range status.Statuses.Prefix(s, state.Join(n.Tables.Frontends.Name())) {
				name := fullMap.FindString(row.Err)
				if name == "" || told[name] {
					continue
				}
				told[name] = true
				about := corev1.ObjectReference{Kind: "Node", Name: n.Name, APIVersion: "v1"}
				if err := events.Warn(ctx, about, "MapFull", fmt.Sprintf("service frontend %s is not as it should be: %s", row.Key, row.Err)); err != nil {
					n.Log.Warn("tell as an event of this node that a map is full", "map", name, "error", err)
				}
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
