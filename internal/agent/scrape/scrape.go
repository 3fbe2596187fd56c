// Package scrape serves an agent's metrics: in plain text, or to who has a certificate.
//
// Files are read for each connection, so a renewed certificate needs no restart, and one that is missing closes this port and
// nothing else of the node.
//
//	l, err := scrape.Listen(settings.Metrics{Address: "127.0.0.1:9962"})
package scrape

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"weftnet.io/weftnet/internal/settings"
)

// Listen opens the port.
func Listen(c settings.Metrics) (net.Listener, error) {
	l, err := net.Listen("tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w (is another agent running on this node?)", err)
	}
	if !c.TLS {
		return l, nil
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return load(c) },
	}), nil
}

// Check tells what keeps clients from being served.
func Check(c settings.Metrics) error {
	if !c.TLS {
		return nil
	}
	_, err := load(c)
	return err
}

// load reads the files as they are now.
func load(c settings.Metrics) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate for metrics (keys prometheus-tls-cert-file and prometheus-tls-key-file): %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	if len(c.ClientCAs) == 0 {
		return config, nil
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	for _, file := range c.ClientCAs {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read whose clients may read metrics (key prometheus-tls-client-ca-files): %w", err)
		}
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read whose clients may read metrics (key prometheus-tls-client-ca-files): %s has no certificate in it", file)
		}
	}
	return config, nil
}
