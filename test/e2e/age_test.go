//go:build e2e

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// webhookSecret reads what a key of the Secret of the webhook holds.
func webhookSecret(t *testing.T, key string) []byte {
	t.Helper()
	text := kubectl(t, "", "-n", "kube-system", "get", "secret", "weft-webhook", "-o", "jsonpath={.data."+key+"}")
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// aged is a certificate like the one that the webhook has, of the same authority, that runs out after a while, and its key.
func aged(t *testing.T, rest time.Duration) (certificate, key []byte) {
	t.Helper()
	authority, err := tls.X509KeyPair(webhookSecret(t, `ca\.crt`), webhookSecret(t, `ca\.key`))
	if err != nil {
		t.Fatal(err)
	}
	now, err := tls.X509KeyPair(webhookSecret(t, `tls\.crt`), webhookSecret(t, `tls\.key`))
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: now.Leaf.Subject, DNSNames: now.Leaf.DNSNames,
		NotBefore: time.Now().Add(-60 * 24 * time.Hour), NotAfter: time.Now().Add(rest), KeyUsage: now.Leaf.KeyUsage, ExtKeyUsage: now.Leaf.ExtKeyUsage,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, &private.PublicKey, authority.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

func TestTheWebhookRenewsACertificateThatHasGrownOld(t *testing.T) {
	needWebhook(t)
	old, key := aged(t, 20*24*time.Hour)
	patch, err := json.Marshal(map[string]any{"data": map[string][]byte{"tls.crt": old, "tls.key": key}})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, "", "-n", "kube-system", "patch", "secret", "weft-webhook", "-p", string(patch))
	eventually(t, "it has another certificate, and the webhook refuses as before", func() (string, bool) {
		if bytes.Equal(webhookSecret(t, `tls\.crt`), old) {
			return "the old certificate is there", false
		}
		out, taken := tried(t, refusedPolicy, "default")
		return out, !taken
	})
}
