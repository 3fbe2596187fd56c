package feature

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	agentflows "weftnet.io/weftnet/internal/agent/flows"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// certificate writes a certificate that signs itself, and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	text, err := x509.MarshalECPrivateKey(private)
	check(t, err)
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	check(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text}), 0o600))
	return cert, key
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await tries until it is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-look.C {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

func TestWhatIsServedMovesWithItsKeys(t *testing.T) {
	dir, err := os.MkdirTemp("", "weft") // a socket's path is short
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &Node{Log: slog.New(slog.DiscardHandler)}
	n.Tables, n.DB = table.New()
	say := func(o settings.Observation) {
		check(t, n.DB.Write(func(tx *state.Tx) error {
			n.Tables.Configs.Put(tx, table.Config{Concern: settings.OfObservation, Settings: settings.Config{Observation: o}})
			return nil
		}))
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := free.Addr().String()
	check(t, free.Close())
	one, two := filepath.Join(dir, "one.sock"), filepath.Join(dir, "two.sock")
	free, err = net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	network := settings.FlowService{Address: free.Addr().String(), Plain: true}
	check(t, free.Close())
	say(settings.Observation{Hubble: true, HubbleSocket: one, FlowService: network, Metrics: settings.Metrics{Address: address}})

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	flows, err := agentflows.New(agentflows.Node{Name: "n", Tables: n.Tables, DB: n.DB, Log: n.Log})
	check(t, err)
	for _, r := range serveFlows(n, flows) {
		running.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	running.Go(func() {
		err := configured(ctx, n, n.metricsPort, func(ctx context.Context, c served) error {
			return n.serveMetrics(ctx, c.Metrics, http.NotFoundHandler())
		})
		if err != nil {
			t.Error(err)
		}
	})
	open := func(network, address string) bool {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	secret := func() bool {
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // who it is does not matter here
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	await(t, "flows are served on the first socket", func() bool { return open("unix", one) })
	await(t, "flows are served over the network", func() bool { return open("tcp", network.Address) })
	await(t, "metrics are served", func() bool { return open("tcp", address) && !secret() })

	cert, key := certificate(t, dir)
	say(settings.Observation{Hubble: true, HubbleSocket: two, Metrics: settings.Metrics{Address: address, TLS: true, Certificate: cert, Key: key}})
	await(t, "flows are served on the second socket alone", func() bool { return open("unix", two) && !open("unix", one) })
	await(t, "metrics are served by TLS", secret)

	say(settings.Observation{HubbleSocket: two, FlowService: network})
	await(t, "flows are served nowhere", func() bool { return !open("unix", two) && !open("tcp", network.Address) })
	await(t, "metrics are served nowhere", func() bool { return !open("tcp", address) })
	say(settings.Observation{Hubble: true, HubbleSocket: two})
	await(t, "flows are served again", func() bool { return open("unix", two) })
}
