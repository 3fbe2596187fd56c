package demo

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestOpenTextIsReadLineByLine(t *testing.T) {
	open, err := parseOpen("# comment\n\nweb -> database:5432 # why\n")
	if err != nil || !open[Connection{"web", "database", "5432"}] || len(open) != 1 {
		t.Errorf("got %v, %v", open, err)
	}
	if _, err := parseOpen("web to database"); err == nil {
		t.Error("nonsense was accepted")
	}
}

func sample(o Outcome) Matrix {
	return Matrix{
		{"api", "web", "80"}:      {{}: {Open, "open"}, {V6: true}: {o, "detail"}},
		{"web", "database", "80"}: {{}: {Open, "open"}, {V6: true}: {Open, "open"}},
	}
}

func TestADifferenceNamesTheDial(t *testing.T) {
	if diff := sample(Open).Differences(nil); len(diff) != 0 {
		t.Errorf("all open: %v", diff)
	}
	open := map[Connection]bool{{"web", "database", "80"}: true}
	diff := sample(Blocked).Differences(open)
	if len(diff) != 1 || diff[0] != "api -> web:80 by pod IPv4: should be blocked: open" {
		t.Errorf("got %v", diff)
	}
	if u := sample(Open).unknown(map[Connection]bool{{"x", "y", "1"}: true}); len(u) != 1 {
		t.Errorf("unknown: %v", u)
	}
}

func TestARefusedConnectionIsNotABlockedOne(t *testing.T) {
	open := map[Connection]bool{{"web", "database", "80"}: true}
	if diff := sample(Refused).Differences(open); len(diff) != 2 {
		t.Errorf("got %v", diff)
	}
}

func TestTheMatrixPrintsOneMarkPerWay(t *testing.T) {
	var b strings.Builder
	sample(Blocked).Print(&b, []Way{{}, {V6: true}})
	if !strings.Contains(b.String(), "api          -              ●·") {
		t.Errorf("got\n%s", b.String())
	}
}

func TestADialTellsWhoAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("web-1\n")) })}
	go func() { _ = srv.Serve(l) }()
	ctx := context.Background()
	if r := dial(ctx, l.Addr().String(), "web-1", time.Minute); r.Outcome != Open {
		t.Errorf("got %+v", r)
	}
	if r := dial(ctx, l.Addr().String(), "web-2", time.Minute); r.Outcome != Wrong {
		t.Errorf("got %+v", r)
	}
	srv.Close()
	if r := dial(ctx, l.Addr().String(), "web-1", time.Minute); r.Outcome != Refused {
		t.Errorf("got %+v", r)
	}
}

const dropped = `{"flow":{"verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","traffic_direction":"INGRESS","IP":{"source":"fd00::1","destination":"fd00::2"},
"l4":{"TCP":{"source_port":40000,"destination_port":80}},"source":{"pod_name":"api-1"},"destination":{"pod_name":"web-1"},
"ingress_denied_by":[{"name":"web-tier","namespace":"app","kind":"CiliumNetworkPolicy"}]},"node_name":"node1"}`

func TestADroppedFlowIsFoundByPodsAndPort(t *testing.T) {
	flows, err := parseFlows([]byte(strings.ReplaceAll(dropped, "\n", "") + "\n"))
	if err != nil || len(flows) != 1 {
		t.Fatalf("got %v, %v", flows, err)
	}
	from, to := Peer{Pod: "api-1"}, Peer{Pod: "web-1"}
	if !flows[0].denies(from, to, "80") || flows[0].denies(from, to, "443") || flows[0].denies(to, from, "80") {
		t.Error("the flow was taken for another")
	}
	want := "by CiliumNetworkPolicy app/web-tier"
	if got := flows[0].describe(Connection{"api", "web", "80"}); !strings.Contains(got, want) || !strings.Contains(got, "[fd00::2]:80") {
		t.Errorf("got %s", got)
	}
}
