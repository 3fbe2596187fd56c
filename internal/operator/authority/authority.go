// Package authority makes certificates, and the authorities that sign them.
//
// # The world it models
//
// An authority is a certificate that signs others, and its key. A bundle is a text with several, all of which are believed: the one that
// signs now is the first, those before it follow until they have run out. So who has an older bundle, or an older certificate, is
// believed until all have the new ones.
//
// # Invariants
//
//   - Keys are ECDSA on P-256 (RFC 5480), texts are PEM; those of others may be of any kind that crypto/tls reads.
//   - The text of a key is in no error.
//   - Nothing here reads a clock.
//
// # Example
//
//	ca, key, err := authority.New(now, "Weftnet webhook authority", 5*365*24*time.Hour)
//	cert, certKey, err := authority.Issue(now, ca, key, authority.For{Names: names, Life: 90 * 24 * time.Hour, Server: true})
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"time"
)

// For says what a certificate is for.
type For struct {
	Names          []string // of DNS; the first is its subject
	Life           time.Duration
	Server, Client bool // which end of a connection it is
}

// Due tells whether a certificate must be renewed: a third of its life is left.
func Due(now time.Time, c *x509.Certificate) bool {
	return now.Before(c.NotBefore) || now.After(c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore)/3))
}

// Bundle reads the certificates of a text that have not run out.
func Bundle(now time.Time, text []byte) (all []*x509.Certificate) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && now.Before(c.NotAfter) {
			all = append(all, c)
		}
	}
	return all
}

// Parse reads the first certificate of a text and the key that belongs to it.
func Parse(certificate, key []byte) (*x509.Certificate, crypto.Signer, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, nil, err
	}
	private, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("the key cannot sign")
	}
	return pair.Leaf, private, nil
}

// early is how much earlier than now a certificate is valid, for clocks that differ.
const early = time.Hour

// Made is when a certificate was made here.
func Made(c *x509.Certificate) time.Time { return c.NotBefore.Add(early) }

// New makes an authority.
func New(now time.Time, name string, life time.Duration) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-early), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}
	c, err := sign(template, template, key.Public(), key)
	return c, key, err
}

// Issue makes a certificate, which an authority signs.
func Issue(now time.Time, by *x509.Certificate, byKey crypto.Signer, f For) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: f.Names[0]}, DNSNames: f.Names, NotBefore: now.Add(-early), NotAfter: now.Add(f.Life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: f.usage(),
	}
	c, err := sign(template, by, key.Public(), byKey)
	return c, key, err
}

func (f For) usage() (all []x509.ExtKeyUsage) {
	if f.Server {
		all = append(all, x509.ExtKeyUsageServerAuth)
	}
	if f.Client {
		all = append(all, x509.ExtKeyUsageClientAuth)
	}
	return all
}

// sign makes a certificate for a key, with a serial number of its own.
func sign(template, parent *x509.Certificate, key crypto.PublicKey, parentKey crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Encode writes certificates as text.
func Encode(all ...*x509.Certificate) (text []byte) {
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// EncodeKey writes a key as text.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
