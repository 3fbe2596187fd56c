package scrape

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weftnet.io/weftnet/internal/flow/metric"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// shown is what Prometheus reads, without help.
func shown(t *testing.T, g prometheus.Gatherer) string {
	t.Helper()
	return body(t, promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
}

func body(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatal(w.Body)
	}
	var out strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func registry(c ...prometheus.Collector) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c...)
	return r
}

func write(t *testing.T, db *state.DB, f func(tx *state.Tx)) {
	t.Helper()
	if err := db.Write(func(tx *state.Tx) error { f(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestAnAgentTellsOfItself(t *testing.T) {
	tables, db := table.New()
	deny := func(d policy.Direction) policy.Entry { return policy.Entry{Direction: d, Verdict: policy.DenyImplicit} }
	ip := netip.MustParseAddr
	write(t, db, func(tx *state.Tx) {
		for i, set := range []table.PolicySet{
			{Identity: 300, Entries: []policy.Entry{deny(policy.Ingress), deny(policy.Egress)}},
			{Identity: 400, Entries: []policy.Entry{deny(policy.Ingress)}},
			{Identity: 500, Entries: []policy.Entry{{View: policy.AsStaged, Direction: policy.Egress, Verdict: policy.DenyImplicit}}},
		} {
			tables.PolicySets.Put(tx, set)
			id := string(rune('a' + i))
			tables.Workloads.Put(tx, table.Workload{ContainerID: id, Interface: "eth0", Subject: table.Subject{Identity: set.Identity, Set: tables.PolicySets.Key(set)}})
			tables.Attachments.Put(tx, table.Attachment{ContainerID: id, Interface: "eth0", HostName: id, Incarnation: uint32(i + 1), Addresses: []netip.Addr{ip("10.0.0.5").Next(), ip("fd00::1")}})
		}
		tables.NICs.Put(tx, table.NIC{Ifindex: 7})
		tables.Ready.Put(tx, table.Ready{ContainerID: "a", Interface: "eth0"})
		tables.Nodes.Put(tx, table.Node{Name: "n", Local: true, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}})
		tables.Policies.Put(tx, table.PolicyObject{Name: "p", Valid: true})
	})
	own := NewOwn(Node{Version: "v1", Tables: tables, DB: db, Ready: func() bool { return true }, Took: func() time.Duration { return 2 * time.Second }, Settings: func() []settings.Line {
		return []settings.Line{{Key: "enable-wireguard", Protection: true, State: settings.NotImplemented}, {Key: "enable-ipv4", State: settings.Effective}}
	}})
	have := shown(t, registry(own))
	for line := range strings.Lines(`cilium_agent_bootstrap_seconds{outcome="success",scope="overall"} 2
cilium_endpoint 1
cilium_endpoint_state{endpoint_state="ready"} 1
cilium_endpoint_state{endpoint_state="waiting-to-regenerate"} 2
cilium_identity{type="cluster_local"} 0
cilium_ip_addresses{family="ipv4"} 3
cilium_ip_addresses{family="ipv6"} 3
cilium_ipam_capacity{family="ipv4"} 256
cilium_nodes_all_num 1
cilium_policy 1
cilium_policy_endpoint_enforcement_status{enforcement="both"} 1
cilium_policy_endpoint_enforcement_status{enforcement="egress"} 0
cilium_policy_endpoint_enforcement_status{enforcement="ingress"} 1
cilium_policy_endpoint_enforcement_status{enforcement="none"} 1
weft_configuration_unmet{key="enable-wireguard"} 1
weft_ready 1
`) {
		if !strings.Contains(have, line) {
			t.Errorf("%q is not in\n%s", line, have)
		}
	}
}

func TestTheDelayOfAPolicyEndsWhenAllHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tables, db := table.New()
		behind := "policies"
		d := NewDelays(tables, db, func(*state.Snapshot) string { return behind })
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- d.Run(ctx) }()
		write(t, db, func(tx *state.Tx) {
			tables.Policies.Put(tx, table.PolicyObject{Name: "good", Valid: true})
			tables.Policies.Put(tx, table.PolicyObject{Name: "bad"})
		})
		time.Sleep(3*time.Second - time.Millisecond)
		synctest.Wait()
		if have := shown(t, registry(d.seconds)); !strings.Contains(have, "cilium_policy_implementation_delay_count{source=\"kubernetes\"} 0") {
			t.Errorf("measured before it was in place:\n%s", have)
		}
		behind = ""
		time.Sleep(time.Second)
		have := shown(t, registry(d.seconds))
		if !strings.Contains(have, `_count{source="kubernetes"} 1`) || !strings.Contains(have, `_sum{source="kubernetes"} 3`) {
			t.Errorf("not the three seconds that it took:\n%s", have)
		}
		write(t, db, func(tx *state.Tx) { tables.Policies.Delete(tx, tables.Policies.Key(table.PolicyObject{Name: "bad"})) })
		time.Sleep(time.Second)
		if diff := cmp.Diff("cilium_policy_change_total{outcome=\"fail\"} 1\ncilium_policy_change_total{outcome=\"success\"} 2\n", shown(t, registry(d.changes))); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

func TestAMetricIsLeftOutOnRequest(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	for _, name := range []string{"one", "two", "three"} {
		r.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name}))
	}
	for words, want := range map[string]string{
		"": "one 0\nthree 0\ntwo 0\n", "-one -four": "three 0\ntwo 0\n", "-one -two +one": "one 0\nthree 0\n", "+one": "one 0\nthree 0\ntwo 0\n",
	} {
		if diff := cmp.Diff(want, shown(t, Select(r, strings.Fields(words)))); diff != "" {
			t.Errorf("%s: %s", words, diff)
		}
	}
}

func TestComplaintsOfTheLogAreCounted(t *testing.T) {
	c := NewComplaints()
	log := c.Counted(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})))
	log.Info("x")
	log.With("a", 1).Warn("x")
	log.WithGroup("g").Error("x")
	log.Error("x")
	want := `cilium_errors_warnings_total{level="error",subsystem="agent"} 2
cilium_errors_warnings_total{level="warning",subsystem="agent"} 1
`
	if diff := cmp.Diff(want, shown(t, registry(c.Collector()))); diff != "" {
		t.Error(diff)
	}
}

func TestMetricsOfFlowsAreServedWhileThereIsAList(t *testing.T) {
	tables, db := table.New()
	f := NewFlows(tables, db)
	list, err := metric.Parse("drop tcp")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan http.Handler, 1)
	serve := func(ctx context.Context, _ settings.Metrics, h http.Handler) error {
		served <- h
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error)
	go func() { over <- f.Run(ctx, settings.FlowMetrics{List: list, Series: 10}, serve) }()
	h := <-served
	body(t, h)
	if have := body(t, h); !strings.Contains(have, `hubble_metrics_http_handler_requests_total{code="200"} 1`) || !strings.Contains(have, `weft_metric_series{metric="hubble_drop_total"} 0`) {
		t.Error(have)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if err := f.Run(t.Context(), settings.FlowMetrics{}, serve); err != nil || f.current.Load() != nil {
		t.Errorf("without a list flows are counted: %v", err)
	}
}
