package follow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"sigs.k8s.io/yaml"

	"weftnet.io/weftnet/internal/credential"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/relay/program"
)

// environment is the variable that names the configuration of a relay, to a process that is one.
const environment = "WEFT_NETTEST_RELAY"

// Main is weft-relay, if this process was started as one, and then never returns. Call it first of all in main or TestMain.
func Main() {
	file, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	c := program.Command("test")
	c.SetArgs([]string{"--config", file})
	err := c.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// address is where the relay serves clients, in the namespace of its node.
const address = "127.0.0.1:4245"

// process is weft-relay on a node, and a client of it.
type process struct {
	command *exec.Cmd
	conn    *grpc.ClientConn
	log     string // its file
}

// startRelay starts one that finds all agents by the agent of its node.
func startRelay(n *nettest.Node, f Files) (*process, error) {
	text, err := yaml.Marshal(map[string]any{
		"listen-address": address, "health-listen-address": "127.0.0.1:4222", "peer-service": "unix://" + n.Hubble(), "retry-timeout": "200ms",
		"hubble-relay-anonymous": true, "sort-buffer-drain-timeout": "1s",
		"tls-hubble-client-cert-file": f.file(relays + ".crt"), "tls-hubble-client-key-file": f.file(relays + ".key"), "tls-hubble-server-ca-files": f.file(authorityFile),
		"tls-relay-server-cert-file": f.file(relays + ".crt"), "tls-relay-server-key-file": f.file(relays + ".key"), "tls-relay-client-ca-files": f.file(authorityFile),
	})
	if err == nil {
		err = os.WriteFile(f.file("relay.yaml"), text, 0o600)
	}
	var log *os.File
	if err == nil {
		log, err = os.Create(f.file("relay.log"))
	}
	if err != nil {
		return nil, err
	}
	defer log.Close()
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &process{command: exec.Command(path), log: f.file("relay.log")}
	r.command.Env, r.command.Stderr = append(os.Environ(), environment+"="+f.file("relay.yaml")), log
	if err := n.Namespace.Start(r.command); err != nil {
		return nil, fmt.Errorf("start the relay: %w", err)
	}
	shows := credential.Files{Of: "the relay", Certificate: f.file(clients + ".crt"), Key: f.file(clients + ".key"), Authorities: []string{f.file(authorityFile)}}
	r.conn, err = grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(shows.Client("localhost")),
		grpc.WithContextDialer(func(ctx context.Context, to string) (conn net.Conn, err error) {
			err = n.Do(func() (err error) { conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", to); return err })
			return conn, err
		}))
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// follow asks for all flows from now on, as soon as the relay answers.
func (r *process) follow(ctx context.Context) (grpc.ServerStreamingClient[observerpb.GetFlowsResponse], error) {
	return observerpb.NewObserverClient(r.conn).GetFlows(ctx, &observerpb.GetFlowsRequest{Follow: true}, grpc.WaitForReady(true))
}

// said is the end of its log.
func (r *process) said() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

func (r *process) close() error {
	var err error
	if r.conn != nil {
		err = r.conn.Close()
	}
	_ = r.command.Process.Kill() // it may have ended
	_ = r.command.Wait()
	return err
}
