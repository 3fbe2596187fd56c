// Package scrape serves an agent's metrics: in plain text, or to who has a certificate.
//
// Files are read for each connection, so a renewed certificate needs no restart, and one that is missing closes this port and
// nothing else of the node.
//
//	l, err := scrape.Listen(settings.Metrics{Address: "127.0.0.1:9962"})
package scrape

import (
	"cmp"
	"fmt"
	"net"

	"weftnet.io/weftnet/internal/credential"
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
	return files(c).Listener(l), nil
}

// Check tells what keeps clients from being served.
func Check(c settings.Metrics) error {
	if !c.TLS {
		return nil
	}
	return files(c).Check()
}

func files(c settings.Metrics) credential.Files {
	return credential.Files{
		Of:          fmt.Sprintf("metrics (keys %[1]s-tls-cert-file, %[1]s-tls-key-file and %[1]s-tls-client-ca-files)", cmp.Or(c.Keys, "prometheus")),
		Certificate: c.Certificate, Key: c.Key, Authorities: c.ClientCAs, Old: true,
	}
}
