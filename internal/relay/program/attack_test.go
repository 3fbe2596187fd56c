package program

import (
	"context"
	"net"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/tenancy"
)

// stranger is the gate that lets no client in.
type stranger struct{}

func (stranger) Admit(context.Context, string) (tenancy.Reader, error) {
	return nil, status.Error(codes.Unauthenticated, "no such token")
}

type none struct{}

func (none) List() ([]peers.Peer, <-chan struct{}) { return nil, nil }

func connect(t *testing.T, s *grpc.Server) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func clientsOf(t *testing.T, gate tenancy.Gate) *grpc.ClientConn {
	t.Helper()
	return connect(t, forClients(relay.NewServer(none{}, relay.Options{Gate: gate}), health.NewServer(), insecure.NewCredentials()))
}

func TestWithoutATokenNothingGoesOn(t *testing.T) {
	conn := clientsOf(t, stranger{})
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a probe: %v", err)
	}
	for _, said := range []metadata.MD{nil, metadata.Pairs("authorization", "Bearer false"), metadata.Pairs("authorization", "Bearer a", "authorization", "Bearer b"), metadata.Pairs("impersonate-user", "system:admin")} {
		ctx := metadata.NewOutgoingContext(t.Context(), said)
		watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("health is watched: %v", err)
		}
		list, err := reflectpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err == nil {
			_, err = list.Recv()
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("services are listed: %v", err)
		}
	}
}

func TestAProbeIsAnsweredAndEnds(t *testing.T) {
	conn := connect(t, forProbes(health.NewServer()))
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("health is watched: %v", err)
	}
}

// What is said before it is known who says it is read into memory.
func TestNoRequestIsLong(t *testing.T) {
	conn := clientsOf(t, stranger{})
	long := &flowpb.FlowFilter{SourcePod: []string{strings.Repeat("x", 1<<20)}}
	stream, err := observerpb.NewObserverClient(conn).GetFlows(t.Context(), &observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{long}})
	if err == nil {
		_, err = stream.Recv()
	}
	if c := status.Code(err); c != codes.ResourceExhausted && c != codes.Unauthenticated {
		t.Errorf("have %v", err)
	}
	token := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+strings.Repeat("x", 1<<20))
	if _, err := observerpb.NewObserverClient(conn).ServerStatus(token, &observerpb.ServerStatusRequest{}); err == nil || strings.Contains(err.Error(), "no such token") {
		t.Errorf("a token of 1 MB is looked at: %v", err)
	}
	open := clientsOf(t, relay.Open{})
	stream, err = observerpb.NewObserverClient(open).GetFlows(t.Context(), &observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{long}})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a request of 1 MB is looked at: %v", err)
	}
}
