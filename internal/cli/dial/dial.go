// Package dial connects to what serves flows: an agent's socket, an agent or a relay over the network, with the flags of `hubble`.
//
//	unix:///var/run/cilium/hubble.sock   an agent, on its node
//	HOST:PORT                            in plain text, unless --tls or a client's certificate says otherwise
//	tls://HOST:PORT                      by TLS
//	nothing, where no agent runs         the relay of a kubeconfig's cluster, or its agents (package remote)
//
// Invariant: over the network, TLS is never left away where a flag asks for it, and its certificate is checked unless a flag says not to.
//
//	flags.Register(command.Flags(), "unix:///var/run/cilium/hubble.sock")
//	conn, err := flags.Dial()
package dial

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"weftnet.io/weftnet/internal/cli/remote"
	"weftnet.io/weftnet/internal/credential"
)

// Flags say what to connect to.
type Flags struct {
	Server     string
	TLS        bool
	Unverified bool
	CAs        []string
	Cert, Key  string
	Name       string
	TokenFile  string
	Cluster    remote.Flags
	Notes      io.Writer // what a person should know of the way that was chosen; nil: standard error

	said *pflag.Flag // --server; nil: there are no flags
}

// Register adds the flags.
func (f *Flags) Register(flags *pflag.FlagSet, usual string) {
	flags.StringVar(&f.Server, "server", usual, "unix://PATH, HOST:PORT or tls://HOST:PORT of an agent or a relay")
	f.said = flags.Lookup("server")
	f.Cluster.Register(flags)
	flags.StringVar(&f.Cluster.ServiceAccount, "service-account", "", "show the relay a token of NAMESPACE/NAME, which the API server makes for you")
	flags.StringVar(&f.TokenFile, "token-file", "", "file with a Kubernetes token that the relay of --server is shown")
	flags.BoolVar(&f.TLS, "tls", false, "speak TLS with the server; so do tls:// and --tls-client-cert-file")
	flags.BoolVar(&f.Unverified, "tls-allow-insecure", false, "do not check the server's certificate: who is between reads and changes what you see")
	flags.StringSliceVar(&f.CAs, "tls-ca-cert-files", nil, "files with the authorities of the server; none: those of this machine")
	flags.StringVar(&f.Cert, "tls-client-cert-file", "", "file of the certificate that the server is shown; agents ask for one")
	flags.StringVar(&f.Key, "tls-client-key-file", "", "file of its key")
	flags.StringVar(&f.Name, "tls-server-name", "", "name in the server's certificate, e.g. n1.default.hubble-grpc.cilium.io; empty: that of --server")
}

// Dial gives a connection, which is made when it is first used. Server is afterwards what a person calls what is spoken with.
func (f *Flags) Dial() (*grpc.ClientConn, error) {
	away, err := f.away()
	if err != nil {
		return nil, err
	}
	if away {
		return f.dialCluster()
	}
	own, err := f.credentials()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(own)}
	if f.TokenFile != "" {
		token, err := f.token(own)
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithPerRPCCredentials(token))
	}
	conn, err := grpc.NewClient(f.target(), options...)
	if err != nil {
		return nil, fmt.Errorf("--server %q: %w", f.Server, err)
	}
	return conn, nil
}

const secure = "tls://"

// target is the server in gRPC's notation. HOST:PORT is resolved as it is, past any HTTP proxy's.
func (f Flags) target() string {
	server := strings.TrimPrefix(f.Server, secure)
	if strings.Contains(server, "://") {
		return server
	}
	return "dns:///" + server
}

func (f Flags) credentials() (credentials.TransportCredentials, error) {
	asked := f.TLS || strings.HasPrefix(f.Server, secure) || f.Cert != "" || f.Key != ""
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return nil, errors.New("--tls-client-cert-file and --tls-client-key-file need each other")
	case !asked && (f.Unverified || len(f.CAs) > 0 || f.Name != ""):
		return nil, errors.New("--tls-allow-insecure, --tls-ca-cert-files and --tls-server-name say how TLS is spoken: add --tls")
	case !asked:
		return insecure.NewCredentials(), nil
	case strings.HasPrefix(f.Server, "unix:"):
		return nil, fmt.Errorf("--server %q: a unix socket is without TLS: leave the flags of TLS away, or name HOST:PORT", f.Server)
	}
	files := credential.Files{Of: "--server (--tls-client-cert-file, --tls-client-key-file, --tls-ca-cert-files)", Certificate: f.Cert, Key: f.Key, Authorities: f.CAs, Old: true}
	if err := files.Check(); err != nil {
		return nil, err
	}
	if !f.Unverified {
		return files.Client(f.Name), nil
	}
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, ServerName: f.Name} //nolint:gosec // a flag says so
	if f.Cert != "" {
		own, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("read --tls-client-cert-file: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(c), nil
}
