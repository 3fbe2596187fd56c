package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

const (
	secretPath = "/api/v1/namespaces/kube-system/secrets/" + Secret
	configPath = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/" + Configuration
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is an API server and a client to it.
func world(t *testing.T) (*apitest.Server, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, admissionregistrationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	mapper.Add(admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"), meta.RESTScopeRoot)
	server := apitest.New(t)
	c, err := client.New(server.Config(), client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return server, c
}

// replica is a Keeper of a replica that leads, or not, and its clock.
func replica(c client.Client, leads bool, now *time.Time) *Keeper {
	elected := make(chan struct{})
	if leads {
		close(elected)
	}
	return &Keeper{Reader: c, Writer: c, Namespace: "kube-system", Leads: elected, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return *now }}
}

// trusts reads which certificate the API server trusts.
func trusts(t *testing.T, server *apitest.Server) *x509.CertPool {
	t.Helper()
	var c admissionregistrationv1.ValidatingWebhookConfiguration
	if !server.Get(configPath, &c) {
		t.Fatal("no configuration")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.Webhooks[0].ClientConfig.CABundle)
	return pool
}

func (k *Keeper) verify(pool *x509.CertPool, now time.Time) error {
	c, err := k.certificate(nil)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return err
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "weft-webhook.kube-system.svc", CurrentTime: now})
	return err
}

func TestTheCertificateIsAlwaysOneThatTheAPIServerTrusts(t *testing.T) {
	server, c := world(t)
	now := start
	leader, other := replica(c, true, &now), replica(c, false, &now)
	if err := leader.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "webhook.enabled") {
		t.Errorf("without a configuration: %v", err)
	}
	server.Put(configPath, &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "a"}, {Name: "b"}}})
	if err := other.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "waiting for the replica that leads") {
		t.Errorf("before there is one: %v", err)
	}
	seen := map[string]bool{}
	for week := range 12 * 52 {
		now = start.AddDate(0, 0, 7*week)
		// The other replica still has what it read before: it must be trusted until it looks again.
		if err := leader.Step(t.Context()); err != nil {
			t.Fatal(week, err)
		}
		if week > 0 {
			if err := other.verify(trusts(t, server), now); err != nil {
				t.Fatalf("week %d, before the other replica looks: %v", week, err)
			}
		}
		if err := other.Step(t.Context()); err != nil {
			t.Fatal(week, err)
		}
		for _, k := range []*Keeper{leader, other} {
			if err := k.verify(trusts(t, server), now); err != nil {
				t.Fatalf("week %d: %v", week, err)
			}
		}
		var secret corev1.Secret
		server.Get(secretPath, &secret)
		block, rest := pem.Decode(secret.Data[keyAuthority])
		seen[string(block.Bytes)] = true
		if second, more := pem.Decode(rest); second != nil && len(more) > 0 {
			t.Fatalf("week %d: authorities pile up", week)
		}
	}
	if len(seen) < 3 || len(seen) > 4 {
		t.Errorf("%d authorities in 12 years", len(seen))
	}
}

func TestWhatIsInOrderIsLeftAlone(t *testing.T) {
	server, c := world(t)
	server.Put(configPath, &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "a"}}})
	now := start
	version := func() string {
		var s corev1.Secret
		var w admissionregistrationv1.ValidatingWebhookConfiguration
		server.Get(secretPath, &s)
		server.Get(configPath, &w)
		return s.ResourceVersion + " " + w.ResourceVersion
	}
	if err := replica(c, true, &now).Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := version()
	now = now.Add(24 * time.Hour)
	if err := replica(c, true, &now).Step(t.Context()); err != nil || version() != before {
		t.Error(err, before, version())
	}
	// A Secret that was spoiled, and a trust that was taken away, come back.
	server.Put(secretPath, &corev1.Secret{Data: map[string][]byte{"ca.crt": []byte("x"), "tls.crt": []byte("y")}})
	server.Put(configPath, &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "a"}}})
	k := replica(c, true, &now)
	if err := k.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.verify(trusts(t, server), now); err != nil {
		t.Error(err)
	}
}

func TestTheAPIServerIsAnsweredOverTLS(t *testing.T) {
	server, c := world(t)
	server.Put(configPath, &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "a"}}})
	now := time.Now()
	k := replica(c, true, &now)
	if err := k.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.DiscardHandler)
	ended := make(chan error)
	go func() {
		ended <- (&Server{Keeper: k, Review: &Reviewer{Log: log}, Log: log}).serve(ctx, listener)
	}()
	asker := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusts(t, server), ServerName: "weft-webhook.kube-system.svc"}}}
	answer, err := asker.Post("https://"+listener.Addr().String()+Path, "application/json", bytes.NewReader(review(t, cilium(`"ingress": []`), "")))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !strings.Contains(string(text), `"allowed":false`) {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// cilium is a CiliumNetworkPolicy with these rules, as JSON.
func cilium(rules string) string {
	return `{"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "a", "namespace": "shop", "creationTimestamp": null}, "spec": {"endpointSelector": {}, ` + rules + `}}`
}

// review asks about an object and what it was before.
func review(t *testing.T, object, old string) []byte {
	t.Helper()
	r := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  &admissionv1.AdmissionRequest{UID: "7", Object: runtime.RawExtension{Raw: []byte(object)}, OldObject: runtime.RawExtension{Raw: []byte(old)}},
	}
	if object == "" {
		r.Request.Object.Raw = nil
	}
	if old == "" {
		r.Request.OldObject.Raw = nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ask has an object reviewed.
func ask(t *testing.T, v *Reviewer, object, old string) (allowed bool, message string, warnings []string) {
	t.Helper()
	w := httptest.NewRecorder()
	v.ServeHTTP(w, httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(review(t, object, old))))
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Response == nil || answer.Response.UID != "7" || answer.Kind != "AdmissionReview" {
		t.Fatalf("%v %s", err, w.Body)
	}
	if answer.Response.Result != nil {
		message = answer.Response.Result.Message
	}
	return answer.Response.Allowed, message, answer.Response.Warnings
}

func TestPoliciesAreRefusedOrWarnedAbout(t *testing.T) {
	const (
		empty  = `"ingress": []`
		both   = `"ingress": [], "egress": [{"toEntities": ["all"]}]`
		scoped = `"ingress": [{"fromEndpoints": [{"matchLabels": {"app": "db"}}]}]`
		noPod  = `"ingress": [{"fromEndpoints": [{"matchLabels": {"app": "none-such"}}]}]`
		fine   = `"ingress": [{"fromEntities": ["all"]}]`
	)
	running := func(context.Context) []identity.Labels {
		return []identity.Labels{
			identity.NewLabels(map[string]string{"k8s:app": "db", "k8s:io.kubernetes.pod.namespace": "data", "k8s:io.cilium.k8s.policy.cluster": "default"}),
			identity.NewLabels(map[string]string{"k8s:app": "web", "k8s:io.kubernetes.pod.namespace": "shop", "k8s:io.cilium.k8s.policy.cluster": "default"}),
		}
	}
	refusal := "spec: rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny; probably meant: deny all ingress; fix: ingress: [{}]"
	for _, test := range []struct {
		name, object, old string
		message           string
		warnings          []string
	}{
		{"fine", cilium(fine), "", "", nil},
		{"an error", cilium(empty), "", refusal, nil},
		{"an error that was there before", cilium(empty), cilium(empty), "", []string{refusal}},
		{"a new error", cilium(empty), cilium(fine), refusal, nil},
		{"a trap", cilium(both), "", "", []string{"spec.ingress: an empty list restricts nothing; to deny all, write ingress: [{}]; probably meant: deny all ingress, as ingress: [] does in a NetworkPolicy; fix: ingress: [{}]"}},
		{"a selector that stays at home", cilium(scoped), "", "", []string{"spec.ingress[0].fromEndpoints[0]: without a namespace the selector stays in the policy's own, shop, where no workload has these labels; probably meant: those in namespace data; fix: add to matchLabels: k8s:io.kubernetes.pod.namespace: data"}},
		{"a selector that finds no pod yet", cilium(noPod), "", "", nil},
		{"a deletion", "", cilium(empty), "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			allowed, message, warnings := ask(t, &Reviewer{Running: running, Log: slog.New(slog.DiscardHandler)}, test.object, test.old)
			if allowed != (test.message == "") || message != test.message || !slices.Equal(warnings, test.warnings) {
				t.Errorf("allowed %v: %s\nwarnings %q", allowed, message, warnings)
			}
		})
	}
	w := httptest.NewRecorder()
	(&Reviewer{}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, Path, strings.NewReader("{}")))
	if w.Code != http.StatusBadRequest {
		t.Error(w.Code)
	}
}

func TestNetworksAreRefusedOrWarnedAboutInTheWordsOfNetCheck(t *testing.T) {
	definition := func(config string) string {
		text, err := json.Marshal(map[string]any{
			"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
			"metadata": map[string]any{"name": "yard", "namespace": "plant"}, "spec": map[string]any{"config": config},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const (
		fine     = `{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens1", "ipam": {"type": "dhcp"}}`
		typeless = `{"cniVersion": "1.0.0", "master": "ens1"}`
		version  = `{"cniVersion": "3.1", "type": "bridge"}`
		broken   = `{"type": "bridge"`
		subnet   = `{"type": "macvlan", "master": "ens1", "ipam": {"type": "static", "addresses": [{"address": "172.20.5.0/24"}]}}`
		elses    = `{"type": "macvtap", "master": "ens1"}`
		unknown  = `{"type": "macvlann", "master": "ens1"}`
	)
	without := "spec.config: type: it names no plugin: without a type nothing makes the NIC"
	for _, test := range []struct {
		name, object, old string
		message           string
		warning           string // begins with this
	}{
		{"fine", definition(fine), "", "", ""},
		{"no type", definition(typeless), "", without, ""},
		{"no type, and another config before", definition(typeless), definition(fine), without, ""},
		{"no type, which was so before", definition(typeless), definition(typeless), "", without},
		{"a version that is none", definition(version), "", "spec.config: cniVersion: there is no version 3.1 of CNI; 1.0.0 is understood by all plugins of today", ""},
		{"no JSON", definition(broken), "", "spec.config: it cannot be read as a CNI configuration: unexpected EOF", ""},
		{"the subnet's own address", definition(subnet), "", "", "spec.config: ipam.addresses[0]: 172.20.5.0/24 is the subnet's own address, which no NIC can have; probably meant: each workload says its own; fix: "},
		{"a type that Weftnet does not serve", definition(elses), "", "", "spec.config: type: macvtap is not served here: "},
		{"a type that may be a node's", definition(unknown), "", "", `spec.config: type: plugin "macvlann" is none that is known here; each node needs a program of that name among its CNI plugins; probably meant: macvlan`},
		{"a deletion", "", definition(typeless), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			allowed, message, warnings := ask(t, &Reviewer{Log: slog.New(slog.DiscardHandler)}, test.object, test.old)
			if allowed != (test.message == "") || message != test.message {
				t.Errorf("allowed %v: %s", allowed, message)
			}
			if (test.warning == "") != (len(warnings) == 0) || len(warnings) > 0 && !strings.HasPrefix(warnings[0], test.warning) {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}
