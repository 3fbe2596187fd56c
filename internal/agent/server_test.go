package agent

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestQuestionsAboutPoliciesAreAnsweredOrRefusedWithAReason(t *testing.T) {
	a := New(Options{})
	err := a.DB.Write(func(tx *state.Tx) error {
		for i, name := range []string{"web", "db"} {
			n := identity.Number(300 + i)
			a.Tables.Identities.Put(tx, table.Identity{Number: n, Labels: identity.NewLabels(map[string]string{"k8s:app": name})})
			a.Tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: name, Identity: n, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	a.handle(mux)
	get := func(path string, query url.Values) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+query.Encode(), nil))
		return w
	}
	w := get(agentv1.PathExplain, url.Values{"from": {"shop/web"}, "to": {"shop/db:5432"}})
	var answers []agentv1.Explanation
	if err := json.Unmarshal(w.Body.Bytes(), &answers); err != nil || len(answers) != 1 || !answers[0].Allowed || answers[0].Port != "tcp/5432" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var e agentv1.Effective
	if w = get(agentv1.PathEffective, url.Values{"of": {"shop/db"}}); json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Of.Identity != 301 || e.Ingress.Isolated {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w = get(agentv1.PathExplain, url.Values{"from": {"shop/web"}, "to": {"shop/cache:1"}}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "there is no pod, virtual machine or service shop/cache") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
