package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/goldentest"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// run runs a command line in an environment without anything.
func run(t *testing.T, change func(*Environment), args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	env := Environment{
		Out: &o, Err: &e, Now: func() time.Time { return now }, Getenv: func(string) string { return "" }, Self: "/bin/weft",
		LookPath: func(string) (string, error) { return "", os.ErrNotExist },
		Exec:     func(string, []string) error { return errors.New("nothing runs in a test") },
	}
	if change != nil {
		change(&env)
	}
	code = Run(t.Context(), env, args)
	return o.String(), e.String(), code
}

// agent serves documents as an agent does, and gives its socket.
func agent(t *testing.T, documents map[string]any) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, ok := documents[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code": 7, "msg": "there is no table ` + strings.TrimPrefix(r.URL.Path, agentv1.PathTables+"/") + `", "details": "weft table lists them"}`))
			return
		}
		_ = json.NewEncoder(w).Encode(d)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return socket
}

func well() agentv1.NodeStatus {
	return agentv1.NodeStatus{
		Version: "v1", Node: "n1", Cluster: "default", Started: now.Add(-90 * time.Minute), Ready: true,
		Components:  []agentv1.Component{{Name: "kubernetes", Health: agentv1.HealthOK}, {Name: "datapath", Health: agentv1.HealthDegraded, Message: "attach to_net to eth1: no such device; trying again"}},
		Protections: []agentv1.Protection{{Name: "policy", Requested: true, Active: true, By: "policy-enforcement-mode=default"}, {Name: "encryption"}},
		Counts:      []agentv1.Count{{Name: "pods", Value: 3}},
		Settings: []agentv1.Setting{
			{Name: "enable-ipv4", Value: "true", State: agentv1.SettingEffective},
			{Name: "hubble-metrics", Value: "dns:query\ndrop", State: agentv1.SettingNotImplemented, Note: "does nothing yet"},
			{Name: "enable-wiregaurd", Value: "true", State: agentv1.SettingUnknown, Note: "no such key; is it spelled right?"},
		},
	}
}

func TestStatusIsPrintedAndFailsWhenSomethingIsNotWell(t *testing.T) {
	out, errs, code := run(t, nil, "status", "--socket", agent(t, map[string]any{agentv1.PathNodeStatus: well()}))
	if code != 0 || errs != "" {
		t.Errorf("%d: %s", code, errs)
	}
	goldentest.Equal(t, "testdata/status.txt", out)

	bad := well()
	bad.Ready = false
	bad.Components[0] = agentv1.Component{Name: "kubernetes", Health: agentv1.HealthFailed, Message: "watch pods: forbidden; apply the RBAC of the chart"}
	bad.Protections[1] = agentv1.Protection{Name: "encryption", Requested: true, By: "enable-wireguard=true", Note: "traffic between nodes is plaintext"}
	socket := agent(t, map[string]any{agentv1.PathNodeStatus: bad})
	out, errs, code = run(t, nil, "status", "--brief", "--socket", socket)
	if code != 1 {
		t.Errorf("exit status %d", code)
	}
	goldentest.Equal(t, "testdata/status-bad.txt", out+errs)
	out, errs, code = run(t, nil, "status", "-o", "json", "--socket", socket)
	var back agentv1.NodeStatus
	if err := json.Unmarshal([]byte(out), &back); err != nil || back.Node != "n1" || code != 1 || !strings.Contains(errs, "encryption is requested (enable-wireguard=true) and NOT ACTIVE") {
		t.Errorf("%v %d: %s", err, code, errs)
	}
}

func TestTablesAreListedAndPrinted(t *testing.T) {
	info := agentv1.TableInfo{Name: "pods", Rows: 2}
	socket := agent(t, map[string]any{
		agentv1.PathTables:           []agentv1.TableInfo{info, {Name: "nodes", Rows: 1, Synced: true}},
		agentv1.PathTables + "/pods": agentv1.Table{TableInfo: info, Header: []string{"Name", "Labels"}, Cells: [][]string{{"web-1", "app=web"}, {"db", ""}}},
	})
	for _, c := range []struct{ args, out, errs string }{
		{"table", "Table  Rows  Synced\npods   2     false\nnodes  1     true\n", ""},
		{"table pods", "Name   Labels\nweb-1  app=web\ndb     -\n", "table pods is not synced: rows may be missing\n"},
		{"table nets", "", "weft table: there is no table nets; weft table lists them\n"},
		{"__complete table --socket " + socket, "pods\nnodes\n:4\n", "Completion ended with directive: ShellCompDirectiveNoFileComp\n"},
	} {
		args := append(strings.Fields(c.args), "--socket", socket)
		if strings.HasPrefix(c.args, "__") {
			args = append(strings.Fields(c.args), "")
		}
		out, errs, _ := run(t, nil, args...)
		if out != c.out || errs != c.errs {
			t.Errorf("%s: have\n%s%s", c.args, out, errs)
		}
	}
}

func TestAnAgentThatIsNotThereIsSaidInASentence(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none")
	_, errs, code := run(t, nil, "status", "--socket", socket)
	if want := "weft status: weft-agent does not answer on " + socket + ": connect: no such file or directory; does it run on this node? kubectl -n kube-system get pods -l k8s-app=cilium -o wide\n"; errs != want || code != 1 {
		t.Errorf("%d: %s", code, errs)
	}
	_, errs, code = run(t, nil, "observe", "--server", "unix://"+socket)
	if want := "weft observe: no flows from " + socket + ": connect: no such file or directory; does it run on this node? kubectl -n kube-system get pods -l k8s-app=cilium -o wide, and is enable-hubble true? (weft status)\n"; errs != want || code != 1 {
		t.Errorf("%d: %s", code, errs)
	}
}

// hubble is a server that answers with two flows and remembers what it was asked.
type hubble struct {
	observerpb.UnimplementedObserverServer
	asked *observerpb.GetFlowsRequest
}

func (h *hubble) GetFlows(r *observerpb.GetFlowsRequest, s grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	h.asked = r
	if len(r.GetWhitelist()) > 0 && len(r.GetWhitelist()[0].GetSourceLabel()) > 0 {
		return status.Error(codes.InvalidArgument, "whitelist[0].source_label: selector is wrong")
	}
	for _, verdict := range []flowpb.Verdict{flowpb.Verdict_FORWARDED, flowpb.Verdict_DROPPED} {
		if err := s.Send(&observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: &flowpb.Flow{
			Time: timestamppb.New(now), NodeName: "default/n1", Verdict: verdict, IsReply: wrapperspb.Bool(false), PolicyMatchType: 1,
			IP: &flowpb.IP{Source: "10.0.0.5", Destination: "10.0.0.9"}, L4: flow.L4(6, 4000, 80, 2),
			Source: &flowpb.Endpoint{Identity: 300, Namespace: "shop", PodName: "web"}, Destination: &flowpb.Endpoint{Identity: 2},
			EventType: &flowpb.CiliumEventType{Type: flow.EventPolicyVerdict}, TrafficDirection: flowpb.TrafficDirection_EGRESS,
			EgressDeniedBy: []*flowpb.Policy{{Name: "lock", Kind: "NetworkPolicy"}},
		}}}); err != nil {
			return err
		}
	}
	return nil
}

// serve gives the --server of a hubble.
func serve(t *testing.T, h *hubble) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "h")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	observerpb.RegisterObserverServer(s, h)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return "unix://" + socket
}

func TestObservePrintsFlows(t *testing.T) {
	h := &hubble{}
	server := serve(t, h)
	out, errs, code := run(t, nil, "observe", "--server", server, "--print-policy-names", "--time-format", "rfc3339")
	if want := "2026-03-01T12:00:00Z: shop/web:4000 (ID:300) -> 10.0.0.9:80 (world) policy-verdict:L3-Only EGRESS ALLOWED (TCP Flags: SYN)\n" +
		"2026-03-01T12:00:00Z: shop/web:4000 (ID:300) -> 10.0.0.9:80 (world) policy-verdict:L3-Only EGRESS DENIED BY lock (NetworkPolicy) (TCP Flags: SYN)\n"; out != want || code != 0 {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if out, _, _ := run(t, nil, "observe", "--server", server, "-o", "json"); strings.Count(out, `{"flow":{`) != 2 {
		t.Errorf("have %s", out)
	}
	if out, _, _ := run(t, func(e *Environment) { e.Terminal = true }, "observe", "--server", server); !strings.Contains(out, "\x1b[31mDENIED") {
		t.Errorf("have %q", out)
	}
	if _, errs, code := run(t, nil, "observe", "--server", server, "-l", "x"); code != 1 || !strings.Contains(errs, "weft observe: whitelist[0].source_label: selector is wrong") {
		t.Errorf("%d: %s", code, errs)
	}
}

func TestFlagsBecomeTheRequestThatHubbleWouldSend(t *testing.T) {
	h := &hubble{}
	server := serve(t, h)
	for args, want := range map[string]string{
		"":                                 `{"number": "20"}`,
		"-f":                               `{"follow": true}`,
		"-f --last 3":                      `{"follow": true, "number": "3"}`,
		"--first 4":                        `{"first": true, "number": "4"}`,
		"--all":                            `{"number": "18446744073709551615"}`,
		"--since 5m":                       `{"since": "2026-03-01T11:55:00Z"}`,
		"--until 2026-02-01 --last 2":      `{"until": "2026-02-01T00:00:00Z", "number": "2"}`,
		"--verdict denied":                 `{"number": "20", "whitelist": [{"verdict": ["DROPPED"], "drop_reason_desc": ["POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED"]}]}`,
		"--verdict AUDIT --verdict DENIED": `{"number": "20", "whitelist": [{"verdict": ["AUDIT"]}, {"verdict": ["DROPPED"], "drop_reason_desc": ["POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED"]}]}`,
		"--verdict DENIED --drop-reason-desc POLICY_DENY":                       `{"number": "20", "whitelist": [{"verdict": ["DROPPED"], "drop_reason_desc": ["POLICY_DENY"]}]}`,
		"--pod web --port 80":                                                   `{"number": "20", "whitelist": [{"source_pod": ["web", "virt-launcher-web"], "source_port": ["80"]}, {"destination_pod": ["web", "virt-launcher-web"], "destination_port": ["80"]}]}`,
		"--not --pod x/db":                                                      `{"number": "20", "blacklist": [{"source_pod": ["x/db", "x/virt-launcher-db"]}, {"destination_pod": ["x/db", "x/virt-launcher-db"]}]}`,
		"--pod virt-launcher-db":                                                `{"number": "20", "whitelist": [{"source_pod": ["virt-launcher-db"]}, {"destination_pod": ["virt-launcher-db"]}]}`,
		"--from-pod web --to-port 80 --protocol tcp":                            `{"number": "20", "whitelist": [{"source_pod": ["web", "virt-launcher-web"], "destination_port": ["80"], "protocol": ["tcp"]}]}`,
		"--fqdn *.x --cluster c --not-reply":                                    `{"number": "20", "whitelist": [{"source_fqdn": ["*.x"], "source_cluster_name": ["c"], "reply": [false]}, {"destination_fqdn": ["*.x"], "destination_cluster_name": ["c"], "reply": [false]}]}`,
		"--workload Deployment/web --to-fqdn x":                                 `{"number": "20", "whitelist": [{"source_workload": [{"kind": "Deployment", "name": "web"}], "destination_fqdn": ["x"]}, {"destination_workload": [{"kind": "Deployment", "name": "web"}], "destination_fqdn": ["x"]}]}`,
		"--from-workload web --to-workload DaemonSet/":                          `{"number": "20", "whitelist": [{"source_workload": [{"name": "web"}], "destination_workload": [{"kind": "DaemonSet"}]}]}`,
		"--snat-ip 192.0.2.1 --node-label zone=a --ip-version none --encrypted": `{"number": "20", "whitelist": [{"source_ip_xlated": ["192.0.2.1"], "node_labels": ["zone=a"], "ip_version": ["IP_NOT_USED"], "encrypted": [true]}]}`,
		"--http-status 4+ --http-method get --http-path /x --http-url y --http-header a:b --dns-query z": `{"number": "20", "whitelist": [{"http_status_code": ["4+"], "http_method": ["get"], "http_path": ["/x"], "http_url": ["y"], "http_header": [{"key": "a", "value": "b"}], "dns_query": ["z"]}]}`,
		"--trace-id t --ip-trace-id 7 --cel-expression true --cel-expression false":                      `{"number": "20", "whitelist": [{"trace_id": ["t"], "ip_trace_id": ["7"], "experimental": {"cel_expression": ["true", "false"]}}]}`,
		"--vm shop/db --not --to-vm a --verdict AUDIT":                                                   `{"number": "20", "whitelist": [{"experimental": {"cel_expression": ["(_flow.extensions.source.vm == 'shop/db')"]}, "verdict": ["AUDIT"]}, {"experimental": {"cel_expression": ["(_flow.extensions.destination.vm == 'shop/db')"]}, "verdict": ["AUDIT"]}], "blacklist": [{"experimental": {"cel_expression": ["(_flow.extensions.destination.vm.endsWith('/a'))"]}}]}`,
		"--from-vm a/b --from-vm a/c --to-vm d/e --cel-expression true":                                  `{"number": "20", "whitelist": [{"experimental": {"cel_expression": ["((true) && (_flow.extensions.source.vm == 'a/b' || _flow.extensions.source.vm == 'a/c')) && (_flow.extensions.destination.vm == 'd/e')"]}}]}`,
		"--from-all-namespaces --to-pod x/":                                                              `{"number": "20", "whitelist": [{"source_pod": ["/"], "destination_pod": ["x/"]}]}`,
		"--service x/a --from-pod x/b":                                                                   `{"number": "20", "whitelist": [{"source_pod": ["x/b", "x/virt-launcher-b"], "source_service": ["x/a"]}, {"source_pod": ["x/b", "x/virt-launcher-b"], "destination_service": ["x/a"]}]}`,
		`--allowlist {"reply":[true]}{"uuid":["u"]} --denylist {"uuid":["v"]} --verdict AUDIT`:           `{"number": "20", "whitelist": [{"verdict": ["AUDIT"]}, {"reply": [true]}, {"uuid": ["u"]}], "blacklist": [{"uuid": ["v"]}]}`,
		"-o json --field-mask time,source.pod_name":                                                      `{"number": "20", "field_mask": "time,source.podName"}`,
		"-n shop":                                 `{"number": "20", "whitelist": [{"source_pod": ["shop/"]}, {"destination_pod": ["shop/"]}]}`,
		"-n shop --namespace store --pod web":     `{"number": "20", "whitelist": [{"source_pod": ["shop/web", "store/web", "shop/virt-launcher-web", "store/virt-launcher-web"]}, {"destination_pod": ["shop/web", "store/web", "shop/virt-launcher-web", "store/virt-launcher-web"]}]}`,
		"--from-namespace shop --to-service x/db": `{"number": "20", "whitelist": [{"source_pod": ["shop/"], "destination_service": ["x/db"]}]}`,
		"-A --pod web":                            `{"number": "20", "whitelist": [{"source_pod": ["/web", "/virt-launcher-web"]}, {"destination_pod": ["/web", "/virt-launcher-web"]}]}`,
		"--ip 10.0.0.0/8 -6":                      `{"number": "20", "whitelist": [{"source_ip": ["10.0.0.0/8"], "ip_version": ["IPv6"]}, {"destination_ip": ["10.0.0.0/8"], "ip_version": ["IPv6"]}]}`,
		"--not --from-identity host --type drop":  `{"number": "20", "whitelist": [{"event_type": [{"type": 1}]}], "blacklist": [{"source_identity": [1]}]}`,
		"--identity 300":                          `{"number": "20", "whitelist": [{"source_identity": [300]}, {"destination_identity": [300]}]}`,
		"--to-identity world":                     `{"number": "20", "whitelist": [{"destination_identity": [2]}]}`,
		"-t trace:to-endpoint -t drop:133":        `{"number": "20", "whitelist": [{"event_type": [{"type": 4, "match_sub_type": true}, {"type": 1, "match_sub_type": true, "sub_type": 133}]}]}`,
		"--tcp-flags syn,ACK":                     `{"number": "20", "whitelist": [{"tcp_flags": [{"SYN": true, "ACK": true}]}]}`,
		"--drop-reason-desc policy_deny --traffic-direction Egress": `{"number": "20", "whitelist": [{"drop_reason_desc": ["POLICY_DENY"], "traffic_direction": ["EGRESS"]}]}`,
		"--node-name n* --interface eth0 --uuid u":                  `{"number": "20", "whitelist": [{"node_name": ["n*"], "interface": [{"name": "eth0"}], "uuid": ["u"]}]}`,
	} {
		_, errs, code := run(t, nil, append([]string{"observe", "--server", server, "--use-default-field-masks=false"}, strings.Fields(args)...)...)
		if code != 0 {
			t.Errorf("%s: %s", args, errs)
			continue
		}
		wanted := &observerpb.GetFlowsRequest{}
		if err := protojson.Unmarshal([]byte(want), wanted); err != nil {
			t.Fatal(err)
		}
		if have, want := protojson.Format(h.asked), protojson.Format(wanted); have != want {
			t.Errorf("%s: have %s", args, have)
		}
	}
}

func TestACommandLineThatMakesNoSenseIsRefused(t *testing.T) {
	for args, want := range map[string]string{
		"observer":                             `weft: there is no command "observer"; did you mean observe?`,
		"status now":                           `unknown command "now"`,
		"status -o yaml":                       `--output "yaml": must be text or json`,
		"observe --last 1 --first 2":           `--last and --first exclude each other`,
		"observe --all --last 1":               `--last and --all exclude each other`,
		"observe -f --first 2":                 `--first and --follow exclude each other`,
		"observe -f -o tab":                    `not with --follow`,
		"observe -o xml":                       `--output "xml"`,
		"observe --color red":                  `--color "red"`,
		"observe --time-format x":              `--time-format "x": must be one of StampMilli`,
		"observe --since noon":                 `--since: "noon" is neither how long ago`,
		"observe --not":                        `--not has no filter after it`,
		"observe --not --not":                  `--not negates the filter after it`,
		"observe --verdict NO":                 `"NO" is no verdict`,
		"observe --type nothing":               `"nothing" is no type of event (capture, close, drop,`,
		"observe --type drop:x":                `"x" is no subtype of drop`,
		"observe --tcp-flags SYM":              `"SYM" is no TCP flag`,
		"observe --identity who":               `"who" is neither a number nor one of host, world`,
		"observe --drop-reason-desc no":        `"no" is no drop reason`,
		"observe --traffic-direction up":       `"up" is neither ingress nor egress`,
		"observe --pod= ":                      `must not be empty`,
		"observe --pod a --from-pod b":         `--pod (either side) and --from-pod (one side) cannot be combined`,
		"observe --vm a --to-vm b":             `--vm (either side) and --to-vm (one side) cannot be combined`,
		"observe --vm a'||true":                `"a'||true" is no name of a virtual machine: [NAMESPACE/]NAME`,
		"observe --vm a/b/c":                   `"a/b/c" is no name of a virtual machine`,
		"observe -n a --pod b/c":               `b/c is not in namespace a`,
		"observe --sauce":                      `unknown flag: --sauce`,
		"observe agent-event":                  `unknown command "agent-event"`,
		"observe --encrypted --unencrypted":    `--encrypted and --unencrypted cannot be combined`,
		"observe --namespace a --to-service b": `--namespace (either side) and --to-service (one side) cannot be combined`,
		"observe --verdict DENIED --drop-reason-desc INVALID_SOURCE_IP": `--verdict DENIED is what policies dropped, for reason POLICY_DENIED, POLICY_DENY, AUTH_REQUIRED`,
		"observe --ip-version 5":                            `"5" is none of v4, v6, none`,
		"observe --http-header x":                           `"x" should be NAME:VALUE`,
		"observe --ip-trace-id 0":                           `"0" is no number above 0`,
		"observe --allowlist {":                             `--allowlist: filter 1 of "{": unexpected EOF`,
		"observe --field-mask time":                         `--field-mask is for -o json`,
		"observe -o json --field-mask sauce":                `--field-mask: `,
		"observe --input-file /dev/null --cel-expression 1": `whitelist[0].experimental: cel_expression[0]: "1" gives int, and must give bool`,
	} {
		_, errs, code := run(t, nil, strings.Fields(args)...)
		if code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: %d: %s", args, code, errs)
		}
	}
}

func TestTheLabIsFoundWhereItCanBe(t *testing.T) {
	all := []string{"/my/lab", "/bin/weft-lab", "/d/bin/weft-lab", "/var/tmp/weft-lab/bin/weft-lab", "weft-lab"}
	for i, want := range all {
		var ran string
		out, errs, code := run(t, func(e *Environment) {
			e.LookPath = func(file string) (string, error) {
				for _, there := range all[i:] {
					if file == there {
						return "found " + file, nil
					}
				}
				return "", os.ErrNotExist
			}
			e.Getenv = func(name string) string {
				return map[string]string{"WEFT_LAB": map[bool]string{true: "/my/lab"}[i == 0], "WEFT_LAB_DIR": map[bool]string{true: "/d"}[i < 3]}[name]
			}
			e.Exec = func(path string, args []string) error { ran = path + " " + strings.Join(args, " "); return nil }
		}, "lab", "kubectl", "get", "-A", "--help")
		if ran != "found "+want+" kubectl get -A --help" || code != 0 {
			t.Errorf("%s: ran %q, %s%s", want, ran, out, errs)
		}
	}
	if _, errs, code := run(t, nil, "lab", "up"); code != 1 || !strings.Contains(errs, "weft lab: weft-lab is not on this machine: run 'make lab' in a checkout of Weftnet") {
		t.Errorf("%d: %s", code, errs)
	}
	if _, errs, _ := run(t, func(e *Environment) { e.Getenv = func(string) string { return "/no/lab" } }, "lab", "up"); !strings.Contains(errs, "$WEFT_LAB is /no/lab") {
		t.Errorf("have %s", errs)
	}
	if out, _, code := run(t, nil, "lab"); code != 0 || !strings.Contains(out, "without Docker") {
		t.Errorf("%d: %s", code, out)
	}
}

func TestHelpIsAManual(t *testing.T) {
	for _, c := range []string{"", "observe", "status", "table", "lab", "version", "completion"} {
		out, errs, code := run(t, nil, append(strings.Fields(c), "--help")...)
		if code != 0 || errs != "" || len(out) < 200 {
			t.Errorf("%s: %d %s%s", c, code, out, errs)
		}
		for line := range strings.SplitSeq(out, "\n") {
			if len(line) > 160 {
				t.Errorf("%s: a line of %d characters: %s", c, len(line), line)
			}
		}
	}
	if out, _, _ := run(t, nil, "version"); !strings.HasPrefix(out, "weft ") {
		t.Errorf("have %s", out)
	}
	if out, _, _ := run(t, nil, "completion", "bash"); !strings.Contains(out, "__start_weft") {
		t.Error("no completion for bash")
	}
}

func TestAnInterruptEndsFollowingQuietly(t *testing.T) {
	h := &follower{began: make(chan struct{})}
	socket := filepath.Join(t.TempDir(), "h")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	observerpb.RegisterObserverServer(s, h)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	ctx, cancel := context.WithCancel(t.Context())
	var errs bytes.Buffer
	done := make(chan int)
	go func() {
		done <- Run(ctx, Environment{Out: &bytes.Buffer{}, Err: &errs, Now: time.Now}, []string{"observe", "-f", "--server", "unix://" + socket})
	}()
	<-h.began
	cancel()
	if code := <-done; code != 0 || errs.Len() > 0 {
		t.Errorf("%d: %s", code, errs.String())
	}
}

// follower is a server that never has a flow.
type follower struct {
	observerpb.UnimplementedObserverServer
	began chan struct{}
}

func (f *follower) GetFlows(_ *observerpb.GetFlowsRequest, s grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	close(f.began)
	<-s.Context().Done()
	return nil
}

func TestTheProgramIsHubbleByAnotherName(t *testing.T) {
	server := serve(t, &hubble{})
	named := func(e *Environment) {
		e.Program, e.Getenv = "hubble", func(name string) string { return map[string]string{"HUBBLE_SERVER": server}[name] }
	}
	if out, errs, code := run(t, named, "observe", "--numeric"); code != 0 || strings.Count(out, "10.0.0.5:4000") != 2 {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if _, errs, code := run(t, named, "table"); code != 2 || !strings.Contains(errs, `hubble: there is no command "table"`) {
		t.Errorf("%d: %s", code, errs)
	}
	for _, c := range []string{"", "observe", "observe flows", "observe agent-events", "observe debug-events", "status", "list nodes", "list namespaces", "watch peers", "version"} {
		if out, errs, code := run(t, named, append(strings.Fields(c), "--help")...); code != 0 || errs != "" || len(out) < 100 {
			t.Errorf("%s: %d %s%s", c, code, out, errs)
		}
	}
}
