package main

import (
	"context"
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/control"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/race"
	"weftnet.io/weftnet/test/bench/report"
)

// pods makes pods on nodes, named after their node and numbered.
func pods(ctx context.Context, c *nettest.Cluster, each int) error {
	for _, n := range c.Nodes() {
		for i := range each {
			if _, err := n.AddPod(ctx, nettest.PodSpec{Name: fmt.Sprint(n.Name, i), Labels: map[string]string{"app": n.Name}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) sameNode(ctx context.Context) (s report.Section, err error) {
	s.Title = "Two pods of a node"
	c, err := b.cluster("same", 1, nil)
	if err != nil {
		return s, err
	}
	defer c.Close()
	if err := pods(ctx, c, 2); err != nil {
		return s, err
	}
	a := c.Node("a")
	if err := c.Put(control.Services(b.services+1, a.Pod("a1").Addresses[0], load.Port).Objects()...); err != nil {
		return s, err
	}
	if err := c.Settle(ctx); err != nil {
		return s, err
	}
	way := load.Way{Client: a.Pod("a0").Station, Server: a.Pod("a1").Station, Service: netip.AddrPortFrom(control.Address, control.Port)}
	pair, err := peer.Pair()
	if err != nil {
		return s, err
	}
	defer pair.Close()
	weft, veth := &race.Contender{Way: way, Name: "Weftnet", Of: 1, Ours: true}, &race.Contender{Way: pair.Way, Name: pair.Name, Of: 1}
	list, bridges := []*race.Contender{weft, veth}, []*race.Contender{}
	if what := b.Lacking(); what != "" {
		s.Notes = append(s.Notes, "The bridge plugin with kube-proxy was not measured: there is no "+what+".")
	} else {
		for _, mode := range []string{"iptables", "nftables"} {
			p, err := b.Bridged(ctx, mode, b.services+1)
			if err != nil {
				return s, err
			}
			defer p.Close()
			bridges = append(bridges, &race.Contender{Way: p.Way, Name: p.Name, Of: 1})
		}
		list = append(list, bridges...)
	}
	again := &race.Contender{Way: way, Name: "Weftnet, measured again", Of: 1, Ours: true}
	list = append(list, again)
	kinds := []race.Kind{race.Throughput, race.Transactions, race.Connections, race.Datagrams, race.Calls}
	if err := b.race().Run(ctx, list, kinds...); err != nil {
		return s, err
	}
	race.Compare(&s, list, kinds...)
	race.Aim(&s, race.Throughput, weft, veth, 0.95)
	race.Aim(&s, race.Transactions, weft, veth, 0.95)
	for _, bridge := range bridges {
		for _, k := range kinds {
			race.Aim(&s, k, weft, bridge, 1)
		}
	}
	race.Differs(&s, weft, again, kinds...)
	s.Notes = append(s.Notes, fmt.Sprintf("There are %d services in Weftnet and in both kube-proxies; all lead to the server, and one is called. Ratios are to the bare veth pair.", b.services+1))
	return s, nil
}

// race is how ways are measured beside each other.
func (b *bench) race() race.Race {
	return race.Race{Rounds: b.rounds, Time: b.time, Progress: progress}
}

// native is the configuration of nodes that route.
var native = map[string]string{
	"routing-mode": "native", "auto-direct-node-routes": "true", "ipv4-native-routing-cidr": "10.244.0.0/16", "ipv6-native-routing-cidr": "fd00:244::/48",
}

func (b *bench) acrossNodes(ctx context.Context) (s report.Section, err error) {
	s.Title = "Pods of two nodes"
	var list []*race.Contender
	for i, x := range []struct {
		name     string
		settings map[string]string
		vxlan    bool
	}{{"Weftnet, VXLAN", nil, true}, {"Weftnet, native", native, false}} {
		c, err := b.cluster("across"+fmt.Sprint(i), 2, x.settings)
		if err != nil {
			return s, err
		}
		defer c.Close()
		if err := pods(ctx, c, 1); err != nil {
			return s, err
		}
		p, err := peer.Routed(x.vxlan)
		if err != nil {
			return s, err
		}
		defer p.Close()
		way := load.Way{Client: c.Node("a").Pod("a0").Station, Server: c.Node("b").Pod("b0").Station}
		of := len(list) + 1
		list = append(list, &race.Contender{Way: way, Name: x.name, Of: of, Ours: true}, &race.Contender{Way: p.Way, Name: p.Name, Of: of},
			&race.Contender{Way: way, Name: x.name + ", again", Of: of, Ours: true})
	}
	kinds := []race.Kind{race.Throughput, race.Transactions, race.Connections, race.Datagrams}
	if err := b.race().Run(ctx, list, kinds...); err != nil {
		return s, err
	}
	race.Compare(&s, list, kinds...)
	for i := 0; i < len(list); i += 3 {
		for _, k := range kinds {
			race.Aim(&s, k, list[i], list[i+1], 0.95)
		}
		race.Differs(&s, list[i], list[i+2], kinds...)
	}
	return s, nil
}
