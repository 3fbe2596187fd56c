package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// serve is an API server that says its name, and has the certificate of its cluster.
func serve(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return s
}

// kubeconfig knows the cluster by the address of its service, which nothing translates, and trusts the certificate.
func kubeconfig(t *testing.T, known string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}],
"clusters": [{"name": "c", "cluster": {"server": "` + known + `", "insecure-skip-tls-verify": true}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func ask(t *testing.T, c *rest.Config) string {
	t.Helper()
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.Host+"/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

func TestAnotherServerIsAskedWhenOneIsGone(t *testing.T) {
	one, two := serve(t, "one"), serve(t, "two")
	c, err := Connect(kubeconfig(t, "https://127.0.0.1:9"), "test", one.URL+" "+two.URL) // nothing serves there
	if err != nil {
		t.Fatal(err)
	}
	if said := ask(t, c); said != "one" {
		t.Errorf("%q answers, want the first of the list", said)
	}
	one.Close()
	for range 2 {
		if said := ask(t, c); said != "two" {
			t.Errorf("%q answers, want the one that is left", said)
		}
	}
	two.Close()
	if said := ask(t, c); strings.Count(said, "refused") != 3 {
		t.Errorf("%q, want what each of them says", said)
	}
}

func TestTheAddressOfTheClusterIsTheLastResort(t *testing.T) {
	known, gone := serve(t, "known"), serve(t, "gone")
	gone.Close()
	c, err := Connect(kubeconfig(t, known.URL), "test", gone.URL)
	if err != nil {
		t.Fatal(err)
	}
	if said := ask(t, c); said != "known" {
		t.Error(said)
	}
}

func TestServersAreURLs(t *testing.T) {
	for text, want := range map[string]string{
		"https://192.0.2.10:6443": "192.0.2.10:6443", "192.0.2.10:6443": "192.0.2.10:6443", "https://[2001:db8::1]": "[2001:db8::1]:443",
		"https://api.example": "api.example:443", "http://127.0.0.1:8080/": "127.0.0.1:8080", "https://": "", "http://%": "",
	} {
		if have, err := addressOf(text); have != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", text, have, err, want)
		}
	}
	if s, err := newServers("https://10.96.0.1", ""); s != nil || err != nil {
		t.Error(s, err)
	}
	if _, err := newServers("https://10.96.0.1", "https://a:1, ://"); err == nil {
		t.Error("a list with what is no URL is taken")
	}
}
