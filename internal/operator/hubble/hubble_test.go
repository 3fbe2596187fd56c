package hubble

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"weftnet.io/weftnet/internal/operator/authority"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

const secrets = "/api/v1/namespaces/kube-system/secrets/"

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is an API server, and a Keeper whose clock and cluster a test sets.
type world struct {
	server  *apitest.Server
	keeper  *Keeper
	now     time.Time
	cluster string
	log     bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	w := &world{server: apitest.New(t), now: start, cluster: "default"}
	c, err := client.New(w.server.Config(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	w.keeper = &Keeper{
		Reader: c, Writer: c, Namespace: "kube-system", Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: func() time.Time { return w.now },
		Cluster: func(context.Context) (string, error) { return w.cluster, nil },
	}
	return w
}

func (w *world) secret(t *testing.T, name string) corev1.Secret {
	t.Helper()
	var s corev1.Secret
	if !w.server.Get(secrets+name, &s) {
		t.Fatalf("there is no Secret %s", name)
	}
	return s
}

// meet tells whether an agent that has read one Secret and a relay that has read another believe each other.
func meet(t *testing.T, server, relay corev1.Secret, name string, now time.Time) error {
	t.Helper()
	pool := func(s corev1.Secret) *x509.CertPool {
		p := x509.NewCertPool()
		p.AppendCertsFromPEM(s.Data[keyAuthority])
		return p
	}
	agent, _, err := authority.Parse(server.Data[keyCertificate], server.Data[keyPrivate])
	if err != nil {
		return err
	}
	if _, err := agent.Verify(x509.VerifyOptions{Roots: pool(relay), DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return err
	}
	client, _, err := authority.Parse(relay.Data[keyCertificate], relay.Data[keyPrivate])
	if err != nil {
		return err
	}
	_, err = client.Verify(x509.VerifyOptions{Roots: pool(server), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

func TestAgentsAndRelaysBelieveEachOtherWheneverTheyRead(t *testing.T) {
	w := newWorld(t)
	const agent = "n1.default.hubble-grpc.cilium.io"
	var server, relay corev1.Secret
	seen := map[string]bool{}
	for hour := 0; hour < 12*365*24; hour += 13 * 24 {
		w.now = start.Add(time.Duration(hour) * time.Hour)
		if err := w.keeper.Step(t.Context()); err != nil {
			t.Fatal(hour, err)
		}
		newServer, newRelay := w.secret(t, ServerSecret), w.secret(t, RelaySecret)
		if hour > 0 {
			// Files of pods are late: either end may still have what it had before.
			for _, pair := range [][2]corev1.Secret{{server, newRelay}, {newServer, relay}} {
				if err := meet(t, pair[0], pair[1], agent, w.now); err != nil {
					t.Fatalf("hour %d: %v", hour, err)
				}
			}
		}
		if err := meet(t, newServer, newRelay, agent, w.now); err != nil {
			t.Fatalf("hour %d: %v", hour, err)
		}
		server, relay = newServer, newRelay
		if n := len(authority.Bundle(w.now, server.Data[keyAuthority])); n > 2 {
			t.Fatalf("hour %d: %d authorities pile up", hour, n)
		}
		seen[string(w.secret(t, AuthoritySecret).Data[keyAuthorityPrivate])] = true
	}
	if len(seen) < 3 || len(seen) > 4 {
		t.Errorf("%d authorities in 12 years", len(seen))
	}
	if text := w.log.String(); strings.Contains(text, "PRIVATE") || !strings.Contains(text, ServerSecret) {
		t.Errorf("the log has %s", text)
	}
}

func TestSecretsHaveTheFormThatToolsLookFor(t *testing.T) {
	w := newWorld(t)
	w.cluster = "north.example"
	if err := w.keeper.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := w.secret(t, AuthoritySecret); s.Type != corev1.SecretTypeOpaque || len(s.Data["ca.crt"]) == 0 || len(s.Data["ca.key"]) == 0 {
		t.Errorf("%s has %v", s.Type, s.Data)
	}
	for name, want := range map[string]string{ServerSecret: "*.north-example.hubble-grpc.cilium.io", RelaySecret: "*.hubble-relay.cilium.io"} {
		s := w.secret(t, name)
		c, _, err := authority.Parse(s.Data["tls.crt"], s.Data["tls.key"])
		if err != nil || s.Type != corev1.SecretTypeTLS || len(s.Data["ca.crt"]) == 0 || c.DNSNames[0] != want {
			t.Errorf("%s: %v, %s", name, err, s.Type)
		}
		if _, has := s.Data["ca.key"]; has {
			t.Errorf("%s has the authority's key", name)
		}
	}
	w.cluster = "south"
	if err := w.keeper.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := meet(t, w.secret(t, ServerSecret), w.secret(t, RelaySecret), "n1.south.hubble-grpc.cilium.io", w.now); err != nil {
		t.Errorf("the cluster has another name: %v", err)
	}
}

func TestWhatIsInOrderOrOfOthersIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	ca, key, err := authority.New(start, "a company's CA", 10*authorityLife)
	if err != nil {
		t.Fatal(err)
	}
	text, err := authority.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	w.server.Put(secrets+AuthoritySecret, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: AuthoritySecret, Namespace: "kube-system"}, Data: map[string][]byte{"ca.crt": authority.Encode(ca), "ca.key": text}})
	versions := func() (all string) {
		for _, name := range []string{AuthoritySecret, ServerSecret, RelaySecret} {
			all += w.secret(t, name).ResourceVersion + " "
		}
		return all
	}
	theirs := w.secret(t, AuthoritySecret).ResourceVersion
	if err := w.keeper.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := versions()
	w.now = start.Add(24 * time.Hour)
	if err := w.keeper.Step(t.Context()); err != nil || versions() != before {
		t.Error(err, before, versions())
	}
	if w.secret(t, AuthoritySecret).ResourceVersion != theirs {
		t.Error("the authority of others was written")
	}
	if err := meet(t, w.secret(t, ServerSecret), w.secret(t, RelaySecret), "n1.default.hubble-grpc.cilium.io", w.now); err != nil {
		t.Error(err)
	}

	// Their certificate is theirs to renew, and ours that is spoiled comes back.
	foreign := w.secret(t, ServerSecret)
	foreign.Labels = nil
	w.server.Put(secrets+ServerSecret, &foreign)
	spoiled := w.secret(t, RelaySecret)
	spoiled.Data[keyCertificate] = []byte("x")
	w.server.Put(secrets+RelaySecret, &spoiled)
	w.now = start.Add(certificateLife * 3 / 4)
	if err := w.keeper.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "hubble-server-certs, which others have made, runs out on 2026-04-01") {
		t.Errorf("have %v", err)
	}
	if err := meet(t, w.secret(t, ServerSecret), w.secret(t, RelaySecret), "n1.default.hubble-grpc.cilium.io", w.now); err != nil {
		t.Error(err)
	}
}

func TestAnAuthorityWhoseKeyIsElsewhereSignsNothing(t *testing.T) {
	w := newWorld(t)
	ca, _, err := authority.New(start, "a company's CA", authorityLife)
	if err != nil {
		t.Fatal(err)
	}
	put := func(data map[string][]byte) {
		w.server.Put(secrets+AuthoritySecret, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: AuthoritySecret, Namespace: "kube-system"}, Data: data})
	}
	put(map[string][]byte{"ca.crt": authority.Encode(ca)})
	if err := w.keeper.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "Secret cilium-ca has no ca.key") {
		t.Errorf("have %v", err)
	}
	put(map[string][]byte{"ca.crt": []byte("x"), "ca.key": []byte("secret text")})
	if err := w.keeper.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "mend its ca.crt and ca.key") || strings.Contains(err.Error(), "secret text") {
		t.Errorf("have %v", err)
	}
}
