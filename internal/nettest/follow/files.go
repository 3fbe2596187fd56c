package follow

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weftnet.io/weftnet/internal/operator/authority"
)

// Files are certificates of one authority, in a folder.
type Files struct{ dir string }

// names of what is in the folder.
const (
	authorityFile = "ca.crt"
	agents        = "agent"
	relays        = "relay"
	clients       = "client"
)

// Certificates makes an authority, and what agents, the relay and its client show, in a new folder.
func Certificates(dir string) (Files, error) {
	f, now := Files{dir}, time.Now()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, fmt.Errorf("make a folder for certificates: %w", err)
	}
	ca, key, err := authority.New(now, "cilium-ca", 24*time.Hour)
	if err == nil {
		err = os.WriteFile(f.file(authorityFile), authority.Encode(ca), 0o600)
	}
	for name, of := range map[string]authority.For{
		agents:  {Names: []string{"*.default.hubble-grpc.cilium.io"}, Server: true},
		relays:  {Names: []string{"localhost", "*.hubble-relay.cilium.io"}, Server: true, Client: true},
		clients: {Names: []string{"*.hubble-client.cilium.io"}, Client: true},
	} {
		if err == nil {
			of.Life = 24 * time.Hour
			err = f.issue(now, ca, key, name, of)
		}
	}
	if err != nil {
		return f, fmt.Errorf("make certificates: %w", err)
	}
	return f, nil
}

func (f Files) issue(now time.Time, by *x509.Certificate, byKey crypto.Signer, name string, of authority.For) error {
	c, key, err := authority.Issue(now, by, byKey, of)
	if err != nil {
		return err
	}
	text, err := authority.EncodeKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.file(name+".key"), text, 0o600); err != nil {
		return err
	}
	return os.WriteFile(f.file(name+".crt"), authority.Encode(c), 0o600)
}

func (f Files) file(name string) string { return filepath.Join(f.dir, name) }

// Settings are the keys by which agents serve flows to this relay.
func (f Files) Settings() map[string]string {
	return map[string]string{
		"hubble-listen-address": ":4244", "hubble-tls-cert-file": f.file(agents + ".crt"), "hubble-tls-key-file": f.file(agents + ".key"),
		"hubble-tls-client-ca-files": f.file(authorityFile),
	}
}
