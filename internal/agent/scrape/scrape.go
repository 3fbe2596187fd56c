// Package scrape serves an agent's metrics: in plain text, or to who has a certificate.
//
// Files are read for each connection, so a renewed certificate needs no restart, and one that is missing closes this port and
// nothing else of the node. Who asks is not known in plain text: connections are few (package door), and an answer is read or ends.
//
//	l, err := scrape.Listen(settings.Metrics{Address: "127.0.0.1:9962"})
package scrape

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"time"

	"weftnet.io/weftnet/internal/credential"
	"weftnet.io/weftnet/internal/credential/door"
	"weftnet.io/weftnet/internal/settings"
)

// Listen opens the port.
func Listen(c settings.Metrics) (net.Listener, error) {
	l, err := net.Listen("tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w (is another agent running on this node?)", err)
	}
	l = door.New(l, door.Scrapes)
	if !c.TLS {
		return l, nil
	}
	return files(c).Listener(l), nil
}

// patience is how long a client may take to read the metrics. They are in memory meanwhile, and any pod may ask for them.
const patience = 30 * time.Second

// Bounded ends an answer that is not read.
func Bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)) // a connection can always
		h.ServeHTTP(w, r)
	})
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
