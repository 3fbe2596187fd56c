package scrape

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/credential/door"
	"weftnet.io/weftnet/internal/settings"
)

// certificate writes a certificate that signs itself, and its key, into a folder.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// client trusts a certificate, and shows another if there is one.
func client(t *testing.T, trusts, cert, key string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(trusts)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(text)
	if cert != "" {
		own, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

func serve(t *testing.T, c settings.Metrics) (address string) {
	t.Helper()
	c.Address = "127.0.0.1:0"
	l, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "weft_ready 1\n") })}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func ask(c *http.Client, url string) error {
	r, err := c.Get(url)
	if err != nil {
		return err
	}
	return r.Body.Close()
}

func TestMetricsArePlainUnlessTLSIsAskedFor(t *testing.T) {
	if err := ask(http.DefaultClient, "http://"+serve(t, settings.Metrics{})); err != nil {
		t.Error(err)
	}
}

func TestWithClientCAsOnlyTheirClientsReadMetrics(t *testing.T) {
	dir := t.TempDir()
	server, serverKey := certificate(t, dir, "server")
	prometheus, prometheusKey := certificate(t, dir, "prometheus")
	stranger, strangerKey := certificate(t, dir, "stranger")
	c := settings.Metrics{TLS: true, Certificate: server, Key: serverKey}
	open := "https://" + serve(t, c)
	c.ClientCAs = []string{prometheus}
	closed := "https://" + serve(t, c)
	if err := Check(c); err != nil {
		t.Error(err)
	}
	if err := ask(client(t, server, "", ""), open); err != nil {
		t.Errorf("without client CAs: %v", err)
	}
	if err := ask(client(t, server, prometheus, prometheusKey), closed); err != nil {
		t.Errorf("a client of the CA: %v", err)
	}
	if err := ask(client(t, server, "", ""), closed); err == nil {
		t.Error("a client without a certificate is served")
	}
	if err := ask(client(t, server, stranger, strangerKey), closed); err == nil {
		t.Error("a client of another CA is served")
	}
	if err := ask(http.DefaultClient, "http://"+closed[len("https://"):]); err == nil {
		if r, _ := http.Get("http://" + closed[len("https://"):]); r != nil && r.StatusCode == http.StatusOK { //nolint:bodyclose // of a refusal
			t.Error("plain text is served")
		}
	}
}

func TestARenewedCertificateNeedsNoRestart(t *testing.T) {
	dir := t.TempDir()
	c := settings.Metrics{TLS: true, Certificate: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key")}
	url := "https://" + serve(t, c)
	if Check(c) == nil {
		t.Error("there is no certificate, and nothing is said")
	}
	for range 2 {
		server, _ := certificate(t, dir, "server")
		if err := ask(client(t, server, "", ""), url); err != nil {
			t.Error(err)
		}
	}
}

func TestOneClientDoesNotHoldAllConnections(t *testing.T) {
	address := serve(t, settings.Metrics{})
	var held []net.Conn
	for range 2 * door.Scrapes.Each {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	if _, err := held[len(held)-1].Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection beyond the bound is kept: %v", err)
	}
	for _, c := range held {
		c.Close()
	}
}
