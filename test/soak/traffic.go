package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/load"
	"weftnet.io/weftnet/internal/nettest/netns"
)

// world is two nodes with pods that talk: web and its neighbour on a, db and dns on b. Policies let web call db and dns, and
// no other pod. dns is reached through a service.
type world struct {
	*nettest.Cluster
	a, b                   *nettest.Node
	web, near, db, dns, pi *nettest.Pod
}

const objects = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: servers}
spec:
  endpointSelector: {matchExpressions: [{key: app, operator: In, values: [db, dns]}]}
  ingress:
  - fromEndpoints: [{matchLabels: {app: web}}]
---
apiVersion: v1
kind: Service
metadata: {name: dns}
spec:
  clusterIP: 10.96.0.10
  selector: {app: dns}
  ports: [{port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: 10.96.0.20
  selector: {app: db}
  ports: [{port: 5432, protocol: TCP}]
`

var dnsService = netip.MustParseAddrPort("10.96.0.10:53")

// newWorld makes one whose agents run with settings. They are those of a program, if there is one.
func newWorld(ctx context.Context, c *nettest.Cluster, settings map[string]string, program string) (w *world, err error) {
	w = &world{Cluster: c}
	start := func(name string) (*nettest.Node, error) {
		n, err := c.PrepareNode(name, settings)
		if err != nil {
			return nil, err
		}
		n.Program = program
		return n, n.Start()
	}
	if w.a, err = start("a"); err != nil {
		return nil, err
	}
	if w.b, err = start("b"); err != nil {
		return nil, err
	}
	for _, p := range []struct {
		at   **nettest.Pod
		node *nettest.Node
		name string
	}{{&w.web, w.a, "web"}, {&w.near, w.a, "near"}, {&w.db, w.b, "db"}, {&w.dns, w.b, "dns"}, {&w.pi, w.b, "pi"}} {
		if *p.at, err = p.node.AddPod(ctx, nettest.PodSpec{Name: p.name, Labels: map[string]string{"app": p.name}}); err != nil {
			return nil, err
		}
	}
	if err := c.Apply(ctx, []byte(objects)); err != nil {
		return nil, err
	}
	for _, p := range []*nettest.Pod{w.web, w.near, w.db} {
		if err := p.Serve(5432); err != nil {
			return nil, err
		}
	}
	return w, serveDNS(w.dns.Station)
}

// load begins what runs all the time.
func (w *world) load() (*load.Load, error) {
	l := load.New()
	ms := time.Millisecond
	web, db, near := w.web.Station, w.db.Station, w.near.Station
	var errs []error
	for i, family := range []string{"IPv4", "IPv6"} {
		errs = append(errs,
			l.Ping(family+" pings to another node", web, db.Addresses[i], time.Duration(1+9*i)*ms),
			l.Stream(family+" TCP to another node", web, db, db.Addresses[i], 5*ms),
			l.Datagrams(family+" UDP to another node", web, db, db.Addresses[i], 5*ms),
		)
	}
	errs = append(errs,
		l.Ping("pings on a node", web, near.Addresses[0], 2*ms),
		l.Stream("TCP on a node", web, near, near.Addresses[0], 5*ms),
		l.Ping("pings of a node to its pod", w.b.Station, db.Addresses[0], 5*ms),
		l.Ping("pings to the outside", web, w.Outside.Addresses[0], 5*ms),
	)
	w.calls(l)
	return l, errors.Join(errs...)
}

// calls begins connections anew.
func (w *world) calls(l *load.Load) {
	every := 20 * time.Millisecond
	dial := func(from *netns.Station, to netip.AddrPort) func(context.Context) error {
		return func(ctx context.Context) error { _, err := from.Dial(ctx, "tcp", to, 0, 0); return err }
	}
	port := func(p *nettest.Pod) netip.AddrPort { return netip.AddrPortFrom(p.Addresses[0], 5432) }
	l.Call("new connections to another node", every, dial(w.web.Station, port(w.db)))
	l.Call("new connections on a node", every, dial(w.web.Station, port(w.near)))
	l.Call("new connections to a service", every, dial(w.web.Station, netip.MustParseAddrPort("10.96.0.20:5432")))
	l.Call("probes of a node", every, dial(w.b.Station, port(w.db)))
	l.Call("names asked of DNS", every, func(ctx context.Context) error { return w.resolve(ctx) })
}

// resolve asks the DNS server through its service.
func (w *world) resolve(ctx context.Context) error {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = w.web.Do(func() error {
			conn, err = new(net.Dialer).DialContext(ctx, "udp", dnsService.String())
			return err
		})
		return conn, err
	}}
	got, err := r.LookupNetIP(ctx, "ip4", "db.default.svc.cluster.local.")
	if err == nil && (len(got) != 1 || got[0].Unmap() != answer) {
		err = fmt.Errorf("DNS says %v, not %v", got, answer)
	}
	return err
}

var answer = netip.MustParseAddr("192.0.2.53")

// serveDNS answers every question for an IPv4 address, until the station closes.
func serveDNS(p *netns.Station) error {
	var socket *net.UDPConn
	err := p.Do(func() (err error) {
		socket, err = net.ListenUDP("udp", &net.UDPAddr{Port: 53})
		return err
	})
	if err != nil {
		return fmt.Errorf("serve DNS: %w", err)
	}
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if text, bad := reply(b[:n]); err == nil && bad == nil {
				_, _ = socket.WriteToUDPAddrPort(text, from) // who asked misses it
			}
		}
	}()
	return nil
}

func reply(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 5},
				Body:   &dnsmessage.AResource{A: answer.As4()},
			})
		}
	}
	return m.Pack()
}
