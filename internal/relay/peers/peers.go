// Package peers knows the agents of a cluster and keeps a connection to each.
//
// # The world it models
//
//	peer.Peer of any agent --Notify--> Pool: name, address, TLS name -> a connection each -> List
//
// Any agent knows all nodes. When the one that tells is away, those that are known stay, and are compared with what the next one
// tells: a node that it does not name within Confirm is gone. A node is available until its connection fails, and again when there is
// one; connections are made again by themselves, within seconds.
//
// # Invariants
//
//   - An agent is spoken with only if its certificate is for the name that peer.Peer gives it. One that has no such name speaks plain
//     text, and is left alone unless Plain says otherwise.
//   - Nothing here waits for a node: List answers at once with what is known.
//
// # Example
//
//	pool := peers.New(peers.Options{Service: "hubble-peer.kube-system.svc.cluster.local:443", ServiceName: "hubble-peer.default.hubble-grpc.cilium.io", Files: files})
//	go pool.Run(ctx)
//	list, changed := pool.List()
package peers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	peerpb "github.com/cilium/cilium/api/v1/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"weftnet.io/weftnet/internal/credential"
)

// Options say where peers are told of, and how they are spoken with.
type Options struct {
	Service     string           // address of a peer.Peer: HOST:PORT, or unix://PATH
	ServiceName string           // of its certificate
	Files       credential.Files // what agents are shown
	Plain       bool             // agents speak plain text
	Retry       time.Duration    // after what time Service is asked again; 0: 5 s
	Confirm     time.Duration    // within what time Service names all nodes; 0: 5 s
	Log         *slog.Logger
}

// Peer is an agent.
type Peer struct {
	Name, Address, ServerName string
	Conn                      *grpc.ClientConn // nil: it cannot be spoken with
	Available                 bool
	State                     connectivity.State
	Why                       string // it cannot be spoken with
}

// Pool knows agents.
type Pool struct {
	o Options

	mu      sync.Mutex
	members map[string]*member
	told    bool          // Service is connected
	changed chan struct{} // closed by the next change
}

// member is an agent under watch.
type member struct {
	Peer
	fresh bool // named since Service was connected
	stop  context.CancelFunc
}

// New makes a pool that knows no agent.
func New(o Options) *Pool {
	o.Retry, o.Confirm = cmp.Or(o.Retry, 5*time.Second), cmp.Or(o.Confirm, 5*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Pool{o: o, members: map[string]*member{}, changed: make(chan struct{})}
}

// List gives all agents in the order of names, and a channel that closes when that changes.
func (p *Pool) List() (all []Peer, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		all = append(all, m.Peer)
	}
	slices.SortFunc(all, func(a, b Peer) int { return cmp.Compare(a.Name, b.Name) })
	return all, p.changed
}

// Told tells whether an agent is telling of nodes.
func (p *Pool) Told() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

// change does something and wakes who waits for changes.
func (p *Pool) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// Run follows until ctx ends, which closes all connections.
func (p *Pool) Run(ctx context.Context) error {
	defer p.change(func() {
		for name := range p.members {
			p.drop(name)
		}
	})
	said := ""
	for {
		err := p.follow(ctx, func() { said = "" })
		p.change(func() { p.told = false })
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			p.o.Log.Warn("no agent tells which nodes there are; those that are known stay", "service", p.o.Service, "error", err)
		}
		select {
		case <-time.After(p.o.Retry):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow takes in what Service tells, until it is away.
func (p *Pool) follow(ctx context.Context, connected func()) error {
	var own credentials.TransportCredentials
	switch {
	case strings.HasPrefix(p.o.Service, "unix://"), p.o.Plain:
		own = insecure.NewCredentials()
	default:
		own = p.o.Files.Client(p.o.ServiceName)
	}
	conn, err := grpc.NewClient(target(p.o.Service), options(own)...)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := peerpb.NewPeerClient(conn).Notify(ctx, &peerpb.NotifyRequest{})
	if err != nil {
		return err
	}
	p.change(func() {
		for _, m := range p.members {
			m.fresh = false
		}
	})
	var confirm *time.Timer
	for {
		n, err := stream.Recv()
		if err != nil {
			if confirm != nil {
				confirm.Stop()
			}
			return err
		}
		if confirm == nil {
			connected()
			confirm = time.AfterFunc(p.o.Confirm, func() { p.change(func() { p.confirm(ctx) }) })
		}
		p.change(func() {
			p.told = true
			p.take(ctx, n)
		})
	}
}

// confirm forgets the nodes that Service did not name; mu is held.
func (p *Pool) confirm(ctx context.Context) {
	if ctx.Err() != nil {
		return // another connection decides
	}
	for name, m := range p.members {
		if !m.fresh {
			p.drop(name)
		}
	}
}

// take takes in a notification; mu is held.
func (p *Pool) take(ctx context.Context, n *peerpb.ChangeNotification) {
	name := n.GetName()
	if n.GetType() == peerpb.ChangeNotificationType_PEER_DELETED {
		p.o.Log.Info("a node is gone", "node", name)
		p.drop(name)
		return
	}
	now := Peer{Name: name, Address: n.GetAddress(), ServerName: n.GetTls().GetServerName()}
	if m := p.members[name]; m != nil {
		if m.Address == now.Address && m.ServerName == now.ServerName {
			m.fresh = true
			return
		}
		p.drop(name)
	}
	m := &member{Peer: now, fresh: true, stop: func() {}}
	p.members[name] = m
	own, err := p.credentials(now)
	if err == nil {
		m.Conn, err = grpc.NewClient(target(now.Address), options(own)...)
	}
	if err != nil {
		m.Why = err.Error()
		p.o.Log.Warn("a node cannot be spoken with", "node", name, "address", now.Address, "error", err)
		return
	}
	p.o.Log.Info("a node is known", "node", name, "address", now.Address)
	// It is watched for as long as it is known, whichever connection told of it.
	watched, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.stop, m.Available = stop, true
	go p.watch(watched, m, m.Conn)
}

// credentials are those for an agent.
func (p *Pool) credentials(of Peer) (credentials.TransportCredentials, error) {
	switch {
	case of.Address == "":
		return nil, errors.New("it has no address yet")
	case of.ServerName != "" && !p.o.Plain:
		return p.o.Files.Client(of.ServerName), nil
	case of.ServerName == "" && !p.o.Plain:
		return nil, errors.New("it speaks plain text (hubble-disable-tls), and disable-client-tls is not true here")
	}
	return insecure.NewCredentials(), nil
}

// drop forgets an agent; mu is held.
func (p *Pool) drop(name string) {
	m := p.members[name]
	if m == nil {
		return
	}
	delete(p.members, name)
	m.stop()
	if m.Conn != nil {
		_ = m.Conn.Close() // it has no error that matters
	}
}

// watch follows the state of a connection.
func (p *Pool) watch(ctx context.Context, m *member, conn *grpc.ClientConn) {
	for {
		state := conn.GetState()
		if state == connectivity.Idle {
			conn.Connect()
		}
		p.change(func() {
			m.State = state
			switch state {
			case connectivity.TransientFailure, connectivity.Shutdown:
				m.Available = false
			case connectivity.Ready:
				m.Available = true
			}
		})
		if !conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// target is an address in gRPC's notation, which is resolved past any HTTP proxy's.
func target(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "dns:///" + address
}

// How soon an agent that is away, or back, is noticed.
const (
	idle    = 10 * time.Second
	answer  = 5 * time.Second
	soonest = 500 * time.Millisecond
	latest  = 10 * time.Second
)

func options(own credentials.TransportCredentials) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(own),
		grpc.WithIdleTimeout(0),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: idle, Timeout: answer, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: soonest, Multiplier: 1.6, Jitter: 0.2, MaxDelay: latest},
			MinConnectTimeout: answer,
		}),
	}
}
