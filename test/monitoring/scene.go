package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"weftnet.io/weftnet/internal/nettest"
)

// scene is a little cluster in which everything happens that dashboards show.
type scene struct {
	cluster             *nettest.Cluster
	a, b                *nettest.Node
	web, db, shop, lock *nettest.Pod
}

var settings = map[string]string{
	"kube-proxy-replacement": "true", "prometheus-serve-addr": ":9962", "bpf-program-stats-interval": "2s",
	"hubble-metrics": "drop flow tcp icmp port-distribution policy",
}

func newScene(ctx context.Context, c *nettest.Cluster) (*scene, error) {
	s := &scene{cluster: c}
	var err error
	node := func(name string) *nettest.Node {
		n, e := c.AddNode(name, settings)
		err = errors.Join(err, e)
		return n
	}
	if s.a, s.b = node("a"), node("b"); err != nil {
		return nil, err
	}
	pod := func(n *nettest.Node, name string) *nettest.Pod {
		p, e := n.AddPod(ctx, nettest.PodSpec{Name: name, Labels: map[string]string{"app": name}})
		if err = errors.Join(err, e); e == nil {
			err = errors.Join(err, p.Serve(8080))
		}
		return p
	}
	if s.web, s.db, s.shop, s.lock = pod(s.a, "web"), pod(s.a, "db"), pod(s.b, "shop"), pod(s.a, "lock"); err != nil {
		return nil, err
	}
	return s, c.Apply(ctx, []byte(objects))
}

const objects = `
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec:
  type: NodePort
  clusterIP: 10.96.0.80
  clusterIPs: [10.96.0.80]
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: nothing, namespace: default}
spec:
  clusterIP: 10.96.0.90
  clusterIPs: [10.96.0.90]
  selector: {app: nothing}
  ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: lock, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: lock}}
  ingress: [{fromEndpoints: [{matchLabels: {app: nothing}}]}]
`

// change is a policy that says something else each time.
const change = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: db, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: db}}
  ingress: [{fromEndpoints: [{matchLabels: {app: web}}, {matchLabels: {app: "other-%d"}}]}]
`

// traffic lets everything happen until ctx ends, again and again; apply is for changes, which are not to be broken off.
func (s *scene) traffic(ctx, apply context.Context) error {
	at := func(p *nettest.Pod) netip.AddrPort {
		address, _ := p.Address(4)
		return netip.AddrPortFrom(address, 8080)
	}
	node, _ := s.a.Address(4)
	for round := 0; ctx.Err() == nil; round++ {
		if err := s.cluster.Apply(apply, fmt.Appendf(nil, change, round)); err != nil {
			return err
		}
		for _, call := range []struct {
			what string
			to   netip.AddrPort
			from interface {
				Dial(ctx context.Context, network string, to netip.AddrPort, size int, bulk int64) (string, error)
			}
		}{
			{"a pod of the node", at(s.db), s.web},
			{"a pod elsewhere", at(s.shop), s.web},
			{"a service", netip.MustParseAddrPort("10.96.0.80:80"), s.web},
			{"a node port", netip.AddrPortFrom(node, 30080), s.cluster.Outside},
		} {
			if _, err := call.from.Dial(apply, "tcp", call.to, 0, 0); err != nil {
				return fmt.Errorf("call %s: %w", call.what, err)
			}
		}
		address, _ := s.db.Address(4)
		if err := s.web.Ping(apply, address, 0); err != nil {
			return fmt.Errorf("ping: %w", err)
		}
		for _, to := range []netip.AddrPort{at(s.lock), netip.MustParseAddrPort("10.96.0.90:80")} {
			vain, cancel := context.WithTimeout(apply, time.Second/2)
			if _, err := s.web.Dial(vain, "tcp", to, 0, 0); err == nil {
				cancel()
				return fmt.Errorf("%v answers, and must not", to)
			}
			cancel()
		}
	}
	return nil
}
