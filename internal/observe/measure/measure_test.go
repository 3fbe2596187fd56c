package measure

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/encoding/prototext"

	"weftnet.io/weftnet/internal/flow/metric"
)

func made(t *testing.T, list string, limit int) *Metrics {
	t.Helper()
	parsed, err := metric.Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	return New(parsed, limit, nil)
}

// shown are the series of metrics as Prometheus reads them, but those that tell of metrics themselves.
func shown(t *testing.T, m prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var out strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "weft_metric_") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func flowOf(t *testing.T, text string) *flowpb.Flow {
	t.Helper()
	f := &flowpb.Flow{}
	if err := prototext.Unmarshal([]byte(text), f); err != nil {
		t.Fatal(err)
	}
	return f
}

// web calls db: text formats of flow.Flow.
const (
	web  = `namespace: "shop" pod_name: "web-1" identity: 4711 labels: "k8s:app=web" labels: "k8s:io.kubernetes.pod.namespace=shop" workloads: {name: "web" kind: "Deployment"}`
	db   = `namespace: "store" pod_name: "db-0" identity: 815 labels: "k8s:app.kubernetes.io/name=postgres" workloads: {name: "db" kind: "StatefulSet"}`
	out  = `identity: 2 labels: "reserved:world"`
	ips  = `IP: {source: "10.0.0.1" destination: "10.0.0.2" ipVersion: IPv4} `
	syn  = `l4: {TCP: {source_port: 4000 destination_port: 5432 flags: {SYN: true}}} `
	ends = ips + `source: {` + web + `} destination: {` + db + `} `

	allowed = ends + syn + `verdict: FORWARDED event_type: {type: 5} policy_match_type: 2 traffic_direction: EGRESS is_reply: {}`
	passes  = ends + syn + `verdict: FORWARDED event_type: {type: 4 sub_type: 0} traffic_direction: INGRESS is_reply: {}`
	answer  = ips + `source: {` + db + `} destination: {` + web + `} l4: {TCP: {source_port: 5432 destination_port: 4000 flags: {SYN: true ACK: true}}} verdict: FORWARDED event_type: {type: 4 sub_type: 0} traffic_direction: EGRESS is_reply: {value: true}`
	denied  = ends + syn + `verdict: DROPPED event_type: {type: 1 sub_type: 133} drop_reason_desc: POLICY_DENIED traffic_direction: INGRESS`
	ended   = ends + `l4: {TCP: {source_port: 4000 destination_port: 5432}} verdict: FORWARDED event_type: {type: 4 sub_type: 64} traffic_direction: EGRESS is_reply: {}`
	ping    = ends + `l4: {ICMPv4: {type: 8}} verdict: FORWARDED event_type: {type: 4 sub_type: 0} is_reply: {}`
	outside = ips + `source: {` + web + `} destination: {` + out + `} l4: {UDP: {source_port: 4000 destination_port: 53}} verdict: FORWARDED event_type: {type: 4 sub_type: 11} is_reply: {}`
	query   = ends + `verdict: FORWARDED event_type: {type: 129} Type: L7 is_reply: {} l7: {type: REQUEST dns: {query: "a.example." qtypes: "A"}}`
	reply   = ends + `verdict: FORWARDED event_type: {type: 129} Type: L7 is_reply: {value: true} l7: {type: RESPONSE dns: {query: "a.example." rcode: 3 qtypes: "A" rrtypes: "CNAME" ips: "10.1.1.1"}}`
	refused = ends + `verdict: DROPPED event_type: {type: 129} Type: L7 traffic_direction: EGRESS l7: {type: REQUEST dns: {query: "b.example." qtypes: "AAAA"}}`
	get     = ends + `verdict: FORWARDED event_type: {type: 129} Type: L7 traffic_direction: INGRESS l7: {type: REQUEST http: {method: "GET" protocol: "HTTP/1.1"}}`
	got     = ips + `source: {` + db + `} destination: {` + web + `} verdict: FORWARDED event_type: {type: 129} Type: L7 traffic_direction: INGRESS l7: {type: RESPONSE latency_ns: 20000000 http: {code: 200 method: "GET" protocol: "HTTP/1.1"}}`
)

func TestMetricsHaveTheNamesAndLabelsOfUpstream(t *testing.T) {
	for _, c := range []struct {
		list  string
		flows []string
		want  string
	}{
		{"flow", []string{allowed, passes, denied, ended, query}, `
hubble_flows_processed_total{protocol="DNS",subtype="DNS",type="L7",verdict="FORWARDED"} 1
hubble_flows_processed_total{protocol="TCP",subtype="",type="Drop",verdict="DROPPED"} 1
hubble_flows_processed_total{protocol="TCP",subtype="",type="PolicyVerdict",verdict="FORWARDED"} 1
hubble_flows_processed_total{protocol="TCP",subtype="close",type="Trace",verdict="FORWARDED"} 1
hubble_flows_processed_total{protocol="TCP",subtype="to-endpoint",type="Trace",verdict="FORWARDED"} 1
`},
		{"drop", []string{denied, denied, passes, refused}, `
hubble_drop_total{protocol="DNS",reason="DROP_REASON_UNKNOWN"} 1
hubble_drop_total{protocol="TCP",reason="POLICY_DENIED"} 2
`},
		{"tcp", []string{passes, answer, denied, ended}, `
hubble_tcp_flags_total{family="IPv4",flag="SYN"} 1
hubble_tcp_flags_total{family="IPv4",flag="SYN-ACK"} 1
`},
		{"icmp", []string{ping, passes}, "\n" + `hubble_icmp_total{family="IPv4",type="EchoRequest"} 1` + "\n"},
		{"port-distribution", []string{passes, answer, denied, ended, ping}, `
hubble_port_distribution_total{port="0",protocol="ICMPv4"} 1
hubble_port_distribution_total{port="5432",protocol="TCP"} 1
`},
		{"policy", []string{allowed, passes, refused}, `
hubble_policy_verdicts_total{action="dropped",direction="egress",match="l7/dns"} 1
hubble_policy_verdicts_total{action="forwarded",direction="egress",match="l3-l4"} 1
`},
		{"flows-to-world:port", []string{outside, passes}, "\n" + `hubble_flows_to_world_total{port="53",protocol="UDP",verdict="FORWARDED"} 1` + "\n"},
		{"flows-to-world:syn-only", []string{outside, passes}, "\n"},
		{"dns:query;ignoreAAAA", []string{query, reply, refused}, `
hubble_dns_queries_total{ips_returned="0",qtypes="A",query="a.example.",rcode=""} 1
hubble_dns_response_types_total{qtypes="A",query="a.example.",type="CNAME"} 1
hubble_dns_responses_total{ips_returned="1",qtypes="A",query="a.example.",rcode="Non-Existent Domain"} 1
`},
		{"dns", []string{refused}, "\n" + `hubble_dns_queries_total{ips_returned="0",qtypes="AAAA",rcode="Policy denied"} 1` + "\n"},
		{"http", []string{get, got}, "\n" + `hubble_http_request_duration_seconds_sum{method="GET",reporter="server"} 0.02
hubble_http_request_duration_seconds_count{method="GET",reporter="server"} 1
hubble_http_requests_total{method="GET",protocol="HTTP/1.1",reporter="server"} 1
hubble_http_responses_total{method="GET",protocol="HTTP/1.1",reporter="server",status="200"} 1
`},
		{"httpV2:sourceContext=workload-name", []string{get, got}, "\n" + `hubble_http_request_duration_seconds_sum{method="GET",reporter="server",source="web"} 0.02
hubble_http_request_duration_seconds_count{method="GET",reporter="server",source="web"} 1
hubble_http_requests_total{method="GET",protocol="HTTP/1.1",reporter="server",source="web",status="200"} 1
`},
		{"tcp:sourceContext=pod;destinationContext=dns|workload", []string{passes}, "\n" + `hubble_tcp_flags_total{destination="store/db",family="IPv4",flag="SYN",source="shop/web-1"} 1` + "\n"},
		{"tcp:sourceContext=namespace;sourceIngressContext=app", []string{passes}, "\n" + `hubble_tcp_flags_total{family="IPv4",flag="SYN",source="web"} 1` + "\n"},
		{"tcp:sourceEgressContext=app;sourceContext=identity", []string{passes}, "\n" + `hubble_tcp_flags_total{family="IPv4",flag="SYN",source="k8s:app=web,k8s:io.kubernetes.pod.namespace=shop"} 1` + "\n"},
		{"flows-to-world:destinationContext=reserved-identity", []string{outside}, "\n" + `hubble_flows_to_world_total{destination="reserved:world",protocol="UDP",verdict="FORWARDED"} 1` + "\n"},
		{"tcp:labelsContext=traffic_direction,source_ip,source_workload,source_workload_kind,destination_app,destination_namespace", []string{passes}, "\n" + `hubble_tcp_flags_total{destination_app="postgres",destination_namespace="store",family="IPv4",flag="SYN",source_ip="10.0.0.1",source_workload="web",source_workload_kind="Deployment",traffic_direction="ingress"} 1` + "\n"},
	} {
		m := made(t, c.list, 100)
		for _, f := range c.flows {
			m.Take(flowOf(t, f))
		}
		var have strings.Builder
		for line := range strings.Lines(shown(t, m)) {
			if !strings.Contains(line, "_bucket{") {
				have.WriteString(line)
			}
		}
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), have.String()); diff != "" {
			t.Errorf("%s (-want +have):\n%s", c.list, diff)
		}
	}
}

func TestWhatFindsNoRoomIsCountedTogether(t *testing.T) {
	m := made(t, "port-distribution", 3)
	for i := range 5 {
		m.Take(flowOf(t, fmt.Sprintf(`l4: {UDP: {source_port: 9 destination_port: %d}} verdict: FORWARDED event_type: {type: 4} is_reply: {}`, 1000+i)))
	}
	want := `hubble_port_distribution_total{port="1000",protocol="UDP"} 1
hubble_port_distribution_total{port="1001",protocol="UDP"} 1
hubble_port_distribution_total{port="other",protocol="other"} 3
`
	if diff := cmp.Diff(want, shown(t, m)); diff != "" {
		t.Error(diff)
	}
	if n, over := m.all()[0].size(); n != 3 || over != 3 {
		t.Errorf("%d series, %d times too many", n, over)
	}
}

// A list of Kubernetes has 5,000 pods that come and go, a few at a time.
func TestTheSeriesOfDeadPodsGoAfterAMinute(t *testing.T) {
	const pods, together, limit = 5000, 50, 500
	m := made(t, "tcp:sourceContext=pod drop:labelsContext=source_pod,source_namespace port-distribution", limit)
	now := time.Unix(1e9, 0)
	live := map[Pod]bool{}
	for i := range pods {
		name := fmt.Sprintf("job-%d", i)
		live[Pod{"batch", name}] = true
		delete(live, Pod{"batch", fmt.Sprintf("job-%d", i-together)})
		end := `source: {namespace: "batch" pod_name: "` + name + `"} `
		m.Take(flowOf(t, ips+end+syn+`verdict: FORWARDED event_type: {type: 4} is_reply: {}`))
		m.Take(flowOf(t, ips+end+syn+`verdict: DROPPED event_type: {type: 1 sub_type: 133} drop_reason_desc: POLICY_DENIED`))
		if now = now.Add(time.Second); i%10 == 0 {
			m.Forget(now, func(p Pod) bool { return live[p] })
		}
		for _, s := range m.all() {
			// Those that live, those that are gone for less than a minute, and those since the last look.
			if n, over := s.size(); n > together+60+20 || over > 0 {
				t.Fatalf("after %d pods %s has %d series, and had no room %d times", i, s.title(), n, over)
			}
		}
	}
	for range 2 {
		m.Forget(now, func(Pod) bool { return false })
		now = now.Add(grace)
	}
	if have := shown(t, m); have != fmt.Sprintf("hubble_port_distribution_total{port=\"5432\",protocol=\"TCP\"} %d\n", pods) {
		t.Errorf("left over:\n%s", have)
	}
	if s := m.list[0].handler.(*tcpFlags).total; len(s.pods)+len(s.gone)+len(s.known) != 0 {
		t.Error("something of pods is still known")
	}
}

func TestAPodThatComesBackKeepsItsSeries(t *testing.T) {
	m := made(t, "tcp:sourceContext=pod", 10)
	m.Take(flowOf(t, passes))
	now := time.Unix(1e9, 0)
	for _, lives := range []bool{false, true, false} {
		m.Forget(now, func(Pod) bool { return lives })
		now = now.Add(grace - time.Second)
	}
	if have := shown(t, m); have == "" {
		t.Error("a pod that was away for less than a minute has no series")
	}
}

func TestWhatANewListHasAsTheOldOneGoesOn(t *testing.T) {
	old := made(t, "tcp drop", 100)
	old.Take(flowOf(t, passes))
	list, _ := metric.Parse("flow tcp drop:sourceContext=pod")
	m := New(list, 100, old)
	m.Take(flowOf(t, passes))
	want := `hubble_flows_processed_total{protocol="TCP",subtype="to-endpoint",type="Trace",verdict="FORWARDED"} 1
hubble_tcp_flags_total{family="IPv4",flag="SYN"} 2
`
	if diff := cmp.Diff(want, shown(t, m)); diff != "" {
		t.Error(diff)
	}
}
