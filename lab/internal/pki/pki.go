// Package pki makes the certificates of a lab cluster and the kubeconfigs that use them.
//
// One authority signs everything: servers by the names and addresses they are reached under, clients by the user (common name) and
// groups (organisation) that Kubernetes reads out of a certificate. All keys are ECDSA P-256 and live below one directory that only
// root may read; a cluster that is brought up again gets new ones.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"weftnet.io/weftnet/lab/internal/topology"
)

const validity = 5 * 365 * 24 * time.Hour

// Authority signs certificates into a directory.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Identity is the subject of one certificate. Every certificate may act as server and as client.
type Identity struct {
	Name   string   // file name: NAME.crt and NAME.key
	User   string   // common name
	Groups []string // organisations
	DNS    []string
	IPs    []netip.Addr
}

// Create makes a new authority in dir, and the key pair that signs service account tokens.
func Create(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create certificates: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := template(pkix.Name{CommonName: "weft-lab"})
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("create certificates: sign the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, cert: cert, key: key}
	if err := a.write("ca", der, key); err != nil {
		return nil, err
	}
	return a, a.tokenKeys()
}

func template(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand never fails on Linux
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validity)}
}

// Issue signs one certificate.
func (a *Authority) Issue(id Identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tmpl := template(pkix.Name{CommonName: id.User, Organization: id.Groups})
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	tmpl.DNSNames = id.DNS
	for _, ip := range id.IPs {
		tmpl.IPAddresses = append(tmpl.IPAddresses, net.IP(ip.AsSlice()))
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("sign certificate %s: %w", id.Name, err)
	}
	return a.write(id.Name, der, key)
}

func (a *Authority) write(name string, der []byte, key *ecdsa.PrivateKey) error {
	k, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := a.writePEM(name+".key", "EC PRIVATE KEY", k); err != nil {
		return err
	}
	return a.writePEM(name+".crt", "CERTIFICATE", der)
}

func (a *Authority) writePEM(name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (a *Authority) tokenKeys() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	priv, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := a.writePEM("sa.key", "EC PRIVATE KEY", priv); err != nil {
		return err
	}
	return a.writePEM("sa.pub", "PUBLIC KEY", pub)
}

// Identities are all subjects a cluster needs.
func Identities(c topology.Cluster) []Identity {
	loopback := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	api := Identity{
		Name: "apiserver", User: "kube-apiserver",
		DNS: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPs: append(loopback, c.APIService()),
	}
	for _, p := range c.Gateway() {
		api.IPs = append(api.IPs, p.Addr())
	}
	out := []Identity{
		api,
		{Name: "etcd", User: "etcd", DNS: []string{"localhost"}, IPs: loopback},
		{Name: "admin", User: "admin", Groups: []string{"system:masters"}},
		{Name: "apiserver-kubelet-client", User: "apiserver-kubelet-client", Groups: []string{"system:masters"}},
		{Name: "front-proxy-client", User: "front-proxy-client"},
		{Name: "kube-controller-manager", User: "system:kube-controller-manager", DNS: []string{"localhost"}, IPs: loopback},
		{Name: "kube-scheduler", User: "system:kube-scheduler", DNS: []string{"localhost"}, IPs: loopback},
		{Name: "kube-proxy", User: "system:kube-proxy"},
	}
	for _, n := range c.All() {
		out = append(out, Identity{
			Name: n.Name, User: "system:node:" + n.Name, Groups: []string{"system:nodes"},
			DNS: []string{n.Name}, IPs: n.IPs(),
		})
	}
	return out
}

// Kubeconfig writes a client configuration for the identity NAME, whose certificate lies in pkiDir.
func Kubeconfig(path, pkiDir, name, server string) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: weft-lab
  cluster:
    server: %s
    certificate-authority: %s
users:
- name: %s
  user:
    client-certificate: %s
    client-key: %s
contexts:
- name: weft-lab
  context:
    cluster: weft-lab
    user: %s
current-context: weft-lab
`, server, filepath.Join(pkiDir, "ca.crt"), name, filepath.Join(pkiDir, name+".crt"), filepath.Join(pkiDir, name+".key"), name)
	return os.WriteFile(path, []byte(text), 0o600)
}
