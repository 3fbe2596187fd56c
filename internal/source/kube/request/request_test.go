package request

import "testing"

func TestAPathHasNoNames(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/pods":                                      "/api/v1/pods",
		"/api/v1/namespaces":                                "/api/v1/namespaces",
		"/api/v1/namespaces/shop":                           "/api/v1/namespaces/{name}",
		"/api/v1/namespaces/shop/pods":                      "/api/v1/namespaces/{namespace}/pods",
		"/api/v1/namespaces/shop/pods/web-1":                "/api/v1/namespaces/{namespace}/pods/{name}",
		"/api/v1/nodes/a/status":                            "/api/v1/nodes/{name}/status",
		"/apis/cilium.io/v2/ciliumidentities/4711":          "/apis/cilium.io/v2/ciliumidentities/{name}",
		"/apis/cilium.io/v2/namespaces/a/ciliumendpoints/b": "/apis/cilium.io/v2/namespaces/{namespace}/ciliumendpoints/{name}",
		"/readyz":  "/readyz",
		"/version": "/version",
		"/apis":    "/apis",
		"/":        "/",
	} {
		if have := shape(path); have != want {
			t.Errorf("%s is %s, want %s", path, have, want)
		}
	}
}
