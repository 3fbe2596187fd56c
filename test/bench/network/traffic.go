package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/race"
	"weftnet.io/weftnet/test/bench/report"
)

// wires are kinds of macvlan NICs.
var wires = []struct{ name, device, says string }{
	{"open", "ens192", "macvlan, open"},
	{"closed", "ens224", "macvlan, policy-networks all, no policy"},
	{"ruled", "ens256", "macvlan, policy-networks all, with a policy"},
}

const definitions = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: open, namespace: default}
spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens192", "mode": "bridge", "ipam": {"type": "static"}}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: closed, namespace: default, annotations: {weftnet.io/policy-networks: all}}
spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens224", "mode": "bridge", "ipam": {"type": "static"}}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: ruled, namespace: default, annotations: {weftnet.io/policy-networks: all}}
spec: {config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens256", "mode": "bridge", "ipam": {"type": "static"}}'}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ruled, namespace: default, annotations: {k8s.v1.cni.cncf.io/policy-for: ruled}}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
`

// Traffic measures what goes by further NICs.
func Traffic(ctx context.Context, b Bench) (s report.Section, err error) {
	s.Title = "Traffic by macvlan NICs"
	if what := b.lacking(); what != "" {
		return unmeasured(s.Title, what), nil
	}
	g, err := group("network-traffic")
	if err != nil {
		return s, err
	}
	defer g.Close()
	c, a, err := b.Node("network-traffic", g)
	if err != nil {
		return s, err
	}
	defer c.Close()
	n, err := c.AddNode("b", nil)
	if err != nil {
		return s, err
	}
	err = errors.Join(b.install(a), b.install(n))
	for _, w := range wires {
		err = errors.Join(err, c.Wire().Uplink(w.device, a.Namespace, n.Namespace))
	}
	if err = errors.Join(err, c.Apply(ctx, []byte(definitions))); err != nil {
		return s, err
	}
	client, err := lodge(ctx, a, "client", "client", 10)
	if err != nil {
		return s, err
	}
	kinds := []race.Kind{race.Throughput, race.Transactions, race.Connections}
	for i, place := range []struct {
		name   string
		node   *nettest.Node
		across bool
	}{{"one node", a, false}, {"two nodes", n, true}} {
		server, err := lodge(ctx, place.node, fmt.Sprint("server", i), "server", 11+i)
		if err != nil {
			return s, err
		}
		bare, err := peer.Macvlan(place.across)
		if err != nil {
			return s, err
		}
		defer bare.Close()
		list := []*race.Contender{{Way: bare.Way, Name: place.name + ": " + bare.Name}}
		for j, w := range wires {
			list = append(list, &race.Contender{Way: load.Way{Client: client[j], Server: server[j]}, Name: place.name + ": " + w.says, Ours: true})
		}
		last := *list[len(list)-1]
		last.Name += ", measured again"
		list = append(list, &last)
		if err := (race.Race{Rounds: b.Rounds, Time: b.Time, Progress: b.Progress}).Run(ctx, list, kinds...); err != nil {
			return s, err
		}
		race.Compare(&s, list, kinds...)
		for _, one := range list[1 : len(list)-1] {
			race.Aim(&s, race.Throughput, one, list[0], 0.97)
			race.Aim(&s, race.Transactions, one, list[0], 0.97)
		}
		race.Differs(&s, list[len(list)-2], &last, kinds...)
	}
	s.Notes = append(s.Notes, "Ratios are to two macvlan devices of the kernel in mode bridge, on the end of a veth pair that is plugged into a bridge, as the NICs of pods are. Open is `policy-networks: primary`: no program is on the way. "+
		"The policy lets the client in, and is for that network alone.")
	return s, nil
}

// lodge makes a pod with a NIC of each kind: what it is by each.
func lodge(ctx context.Context, n *nettest.Node, name, app string, host int) (list []*netns.Station, err error) {
	text := "["
	for i, w := range wires {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"name":%q,"ips":["10.80.%d.%d/24"]}`, w.name, i, host)
	}
	p, err := n.AddPod(ctx, nettest.PodSpec{Name: name, Labels: map[string]string{"app": app}, Annotations: map[string]string{cncfv1.NetworksAnnotation: text + "]"}})
	if err != nil {
		return nil, err
	}
	for i := range wires {
		list = append(list, netns.New(p.Station.Name, p.Namespace, netip.AddrFrom4([4]byte{10, 80, byte(i), byte(host)})))
	}
	return list, nil
}
