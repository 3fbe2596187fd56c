package inventory

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/manifest"
)

// server answers each path with a body, or with a status if it begins with one.
func server(t *testing.T, bodies map[string]string) (*rest.Config, *[]string) {
	t.Helper()
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.Path + " " + r.URL.Query().Get("continue")
		asked = append(asked, r.URL.String())
		body, ok := bodies[strings.TrimSpace(key)]
		var code int
		switch {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case strings.HasPrefix(body, "4"):
			_, _ = fmt.Sscan(body, &code)
			w.WriteHeader(code)
			body = body[4:]
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return &rest.Config{Host: s.URL}, &asked
}

func titles(objects []*manifest.Object) (out []string) {
	for _, o := range objects {
		out = append(out, o.APIVersion+" "+o.Title()+" at "+o.At("spec").String())
	}
	return out
}

func TestAllPagesAreReadAndPodsThatHaveEndedAreLeftOut(t *testing.T) {
	config, asked := server(t, map[string]string{
		"/api/v1/namespaces":                                  `{"items":[{"metadata":{"name":"shop"}}]}`,
		"/api/v1/pods":                                        `{"metadata":{"continue":"more"},"items":[{"metadata":{"name":"web","namespace":"shop"}},{"metadata":{"name":"job","namespace":"shop"},"status":{"phase":"Succeeded"}}]}`,
		"/api/v1/pods more":                                   `{"items":[{"metadata":{"name":"db","namespace":"shop"}}]}`,
		"/apis/cilium.io/v2/ciliumnetworkpolicies":            `{"items":[{"metadata":{"name":"db","namespace":"shop"},"spec":{}}]}`,
		"/api/v1/namespaces/kube-system/configmaps":           `{"items":[{"metadata":{"name":"cilium-config","namespace":"kube-system"}}]}`,
		"/apis/networking.k8s.io/v1/networkpolicies":          `{"items":[]}`,
		"/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies": `{"items":null}`,
	})
	objects, err := Read(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"v1 Namespace shop at cluster", "v1 Pod shop/web at cluster", "v1 Pod shop/db at cluster",
		"cilium.io/v2 CiliumNetworkPolicy shop/db at cluster", "v1 ConfigMap kube-system/cilium-config at cluster",
	}
	if have := titles(objects); !slices.Equal(have, want) {
		t.Errorf("%q", have)
	}
	if !slices.Contains(*asked, "/api/v1/pods?continue=more&limit=500") || !slices.Contains(*asked, "/api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3Dcilium-config&limit=500") {
		t.Error(*asked)
	}
}

func TestARefusalSaysOfWhatAndWhatHelps(t *testing.T) {
	for _, test := range []struct{ answer, want string }{
		{`403 {"kind":"Status","code":403,"message":"namespaces is forbidden: User \"joe\" cannot list"}`, `refuses to list Namespaces: namespaces is forbidden: User "joe" cannot list; it takes the right to list Namespaces in all namespaces`},
		{`401 {"kind":"Status","code":401,"message":"Unauthorized"}`, "refuses to list Namespaces: Unauthorized; log in again: the credentials of the kubeconfig are not valid (any more)"},
		{`410 {"kind":"Status","code":410,"message":"expired"}`, "expired; the cluster changed too much while it was read: try again"},
		{"418 tea", "refuses to list Namespaces: 418 I'm a teapot"},
		{"[", "read Namespaces of the API server: "},
	} {
		config, _ := server(t, map[string]string{"/api/v1/namespaces": test.answer})
		if _, err := Read(t.Context(), config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.answer, err)
		}
	}
	s := httptest.NewServer(nil)
	s.Close()
	if _, err := Read(t.Context(), &rest.Config{Host: s.URL}); err == nil || !strings.HasSuffix(err.Error(), "does not answer: dial tcp "+strings.TrimPrefix(s.URL, "http://")+": connect: connection refused") {
		t.Error(err)
	}
}
