package serve

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	peerpb "github.com/cilium/cilium/api/v1/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/credential"
	"weftnet.io/weftnet/internal/credential/credentialtest"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/observe/peer"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

const name = "n1.default.hubble-grpc.cilium.io"

// event is a dropped packet.
func event() []byte {
	e := abi.Event{
		Type: abi.EventDrop, Reason: abi.DropPolicy, Hook: abi.HookFromPod, Protocol: 6, SrcPort: 4000, DstPort: 80,
		Src: abi.From(netip.MustParseAddr("10.0.0.5")), Dst: abi.From(netip.MustParseAddr("10.0.0.9")),
	}
	return observetest.Record(e)
}

// agent is one that serves flows of node n1, and the events of its kernel.
func agent(t *testing.T) (*Server, *observetest.Feed) {
	t.Helper()
	tables, db := table.New()
	if err := db.Write(func(tx *state.Tx) error {
		tables.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
		tables.Nodes.MarkSynced(tx)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	o := observe.New(tables, db, observe.Options{Node: "n1"})
	f := observetest.NewFeed()
	run(t, func(ctx context.Context) error { return o.Run(ctx, f) })
	return &Server{Flows: o, Peers: peer.New(tables, db), Log: slog.New(slog.DiscardHandler)}, f
}

// run runs something until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// network serves at an address that is free.
func network(t *testing.T, s *Server, c settings.FlowService) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, func(ctx context.Context) error { return s.Network(ctx, c) })
	return c.Address
}

func service(files credential.Files) settings.FlowService {
	return settings.FlowService{Certificate: files.Certificate, Key: files.Key, ClientCAs: files.Authorities}
}

func dial(t *testing.T, address string, c credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask asks each service once; it waits until the address is listened on.
func ask(t *testing.T, address string, c credentials.TransportCredentials, wait bool) error {
	t.Helper()
	conn := dial(t, address, c)
	_, err := observerpb.NewObserverClient(conn).ServerStatus(t.Context(), &observerpb.ServerStatusRequest{}, grpc.WaitForReady(wait))
	if err != nil {
		return err
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "hubble.server.Observer"}); err != nil {
		return err
	}
	stream, err := peerpb.NewPeerClient(conn).Notify(t.Context(), &peerpb.NotifyRequest{})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestOnlyClientsWithACertificateOfTheAuthorityGetAnything(t *testing.T) {
	ca, stranger := credentialtest.NewAuthority(t, "cilium"), credentialtest.NewAuthority(t, "stranger")
	s, _ := agent(t)
	address := network(t, s, service(ca.Write(t, t.TempDir(), "*.default.hubble-grpc.cilium.io")))
	client := ca.Write(t, t.TempDir(), "*.hubble-relay.cilium.io")
	if err := ask(t, address, client.Client(name), true); err != nil {
		t.Errorf("a client of the authority: %v", err)
	}
	other := stranger.Write(t, t.TempDir(), "*.hubble-relay.cilium.io")
	other.Authorities = client.Authorities
	none := credential.Files{Authorities: client.Authorities}
	issued := func(c *x509.Certificate) credential.Files {
		c.DNSNames = []string{"*.hubble-relay.cilium.io"}
		return ca.Issue(t, t.TempDir(), c)
	}
	ofAgent := issued(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	old := issued(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotAfter: time.Now().Add(-time.Minute)})
	suspicious := client
	suspicious.Authorities = []string{stranger.File}
	for what, c := range map[string]credentials.TransportCredentials{
		"without a certificate":              none.Client(name),
		"with one of another authority":      other.Client(name),
		"with that of an agent":              ofAgent.Client(name),
		"with one that has run out":          old.Client(name),
		"in plain text":                      insecure.NewCredentials(),
		"that believes another authority":    suspicious.Client(name),
		"that looks for another node's name": client.Client("n1.other.hubble-grpc.cilium.io"),
	} {
		if err := ask(t, address, c, false); err == nil {
			t.Errorf("a client %s is served", what)
		}
	}
}

func TestWhatIsRenewedCountsForTheNextConnection(t *testing.T) {
	before, after := credentialtest.NewAuthority(t, "before"), credentialtest.NewAuthority(t, "after")
	dir, clientDir := t.TempDir(), t.TempDir()
	believed := filepath.Join(dir, "ca.crt")
	files := credential.Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Authorities: []string{believed}}
	s, _ := agent(t)
	address := network(t, s, service(files)) // there are no files yet
	client := before.Write(t, clientDir, "relay")
	client.Authorities = files.Authorities
	credentials := client.Client(name) // made once, as a relay does
	for _, ca := range []*credentialtest.Authority{before, after} {
		text, err := os.ReadFile(ca.File)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(believed, text, 0o600); err != nil {
			t.Fatal(err)
		}
		ca.Write(t, dir, name)
		if ca == after {
			if err := ask(t, address, credentials, false); err == nil {
				t.Error("a certificate of the former authority is believed")
			}
		}
		ca.Write(t, clientDir, "relay")
		if err := ask(t, address, credentials, true); err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutTLSOnlyIfTheConfigurationSaysSo(t *testing.T) {
	s, _ := agent(t)
	if err := ask(t, network(t, s, settings.FlowService{Plain: true}), insecure.NewCredentials(), true); err != nil {
		t.Error(err)
	}
	var log strings.Builder
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	// Without client CAs upstream serves any client; here none is.
	if err := s.Network(t.Context(), settings.FlowService{Address: "127.0.0.1:0", Certificate: "a", Key: "b"}); err != nil || !strings.Contains(log.String(), "hubble-tls-client-ca-files must be set") {
		t.Errorf("%v, %s", err, log.String())
	}
}

func TestAnAddressThatIsTakenIsTriedAgain(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := agent(t)
	s.Again = 1
	run(t, func(ctx context.Context) error {
		return s.Network(ctx, settings.FlowService{Address: taken.Addr().String(), Plain: true})
	})
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, taken.Addr().String(), insecure.NewCredentials(), true); err != nil {
		t.Error(err)
	}
}

func TestASlowClientIsToldWhatItLostAndHoldsUpNoOther(t *testing.T) {
	ca := credentialtest.NewAuthority(t, "cilium")
	s, events := agent(t)
	address := network(t, s, service(ca.Write(t, t.TempDir(), name)))
	client := ca.Write(t, t.TempDir(), "relay")
	follow := func() grpc.ServerStreamingClient[observerpb.GetFlowsResponse] {
		c := observerpb.NewObserverClient(dial(t, address, client.Client(name)))
		stream, err := c.GetFlows(t.Context(), &observerpb.GetFlowsRequest{Follow: true, Number: 1}, grpc.WaitForReady(true))
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	recv := func(stream grpc.ServerStreamingClient[observerpb.GetFlowsResponse]) *observerpb.GetFlowsResponse {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one := event()
	events.Records <- one
	events.Records <- one // the first is in the journal
	slow, quick := follow(), follow()
	recv(slow)
	recv(quick)
	// The slow client reads nothing more until flows must be lost: more come than its connection and the journal hold.
	const many = 40_000
	got := make(chan int)
	go func() {
		n := 0
		for n < many {
			r, err := quick.Recv()
			if err != nil {
				break
			}
			n += 1
			if lost := r.GetLostEvents(); lost != nil {
				n += int(lost.GetNumEventsLost()) - 1
			}
		}
		got <- n
	}()
	for range many {
		events.Records <- one
	}
	if n := <-got; n < many {
		t.Errorf("the quick client has %d of %d", n, many)
	}
	n := uint64(0)
	for lost := uint64(0); lost == 0 && n < many; n++ {
		r := recv(slow)
		lost = r.GetLostEvents().GetNumEventsLost()
		if lost > 0 && r.GetLostEvents().GetSource() != flowpb.LostEventSource_HUBBLE_RING_BUFFER {
			t.Errorf("have %v", r)
		}
	}
	if n == many {
		t.Error("the slow client was told of no loss")
	}
}

func TestTheSocketServesTheSame(t *testing.T) {
	s, _ := agent(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(ctx context.Context) error { return s.Socket(ctx, l) })
	if err := ask(t, "unix://"+path, insecure.NewCredentials(), true); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
