package dial

import (
	"net"
	"regexp"
	"testing"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"weftnet.io/weftnet/internal/credential/credentialtest"
)

// flagsOf reads a command line.
func flagsOf(t *testing.T, args ...string) (f Flags) {
	t.Helper()
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Register(set, "unix:///x")
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func ask(t *testing.T, f Flags) error {
	t.Helper()
	conn, err := f.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	return err
}

func TestAServerIsSpokenWithAsTheFlagsSay(t *testing.T) {
	ca := credentialtest.NewAuthority(t, "ca")
	own := ca.Write(t, t.TempDir(), "n1.default.hubble-grpc.cilium.io")
	client := ca.Write(t, t.TempDir(), "person")
	serve := func(o ...grpc.ServerOption) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer(o...)
		healthpb.RegisterHealthServer(s, health.NewServer())
		go func() { _ = s.Serve(l) }()
		t.Cleanup(s.Stop)
		return l.Addr().String()
	}
	plain, mutual := serve(), serve(grpc.Creds(own.Server()))
	name := "--tls-server-name=n1.default.hubble-grpc.cilium.io"
	shown := []string{"--tls-client-cert-file=" + client.Certificate, "--tls-client-key-file=" + client.Key}
	for _, args := range [][]string{
		{"--server", plain},
		append(shown, "--server", mutual, "--tls-ca-cert-files", ca.File, name),
		append(shown, "--server", "tls://"+mutual, "--tls-ca-cert-files", ca.File, name),
		append(shown, "--server", mutual, "--tls-allow-insecure"),
	} {
		if err := ask(t, flagsOf(t, args...)); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	for want, args := range map[string][]string{
		// No certificate: by TLS 1.3 the server says so after the handshake, and may have hung up before the client has written.
		"tls|broken pipe|connection reset": {"--server", mutual, "--tls", "--tls-ca-cert-files", ca.File, name},
		"certificate":                      append(shown, "--server", mutual, name),                           // an authority that this machine does not know
		"127.0.0.1":                        append(shown, "--server", mutual, "--tls-ca-cert-files", ca.File), // not its name
		"need each other":                  {"--server", mutual, shown[0]},                                    //
		"add --tls":                        {"--server", plain, name},                                         //
		"without TLS":                      {"--tls"},                                                         //
		"read the authorities":             append(shown, "--server", mutual, "--tls-ca-cert-files", "/nowhere"),
	} {
		if err := ask(t, flagsOf(t, args...)); err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%q: have %v, want %s", args, err, want)
		}
	}
}
