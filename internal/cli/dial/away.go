package dial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"weftnet.io/weftnet/internal/cli/remote"
)

// Local is the socket of this node's agent, where flows are served.
const Local = "unix:///var/run/cilium/hubble.sock"

// away tells whether a cluster is asked through its API server: a flag asks for one, or no server is named, no agent is here, and there
// is a kubeconfig.
func (f Flags) away() (bool, error) {
	named, asked := f.Server != Local, f.Cluster.Asked()
	if f.said != nil {
		named = f.said.Changed
	}
	path, socket := strings.CutPrefix(f.Server, "unix://")
	switch {
	case f.said == nil && named: // who has no flags of its own for a cluster says so by its server
		return false, nil
	case named && asked:
		return false, fmt.Errorf("--server %q says who is asked, and --kubeconfig, --context, --node, --weft-namespace and --service-account that it is found: leave one of them away", f.Server)
	case asked:
		return true, nil
	case named || !socket:
		return false, nil
	}
	_, err := os.Stat(path)
	return os.IsNotExist(err) && remote.Known(), nil
}

// dialCluster finds what serves the flows of a cluster.
func (f *Flags) dialCluster() (*grpc.ClientConn, error) {
	var own credentials.TransportCredentials
	var err error
	if f.TLS || f.Cert != "" {
		f.Server = "" // it is not what is spoken with
		if own, err = f.credentials(); err != nil {
			return nil, err
		}
	}
	if f.TokenFile != "" {
		return nil, errors.New("--token-file is for the relay of --server; one that is found by the kubeconfig is shown the kubeconfig's token")
	}
	f.Server = theCluster
	var conn *grpc.ClientConn
	var note string
	cluster, err := remote.Open(f.Cluster)
	if err == nil {
		conn, note, err = cluster.Flows(context.Background(), own)
	}
	if err != nil {
		return failing(err)
	}
	f.Note([]string{note})
	return conn, err
}

// Note tells a person something; empty texts are nothing.
func (f Flags) Note(all []string) {
	out := f.Notes
	if out == nil {
		out = os.Stderr
	}
	for _, text := range all {
		if text != "" {
			fmt.Fprintln(out, text)
		}
	}
}

// theCluster is the server's name, in what a person reads.
const theCluster = "the cluster of the kubeconfig"

// failing is a connection on which each call fails: what was not found is no mistake in the flags.
func failing(err error) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///nothing", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStreamInterceptor(func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
			return nil, err
		}),
		grpc.WithUnaryInterceptor(func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
			return err
		}))
}

// token is what a file has, read for each request.
func (f Flags) token(own credentials.TransportCredentials) (credentials.PerRPCCredentials, error) {
	if _, err := os.ReadFile(f.TokenFile); err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	if strings.HasPrefix(f.Server, "unix:") {
		return nil, fmt.Errorf("--token-file: --server %q is a socket, whose agent asks for no token", f.Server)
	}
	if own.Info().SecurityProtocol == "insecure" {
		f.Note([]string{fmt.Sprintf("the token goes to %s in plain text: what is between reads it, and may do what you may; use tls://, or a token for the relay alone (kubectl create token NAME --audience hubble-relay.weftnet.io)", f.Server)})
	}
	return tokenFile(f.TokenFile), nil
}

type tokenFile string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (t tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	text, err := os.ReadFile(string(t))
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(text))}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: plain text was warned of.
func (tokenFile) RequireTransportSecurity() bool { return false }
