// Package serve puts flows where clients find them: on the node's unix socket, and over the network to clients with a certificate.
//
//	unix socket  (mode 0600: root alone)          -> observer.Observer, peer.Peer, grpc.health.v1.Health
//	:4244        (TLS, both ends show certificates) -> the same
//
// Invariants: over the network, no byte of an answer is sent to a client whose certificate is not of an authority that the configuration
// names, unless it says hubble-disable-tls. Certificates are read for each connection. Whatever is wrong with files, address or
// clients ends a connection, or this port, never the agent. A client that is gone without a word is noticed within minutes. How many come at a
// time, and how much they say before they are known, is bounded (package door).
//
//	s := serve.Server{Flows: observer, Peers: peer.New(tables, db), Log: log}
//	go s.Socket(ctx, listener)
//	go s.Network(ctx, settings.FlowService{Address: ":4244", …})
package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	peerpb "github.com/cilium/cilium/api/v1/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"weftnet.io/weftnet/internal/credential"
	"weftnet.io/weftnet/internal/credential/door"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/settings"
)

// Server is what clients are served.
type Server struct {
	Flows *observe.Observer
	Peers peerpb.PeerServer
	Log   *slog.Logger

	Again time.Duration // after what time an address that could not be had is tried again; 0: 5 s
}

// Socket serves on a listener that only those reach who may see all flows, until ctx ends. It closes the listener.
func (s *Server) Socket(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, grpc.Creds(insecure.NewCredentials()))
}

// Network serves at an address until ctx ends.
func (s *Server) Network(ctx context.Context, c settings.FlowService) error {
	if c.Address == "" {
		return nil
	}
	credentials := insecure.NewCredentials()
	switch {
	case c.Plain:
		s.Log.Warn("flows are for any client that asks over the network: hubble-disable-tls is true", "address", c.Address)
	case c.Certificate == "" || c.Key == "" || len(c.ClientCAs) == 0:
		s.Log.Error("flows are not served over the network: hubble-tls-cert-file, hubble-tls-key-file and hubble-tls-client-ca-files must be set, since clients are known by certificates alone",
			"address", c.Address)
		return nil
	default:
		files := credential.Files{
			Of:          "flows (keys hubble-tls-cert-file, hubble-tls-key-file and hubble-tls-client-ca-files)",
			Certificate: c.Certificate, Key: c.Key, Authorities: c.ClientCAs,
		}
		if err := files.Check(); err != nil {
			s.Log.Warn("flows are not served over the network until these files are there; no restart is needed", "error", err)
		}
		credentials = files.Server()
	}
	l, err := s.listen(ctx, c.Address)
	if err != nil {
		return nil //nolint:nilerr // ctx has ended
	}
	s.Log.Info("flows are served over the network", "address", c.Address, "tls", !c.Plain)
	return s.serve(ctx, door.New(l, door.Clients), grpc.Creds(credentials))
}

// listen waits until an address can be had: another process on it is no reason for a node to be without network.
func (s *Server) listen(ctx context.Context, address string) (net.Listener, error) {
	again := s.Again
	if again == 0 {
		again = 5 * time.Second
	}
	for told := false; ; told = true {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			return l, nil
		}
		if !told {
			s.Log.Error("flows are not served over the network until this address is free (is another agent running on this node?)", "address", address, "error", err)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Health is the name under which `hubble status` asks for the health of a server of flows: no service has it (cilium pkg/hubble/api/v1).
const Health = "hubble.server.Observer"

// Clients that are gone are noticed, and those that look for us that often are let: relays do, to find nodes that are away.
const (
	idle   = time.Minute
	answer = 20 * time.Second
	asked  = 5 * time.Second
)

func (s *Server) serve(ctx context.Context, l net.Listener, credentials grpc.ServerOption) error {
	server := grpc.NewServer(append(door.Bounds(), credentials,
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: idle, Timeout: answer}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: asked, PermitWithoutStream: true}))...)
	s.Flows.Register(server)
	peerpb.RegisterPeerServer(server, s.Peers)
	alive := health.NewServer()
	alive.SetServingStatus(Health, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, alive)
	reflection.Register(server) // for clients that know no protocol, as upstream
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if err := server.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve flows on %s: %w", l.Addr(), err)
	}
	return nil
}
