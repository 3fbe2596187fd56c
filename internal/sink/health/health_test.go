package health

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/healthcheck"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// free is an address of this machine that no program listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answer is what is said at an address: status, weight, document.
func answer(t *testing.T, address, path string) (int, string, map[string]any) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + address + path)
	if err != nil {
		return 0, "", nil
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc := map[string]any{}
	if r.StatusCode != http.StatusNotFound && json.Unmarshal(text, &doc) != nil {
		t.Errorf("%s%s: %s", address, path, text)
	}
	if r.StatusCode != http.StatusNotFound && (r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Content-Type-Options") != "nosniff") {
		t.Errorf("%s%s: %v", address, path, r.Header)
	}
	return r.StatusCode, r.Header.Get("X-Load-Balancing-Endpoint-Weight"), doc
}

func newChecks(t *testing.T, s *State) *Checks {
	c := New(func() State { return *s })
	c.now = func() time.Time { return noon }
	t.Cleanup(c.Close)
	return c
}

func set(t *testing.T, c *Checks, rows ...healthcheck.Check) {
	t.Helper()
	if err := c.Set(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
}

func TestALoadBalancerHearsWhatKubeProxyWouldSay(t *testing.T) {
	s := State{Healthy: true}
	c := newChecks(t, &s)
	row := healthcheck.Check{Network: "tcp4", Address: free(t), Namespace: "shop", Name: "web"}
	for _, x := range []struct {
		endpoints int
		healthy   bool
		status    int
	}{{0, true, 503}, {2, true, 200}, {1, false, 503}, {1, true, 200}} {
		row.Endpoints, s.Healthy = x.endpoints, x.healthy
		set(t, c, row)
		status, weight, doc := answer(t, row.Address, "/whatever")
		want := map[string]any{"service": map[string]any{"namespace": "shop", "name": "web"}, "localEndpoints": float64(x.endpoints), "serviceProxyHealthy": x.healthy}
		if status != x.status || weight != fmt.Sprint(x.endpoints) || fmt.Sprint(doc) != fmt.Sprint(want) {
			t.Errorf("%+v: status %d, weight %s, %v", x, status, weight, doc)
		}
	}
	if err := c.Unset(t.Context(), []healthcheck.Check{row}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := answer(t, row.Address, "/"); status != 0 {
		t.Errorf("it is answered with %d after the row is gone", status)
	}
}

func TestANodeSaysWhetherItTranslatesAndWhetherItStays(t *testing.T) {
	s := State{Healthy: true, Updated: noon.Add(-time.Hour)}
	c := newChecks(t, &s)
	row := healthcheck.Check{Network: "tcp", Address: free(t)}
	const now, before = "2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z"
	for _, x := range []struct {
		healthy, leaving bool
		ready, live      int
		updated          string
	}{{true, false, 200, 200, now}, {true, true, 503, 200, before}, {false, false, 503, 503, before}, {false, true, 503, 503, before}} {
		s.Healthy, row.Leaving = x.healthy, x.leaving
		set(t, c, row)
		status, weight, doc := answer(t, row.Address, "/healthz")
		if status != x.ready || weight != "" || doc["nodeEligible"] != !x.leaving || doc["healthy"] != x.healthy || doc["lastUpdated"] != x.updated || doc["currentTime"] != now {
			t.Errorf("healthz %+v: status %d, %v", x, status, doc)
		}
		status, _, doc = answer(t, row.Address, "/livez")
		if _, says := doc["nodeEligible"]; status != x.live || says {
			t.Errorf("livez %+v: status %d, %v", x, status, doc)
		}
	}
	if status, _, _ := answer(t, row.Address, "/"); status != http.StatusNotFound {
		t.Errorf("/ is answered with %d", status)
	}
}

func TestAPortThatAnotherProgramHasIsAnErrorOfItsRow(t *testing.T) {
	c := newChecks(t, &State{Healthy: true})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := healthcheck.Check{Network: "tcp4", Address: l.Addr().String(), Namespace: "shop", Name: "web", Endpoints: 1}
	other := healthcheck.Check{Network: "tcp4", Address: free(t), Namespace: "shop", Name: "db", Endpoints: 1}
	err = c.Set(t.Context(), []healthcheck.Check{taken, other})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("%v", err)
	}
	if status, _, _ := answer(t, other.Address, "/"); status != 200 {
		t.Errorf("the other one is answered with %d", status)
	}
	l.Close()
	set(t, c, taken)
	if status, _, _ := answer(t, taken.Address, "/"); status != 200 {
		t.Errorf("it is answered with %d once the port is free", status)
	}
	var rows []string
	dump, err := c.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key, row := range dump {
		if key != state.Join(row.Network, row.Address) {
			t.Errorf("%s has the key %s", row.Name, key)
		}
		rows = append(rows, row.Name)
	}
	slices.Sort(rows)
	if !slices.Equal(rows, []string{"db", "web"}) {
		t.Errorf("%v", rows)
	}
	c.Close()
	if status, _, _ := answer(t, other.Address, "/"); status != 0 {
		t.Errorf("it is answered with %d after the end", status)
	}
}

func TestBothFamiliesHaveOnePort(t *testing.T) {
	c := newChecks(t, &State{Healthy: true})
	_, port, _ := net.SplitHostPort(free(t))
	set(t, c, healthcheck.Check{Network: "tcp4", Address: "0.0.0.0:" + port, Namespace: "shop", Name: "web", Endpoints: 2},
		healthcheck.Check{Network: "tcp6", Address: "[::]:" + port, Namespace: "shop", Name: "web", Endpoints: 0})
	if status, _, _ := answer(t, "127.0.0.1:"+port, "/"); status != 200 {
		t.Errorf("IPv4: %d", status)
	}
	if status, _, _ := answer(t, "[::1]:"+port, "/"); status != 503 {
		t.Errorf("IPv6: %d", status)
	}
}
