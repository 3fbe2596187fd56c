package kube_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/sink/kube"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

// The agent changes nothing of a pod but one annotation, under its two names, of exactly the pod that the row is about, and leaves those alone that it has no row
// for: Multus may have written them.
func TestNetworkStatusIsAnAnnotationOfThePodAlone(t *testing.T) {
	var asked []string
	pods := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	for _, name := range []string{"web", "others"} {
		pods.Items = append(pods.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: "u1", Annotations: map[string]string{cncfv1.NetworkStatusAnnotation: "[]", cncfv1.OldNetworkStatusAnnotation: "[]"},
		}})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(pods)
	}))
	defer server.Close()
	_, db := table.New()
	sink, err := kube.NewNetworks(&rest.Config{Host: server.URL}, db, "n1")
	if err != nil {
		t.Fatal(err)
	}
	row := network.Status{Namespace: "shop", Pod: "web", UID: "u1", Text: `[{"name": "weft"}]`}
	if err := db.Write(func(tx *state.Tx) error { network.Statuses.Put(tx, row); return nil }); err != nil {
		t.Fatal(err)
	}
	have, err := sink.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for key, is := range have {
		if n++; key != network.Statuses.Key(row) || is.Text != "[]" {
			t.Errorf("the dump has %s: %v", key, is)
		}
	}
	if n != 1 {
		t.Errorf("the dump has %d rows", n)
	}
	if err := sink.Set(t.Context(), []network.Status{row}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Unset(t.Context(), []network.Status{row}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1 `,
		`PATCH /api/v1/namespaces/shop/pods/web/status {"metadata":{"annotations":{"k8s.v1.cni.cncf.io/network-status":"[{\"name\": \"weft\"}]","k8s.v1.cni.cncf.io/networks-status":"[{\"name\": \"weft\"}]"},"uid":"u1"}}`,
		`PATCH /api/v1/namespaces/shop/pods/web/status {"metadata":{"annotations":{"k8s.v1.cni.cncf.io/network-status":null,"k8s.v1.cni.cncf.io/networks-status":null},"uid":"u1"}}`,
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked\n%q\nwant\n%q", asked, want)
	}
}
