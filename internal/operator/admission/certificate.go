package admission

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Keys of the Secret.
const (
	keyAuthority        = "ca.crt" // PEM: the authority that signs, then former ones that still are trusted
	keyAuthorityPrivate = "ca.key"
	keyCertificate      = "tls.crt"
	keyPrivate          = "tls.key"
)

// Lifetimes. Each is renewed when a third of it is left.
const (
	authorityLife   = 5 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
)

// renew gives the data of the Secret as they should be now, and whether that is a change. Data that cannot be read are made
// anew.
func renew(now time.Time, data map[string][]byte, names []string) (map[string][]byte, bool, error) {
	authority, authorityKey, err := parsePair(data[keyAuthority], data[keyAuthorityPrivate])
	out := map[string][]byte{
		keyAuthority: data[keyAuthority], keyAuthorityPrivate: data[keyAuthorityPrivate],
		keyCertificate: data[keyCertificate], keyPrivate: data[keyPrivate],
	}
	changed := false
	if err != nil || due(now, authority, authorityLife) {
		changed = true
		if authority, authorityKey, err = makeAuthority(now); err != nil {
			return nil, false, fmt.Errorf("make an authority: %w", err)
		}
		if out[keyAuthorityPrivate], err = encodeKey(authorityKey); err != nil {
			return nil, false, err
		}
		out[keyAuthority] = append(encode(authority), trusted(now, data[keyAuthority])...)
	}
	certificate, _, err := parsePair(out[keyCertificate], out[keyPrivate])
	if err == nil && !due(now, certificate, certificateLife) && slices.Equal(certificate.DNSNames, names) && certificate.CheckSignatureFrom(authority) == nil {
		return out, changed, nil
	}
	certificate, key, err := makeCertificate(now, names, authority, authorityKey)
	if err != nil {
		return nil, false, fmt.Errorf("make a certificate: %w", err)
	}
	out[keyCertificate] = encode(certificate)
	out[keyPrivate], err = encodeKey(key)
	return out, true, err
}

func due(now time.Time, c *x509.Certificate, life time.Duration) bool {
	return now.Before(c.NotBefore) || now.After(c.NotAfter.Add(-life/3))
}

// trusted are those of some authorities that have not run out.
func trusted(now time.Time, text []byte) (out []byte) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && now.Before(c.NotAfter) {
			out = append(out, encode(c)...)
		}
	}
	return out
}

// parsePair reads the first certificate of a text and the key that belongs to it.
func parsePair(certificate, key []byte) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, nil, err
	}
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("the key is of another kind than ours")
	}
	return pair.Leaf, private, nil
}

func makeAuthority(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Weftnet webhook authority"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}
	c, err := sign(template, template, key, key)
	return c, key, err
}

func makeCertificate(now time.Time, names []string, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	c, err := sign(template, authority, key, authorityKey)
	return c, key, err
}

// sign makes a certificate for a key, with a serial number of its own.
func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
