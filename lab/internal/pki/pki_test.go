package pki

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"weftnet.io/weftnet/lab/internal/topology"
)

func certificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryIdentityIsSignedByTheAuthority(t *testing.T) {
	dir := t.TempDir()
	a, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t, filepath.Join(dir, "ca.crt")))
	for _, id := range Identities(topology.Cluster{Nodes: 2, Family: topology.Dual}) {
		if err := a.Issue(id); err != nil {
			t.Fatal(err)
		}
		c := certificate(t, filepath.Join(dir, id.Name+".crt"))
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s: %v", id.Name, err)
		}
		for _, ip := range append([]netip.Addr{}, id.IPs...) {
			if err := c.VerifyHostname(ip.String()); err != nil {
				t.Errorf("%s: %v", id.Name, err)
			}
		}
	}
}

func TestANodeIsInTheGroupThatTheNodeAuthorizerWants(t *testing.T) {
	ids := Identities(topology.Cluster{Nodes: 1, Family: topology.V6})
	node := ids[len(ids)-1]
	if node.User != "system:node:node1" || node.Groups[0] != "system:nodes" {
		t.Errorf("got %+v", node)
	}
}
