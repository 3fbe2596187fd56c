package observe

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	peerpb "github.com/cilium/cilium/api/v1/peer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/flow"
)

func TestAFileIsReadAsAServer(t *testing.T) {
	lines := strings.SplitAfter(recording(t), "\n")
	packed := &bytes.Buffer{}
	z := gzip.NewWriter(packed)
	_, _ = z.Write([]byte(strings.Join(lines[:3], "")))
	_ = z.Close()
	file := filepath.Join(t.TempDir(), "flows.json.gz")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in, args  string
		out, errs string
	}{
		{strings.Join(lines[:2], ""), "", "to-endpoint to-proxy", ""},
		{"", "--input-file " + file, "to-endpoint to-proxy to-host", ""},
		{strings.Join(lines[:5], ""), "--last 2", "to-stack to-overlay", ""},
		{strings.Join(lines[:5], ""), "--first 2", "to-endpoint to-proxy", ""},
		{strings.Join(lines[:5], ""), "--type trace:to-stack --follow", "to-stack", ""},
		{strings.Join(lines[:5], ""), "--not --type trace:to-stack --until 2026-03-01T12:00:00.003Z", "to-endpoint to-proxy to-host", ""},
		{lines[0] + "{\n" + lines[1] + `{"agent_event":{}}` + "\n\n" + strings.TrimSpace(lines[2]), "", "to-endpoint to-proxy to-host", "- line 2 is passed over: proto"},
		{strings.Join(lines, ""), "--verdict DENIED --type policy-verdict", "", ""}, // they have no reason
		{strings.Join(lines, ""), "--verdict DENIED --last 2", "Policy denied by denylist|Authentication required", ""},
	} {
		args := strings.Fields(c.args)
		if !strings.Contains(c.args, "--input-file") {
			args = append(args, "--input-file", "-")
		}
		out, errs, err := run(t, c.in, args...)
		var have []string
		for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
			if _, rest, ok := strings.Cut(line, "(ID:815) "); ok {
				have = append(have, rest)
			}
		}
		want := strings.Fields(c.out)
		if strings.Contains(c.out, "|") {
			want = strings.Split(c.out, "|")
		}
		same := len(have) == len(want) && strings.Contains(errs, c.errs)
		for i := range want {
			same = same && strings.HasPrefix(have[i], want[i])
		}
		if !same || err != nil {
			t.Errorf("%s: %v: %q%s", c.args, err, have, errs)
		}
	}
	if _, _, err := run(t, "", "--input-file", "/nowhere"); err == nil || !strings.Contains(err.Error(), "read --input-file: open /nowhere") {
		t.Errorf("have %v", err)
	}
}

func TestAPodThatIsNotThereMayBeAMachine(t *testing.T) {
	s := &scene{}
	for _, pod := range []string{"virt-launcher-vm-database-x7k2p", "virt-launcher-vm-data-q", "vm-database-tool"} {
		s.add(func(f *flowpb.Flow) { f.Destination.PodName = pod })
	}
	var in strings.Builder
	for _, r := range append(s.list, s.list...) {
		text, err := r.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(bytes.ReplaceAll(text, []byte("\n"), nil), '\n'))
	}
	out, errs, err := run(t, in.String(), "--input-file", "-", "-n", "shop", "--pod", "vm-database")
	if strings.Count(out, "shop/virt-launcher-vm-database-x7k2p:5432") != 2 || strings.Count(out, "\n") != 4 || err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if want := "vm-database is virtual machine shop/vm-database, in pod virt-launcher-vm-database-x7k2p\n"; errs != want {
		t.Errorf("have %s", errs)
	}
	if _, errs, _ := run(t, in.String(), "--input-file", "-", "--pod", "shop/virt-launcher-vm-database"); errs != "" {
		t.Errorf("have %s", errs)
	}
}

func TestAMachineIsNamedAndFoundByItsName(t *testing.T) {
	s := &scene{}
	for _, vm := range []string{"shop/db", "shop/db-2", "other/db", ""} {
		s.add(func(f *flowpb.Flow) {
			f.Destination.PodName = "virt-launcher-x-12345"
			if in, _, named := strings.Cut(vm, "/"); named {
				f.Destination.Namespace = in
			}
			f.Extensions = flow.Extra{Destination: flow.Place{VM: vm}}.Extension()
		})
	}
	var in strings.Builder
	for _, r := range s.list {
		text, err := r.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(bytes.ReplaceAll(text, []byte("\n"), nil), '\n'))
	}
	for args, want := range map[string]string{
		"":                         "shop/db:5432 shop/db-2:5432 other/db:5432 shop/virt-launcher-x-12345:5432",
		"--vm shop/db":             "shop/db:5432",
		"--to-vm db":               "shop/db:5432 other/db:5432",
		"--from-vm db":             "",
		"-n shop --vm db":          "shop/db:5432",
		"--not --vm shop/db":       "shop/db-2:5432 other/db:5432 shop/virt-launcher-x-12345:5432",
		"--ip-translation=false":   "10.0.0.9:5432 10.0.0.9:5432 10.0.0.9:5432 10.0.0.9:5432",
		"--vm shop/db --vm db-2":   "shop/db:5432 shop/db-2:5432",
		"--vm shop/db --to-port 1": "",
	} {
		out, errs, err := run(t, in.String(), append([]string{"--input-file", "-"}, strings.Fields(args)...)...)
		var have []string
		for line := range strings.SplitSeq(out, "\n") {
			if _, rest, ok := strings.Cut(line, "-> "); ok {
				have = append(have, strings.Fields(rest)[0])
			}
		}
		if strings.Join(have, " ") != want || err != nil {
			t.Errorf("%s: have %q, %v %s", args, have, err, errs)
		}
	}
}

func TestFiltersArePrintedAndTakenAsJSON(t *testing.T) {
	out, _, err := run(t, "", "--print-raw-filters", "--from-ip", "10.0.0.5", "--not", "--verdict", "AUDIT")
	if want := "allowlist:\n- '{\"source_ip\":[\"10.0.0.5\"]}'\ndenylist:\n- '{\"verdict\":[\"AUDIT\"]}'\n"; strings.ReplaceAll(out, `": `, `":`) != want || err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// relay is a server of all calls.
type relay struct {
	observerpb.UnimplementedObserverServer
	peerpb.UnimplementedPeerServer
}

func (relay) ServerStatus(context.Context, *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	return &observerpb.ServerStatusResponse{
		NumFlows: 4095, MaxFlows: 4095, SeenFlows: 1234567, UptimeNs: 3600e9, Version: "v1", FlowsRate: 12.345,
		NumConnectedNodes: wrapperspb.UInt32(2), NumUnavailableNodes: wrapperspb.UInt32(3), UnavailableNodes: []string{"n4", "n3"},
	}, nil
}

func (relay) GetNodes(context.Context, *observerpb.GetNodesRequest) (*observerpb.GetNodesResponse, error) {
	return &observerpb.GetNodesResponse{Nodes: []*observerpb.Node{
		{Name: "default/n2", State: relaypb.NodeState_NODE_UNAVAILABLE},
		{Name: "default/n1", State: relaypb.NodeState_NODE_CONNECTED, Version: "v1", Address: "192.0.2.1:4244", UptimeNs: 90e9, NumFlows: 7, MaxFlows: 10, SeenFlows: 900, Tls: &observerpb.TLS{Enabled: true}},
	}}, nil
}

func (relay) GetNamespaces(context.Context, *observerpb.GetNamespacesRequest) (*observerpb.GetNamespacesResponse, error) {
	return &observerpb.GetNamespacesResponse{Namespaces: []*observerpb.Namespace{{Namespace: "shop", Cluster: "default"}}}, nil
}

func (relay) GetAgentEvents(_ *observerpb.GetAgentEventsRequest, s grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]) error {
	for _, e := range []*flowpb.AgentEvent{
		{Type: flowpb.AgentEventType_AGENT_STARTED, Notification: &flowpb.AgentEvent_AgentStart{AgentStart: &flowpb.TimeNotification{Time: timestamppb.New(now)}}},
		{Type: flowpb.AgentEventType_ENDPOINT_CREATED, Notification: &flowpb.AgentEvent_EndpointUpdate{EndpointUpdate: &flowpb.EndpointUpdateNotification{Id: 7, Namespace: "shop", PodName: "web"}}},
	} {
		if err := s.Send(&observerpb.GetAgentEventsResponse{AgentEvent: e, NodeName: "default/n1", Time: timestamppb.New(now)}); err != nil {
			return err
		}
	}
	return nil
}

func (relay) GetDebugEvents(_ *observerpb.GetDebugEventsRequest, s grpc.ServerStreamingServer[observerpb.GetDebugEventsResponse]) error {
	return s.Send(&observerpb.GetDebugEventsResponse{
		DebugEvent: &flowpb.DebugEvent{
			Type: flowpb.DebugEventType_DBG_GENERIC, Source: &flowpb.Endpoint{ID: 7, Namespace: "shop", PodName: "web"}, Hash: wrapperspb.UInt32(255), Cpu: wrapperspb.Int32(1), Message: "hello",
		}, NodeName: "default/n1", Time: timestamppb.New(now),
	})
}

func (relay) Notify(_ *peerpb.NotifyRequest, s grpc.ServerStreamingServer[peerpb.ChangeNotification]) error {
	return s.Send(&peerpb.ChangeNotification{Name: "default/n1", Address: "192.0.2.1:4244", Type: peerpb.ChangeNotificationType_PEER_ADDED, Tls: &peerpb.TLS{ServerName: "n1.default.hubble-grpc.cilium.io"}})
}

func TestTheCommandsOfHubble(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s, state := grpc.NewServer(), health.NewServer()
	observerpb.RegisterObserverServer(s, relay{})
	peerpb.RegisterPeerServer(s, relay{})
	healthpb.RegisterHealthServer(s, state)
	state.SetServingStatus("hubble.server.Observer", healthpb.HealthCheckResponse_SERVING)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	for args, want := range map[string]string{
		"status": "Healthcheck (via unix://SOCKET): Ok\nCurrent/Max Flows: 4,095/4,095 (100.00%)\nFlows/s: 12.35\nConnected Nodes: 2/5\nUnavailable Nodes: 3\n  - n3\n  - n4\n  - and 1 more...\n",
		"status -o dict": "          NUM FLOWS: 4,095\n          MAX FLOWS: 4,095\n         SEEN FLOWS: 1,234,567\n   FLOWS PER SECOND: 12.35\n" +
			"             UPTIME: 1h0m0s\nNUM CONNECTED NODES: 2\n NUM UNAVAIL. NODES: 3\n            VERSION: v1\n",
		"list nodes": "NAME         STATUS        AGE     FLOWS/S   CURRENT/MAX-FLOWS\ndefault/n1   Connected     1m30s   10.00     7/10 ( 70.00%)\ndefault/n2   Unavailable   N/A     N/A       N/A\n",
		"list node -o wide": "NAME         STATUS        AGE     FLOWS/S   CURRENT/MAX-FLOWS   VERSION   ADDRESS          TLS\n" +
			"default/n1   Connected     1m30s   10.00     7/10 ( 70.00%)      v1        192.0.2.1:4244   Enabled\ndefault/n2   Unavailable   N/A     N/A       N/A                 N/A                        N/A\n",
		"list namespaces":         "NAMESPACE\nshop\n",
		"list namespaces -o wide": "NAMESPACE   CLUSTER\nshop        default\n",
		"watch peers":             "PEER_ADDED   192.0.2.1:4244 default/n1 (TLS.ServerName: n1.default.hubble-grpc.cilium.io)\n",
		"observe agent-events":    "Mar  1 12:00:00.000: AGENT_STARTED (start time: Mar  1 12:00:00.000)\nMar  1 12:00:00.000: ENDPOINT_CREATED (id: 7, namespace: shop, pod name: web)\n",
		"observe agent-events -o table --print-node-name": "TIMESTAMP             NODE         TYPE               DETAILS\n" +
			"Mar  1 12:00:00.000   default/n1   AGENT_STARTED      start time: Mar  1 12:00:00.000\nMar  1 12:00:00.000   default/n1   ENDPOINT_CREATED   id: 7, namespace: shop, pod name: web\n",
		"observe debug-events":         "Mar  1 12:00:00.000: shop/web (ID: 7) DBG_GENERIC MARK: 0xff CPU: 01 (hello)\n",
		"observe debug-events -o dict": "  TIMESTAMP: Mar  1 12:00:00.000\n       TYPE: DBG_GENERIC\n       FROM: shop/web (ID: 7)\n       MARK: 0xff\n        CPU: 01\n    MESSAGE: hello\n",
	} {
		out, _, err := run(t, "", append([]string{"hubble"}, append(strings.Fields(args), "--server", "unix://"+socket)...)...)
		if want := strings.ReplaceAll(want, "SOCKET", socket); out != want || err != nil {
			t.Errorf("%s: %v: have\n%swant\n%s", args, err, out, want)
		}
	}
	state.SetServingStatus("hubble.server.Observer", healthpb.HealthCheckResponse_NOT_SERVING)
	if out, _, err := run(t, "", "hubble", "status", "--server", "unix://"+socket); err == nil || !strings.Contains(out, "Unavailable: NOT_SERVING") {
		t.Errorf("%v: %s", err, out)
	}
	var usage mistake.Error
	if _, _, err := run(t, "", "hubble", "status", "-o", "xml"); !errors.As(err, &usage) {
		t.Errorf("have %v", err)
	}
	if out, _, _ := run(t, "", "hubble", "version"); !strings.HasPrefix(out, "hubble ") {
		t.Errorf("have %s", out)
	}
}
