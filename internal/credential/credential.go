// Package credential is what two ends of a connection show each other, and how each is believed.
//
// # The world it models
//
// Certificates lie in files, which others renew: an operator, a person, a program that mounts them. Files names them, for one end;
// the keys or flags that name them are in its errors. They are read anew for each handshake, so what is renewed counts for the next
// connection, and no process is started again for it. A handshake costs more than to read three small files.
//
// # Invariants
//
//   - Both ends show a certificate where Files says who is believed: an end without one, or with one of another authority, is
//     not spoken with.
//   - A file that is missing or makes no sense ends that handshake, and nothing else.
//   - The text of a key is in no error.
//
// # Example
//
//	files := credential.Files{Of: "flows (keys hubble-tls-…)", Certificate: "tls.crt", Key: "tls.key", Authorities: []string{"ca.crt"}}
//	server := grpc.NewServer(grpc.Creds(files.Server()))
//	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(files.Client("n1.default.hubble-grpc.cilium.io")))
package credential

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc/credentials"
)

// Files are where one end of a connection has what it shows and what it believes.
type Files struct {
	Of               string   // what is served or asked for with them, and what names these files
	Certificate, Key string   // what this end shows; empty: nothing
	Authorities      []string // with the certificates by which the other end is known; none: a server believes any client, a client what the system believes
	Old              bool     // TLS 1.2 is spoken as well, by clients that know no newer one
}

// Check tells what keeps others from being spoken with, as the files are now.
func (f Files) Check() error {
	_, err := f.load()
	return err
}

// Listener speaks TLS on a listener.
func (f Files) Listener(l net.Listener) net.Listener { return tls.NewListener(l, f.server("http/1.1")) }

// Server is what a server of gRPC shows and asks of its clients.
func (f Files) Server() credentials.TransportCredentials { return credentials.NewTLS(f.server("h2")) }

func (f Files) server(protocol string) *tls.Config {
	return &tls.Config{
		MinVersion: f.version(),
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := f.load()
			if err != nil {
				return nil, err
			}
			if len(c.Certificates) == 0 {
				return nil, fmt.Errorf("serve %s: no certificate is named", f.Of)
			}
			c.NextProtos = []string{protocol} // what this gives is used as it is, and gRPC refuses an end that does not say h2
			return c, nil
		},
	}
}

// Client is what a client of gRPC shows a server of this name. Without a name, it is that of the server's address.
func (f Files) Client(server string) credentials.TransportCredentials {
	return &client{credentials.NewTLS(&tls.Config{MinVersion: f.version(), ServerName: server}), f, server}
}

func (f Files) version() uint16 {
	if f.Old {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}

// load reads the files as they are now.
func (f Files) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: f.version()}
	if f.Certificate != "" || f.Key != "" {
		own, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate for %s: %w", f.Of, err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	if len(f.Authorities) == 0 {
		return c, nil
	}
	pool := x509.NewCertPool()
	for _, file := range f.Authorities {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the authorities for %s: %w", f.Of, err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read the authorities for %s: %s has no certificate in it", f.Of, file)
		}
	}
	c.ClientAuth, c.ClientCAs, c.RootCAs = tls.RequireAndVerifyClientCert, pool, pool
	return c, nil
}

// client reads the files for each handshake.
type client struct {
	credentials.TransportCredentials // says what protocol it is, and nothing else
	files                            Files
	server                           string
}

// ClientHandshake implements credentials.TransportCredentials.
func (c *client) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := c.files.load()
	if err != nil {
		return nil, nil, err
	}
	config.ServerName = c.server
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *client) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these are the credentials of a client")
}

// Clone implements credentials.TransportCredentials.
func (c *client) Clone() credentials.TransportCredentials {
	return &client{c.TransportCredentials.Clone(), c.files, c.server}
}
