// Package credentialtest writes certificates into files, for tests of what reads them.
//
//	ca := credentialtest.NewAuthority(t, "company")
//	files := ca.Write(t, t.TempDir(), "*.default.hubble-grpc.cilium.io")
//	files.Authorities = []string{other.File}
package credentialtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/credential"
)

// Authority signs certificates.
type Authority struct {
	File string // with its own certificate
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes one.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{File: filepath.Join(t.TempDir(), name+".crt")}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.sign(t, template)
	write(t, a.File, "CERTIFICATE", a.cert.Raw)
	return a
}

// Write puts a certificate for these names and its key into a folder, in place of those that were there. It is for either end.
func (a *Authority) Write(t testing.TB, dir string, names ...string) credential.Files {
	t.Helper()
	return a.Issue(t, dir, &x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
}

// Issue writes a certificate that is as a test says. One that says no end is good for an hour.
func (a *Authority) Issue(t testing.TB, dir string, template *x509.Certificate) credential.Files {
	t.Helper()
	cert, key := a.sign(t, template)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := credential.Files{Of: "a test", Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Authorities: []string{a.File}}
	write(t, f.Certificate, "CERTIFICATE", cert.Raw)
	write(t, f.Key, "PRIVATE KEY", text)
	return f
}

func (a *Authority) sign(t testing.TB, template *x509.Certificate) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-2 * time.Hour)
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func write(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
