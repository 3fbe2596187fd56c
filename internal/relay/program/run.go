package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"weftnet.io/weftnet/internal/credential/door"
	"weftnet.io/weftnet/internal/observe/peer"
	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/review"
	"weftnet.io/weftnet/internal/source/kube"
	"weftnet.io/weftnet/internal/tenancy"
)

// Run answers clients until ctx ends.
func Run(ctx context.Context, c Config, version string, log *slog.Logger) error {
	pool := peers.New(peers.Options{
		Service: c.PeerService, ServiceName: peer.ServerName("hubble-peer", c.ClusterName), Files: c.toAgents(), Plain: c.AgentPlain,
		Retry: c.RetryTimeout.Duration, Log: log,
	})
	gate, err := c.gate(log)
	if err != nil {
		return err
	}
	server := relay.NewServer(pool, relay.Options{Version: version, Window: c.SortWindow.Duration, Most: c.SortMost, Gate: gate, Log: log})
	if err := c.toAgents().Check(); err != nil && !c.AgentPlain {
		log.Warn("agents are not spoken with until these files are there; no restart is needed", "error", err)
	}
	shown := insecure.NewCredentials()
	if c.TLS() {
		shown = c.toClients().Server()
		if err := c.toClients().Check(); err != nil {
			log.Warn("clients are not served until these files are there; no restart is needed", "error", err)
		}
	}
	c.warn(log)
	healths := health.NewServer()
	clients, probes := forClients(server, healths, shown), forProbes(healths)
	registry := prometheus.NewRegistry()
	registry.MustRegister(server.Metrics(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return pool.Run(ctx) })
	g.Go(func() error { tellHealth(ctx, pool, healths); return nil })
	g.Go(func() error { return answer(ctx, clients, c.ListenAddress, "clients", door.Clients) })
	g.Go(func() error { return answer(ctx, probes, c.HealthAddress, "probes", door.Scrapes) })
	if c.MetricsAddress != "" {
		g.Go(func() error { return serveMetrics(ctx, registry, c.MetricsAddress) })
	}
	return g.Wait()
}

// away is after what time a connection is closed on which nothing is asked: clients make another when they ask again.
const away = 5 * time.Minute

// forClients is the server of those who ask for flows.
func forClients(server *relay.Server, healths healthpb.HealthServer, c credentials.TransportCredentials) *grpc.Server {
	g := grpc.NewServer(slices.Concat(server.Interceptors(), door.Bounds(), []grpc.ServerOption{
		grpc.Creds(c), grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second, MaxConnectionIdle: away}),
	})...)
	server.Register(g)
	reflection.Register(g) // for clients that know no protocol, as upstream
	healthpb.RegisterHealthServer(g, healths)
	return g
}

// forProbes is that of a kubelet, which asks and does not watch: a watch goes on for as long as a client likes.
func forProbes(healths healthpb.HealthServer) *grpc.Server {
	g := grpc.NewServer(append(door.Bounds(), grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: time.Minute}),
		grpc.StreamInterceptor(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
			return status.Error(codes.Unimplemented, "here health is asked for by Check alone")
		}))...)
	healthpb.RegisterHealthServer(g, healths)
	return g
}

// gate says who clients are.
func (c Config) gate(log *slog.Logger) (tenancy.Gate, error) {
	if c.Anonymous {
		return relay.Open{}, nil
	}
	config, err := kube.Connect(c.Kubeconfig, "weft-relay", c.APIServers)
	if err != nil {
		return nil, fmt.Errorf("find the API server, which knows what clients may see (hubble-relay-anonymous: true serves any client everything without it): %w", err)
	}
	return review.New(config, log)
}

// warn says what of the configuration lets others read what they should not.
func (c Config) warn(log *slog.Logger) {
	if c.Anonymous {
		log.Warn("clients are not asked who they are: any client that reaches the relay reads the flows of all namespaces (hubble-relay-anonymous)", "address", c.ListenAddress)
	}
	if !c.TLS() && !c.Anonymous {
		log.Warn("clients are served in plain text (relay.tls.enabled: false): what is between them and the relay reads their flows, and their tokens, with which it may do what they may; "+
			"weft observe with a kubeconfig goes through the API server, others should use tokens for the relay alone (kubectl create token NAME --audience "+review.Audience+")", "address", c.ListenAddress)
	}
	if !c.TLS() && c.Anonymous {
		log.Warn("clients are served in plain text (relay.tls.enabled: false)", "address", c.ListenAddress)
	}
}

func answer(ctx context.Context, s *grpc.Server, address, whose string, places door.Places) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", whose, err)
	}
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	if err := s.Serve(door.New(l, places)); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve %s on %s: %w", whose, address, err)
	}
	return nil
}

func serveMetrics(ctx context.Context, registry *prometheus.Registry, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(door.New(l, door.Scrapes)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics on %s: %w", address, err)
	}
	return nil
}

// Names that probes ask for: the process lives; it has an agent to ask.
const (
	liveness = "liveness"
	observer = "hubble.server.Observer" // by which `hubble status` asks, too
)

// tellHealth answers probes: while no agent can be asked, no client should be sent here.
func tellHealth(ctx context.Context, p relay.Peers, h *health.Server) {
	h.SetServingStatus(liveness, healthpb.HealthCheckResponse_SERVING)
	for {
		all, changed := p.List()
		state := healthpb.HealthCheckResponse_NOT_SERVING
		for _, one := range all {
			if one.Available {
				state = healthpb.HealthCheckResponse_SERVING
			}
		}
		h.SetServingStatus("", state)
		h.SetServingStatus(observer, state)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
