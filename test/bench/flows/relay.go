package flows

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
)

// What is simulated.
const (
	agents    = 50
	rate      = 1000 // flows/s of an agent
	workloads = 1000 // each has five pods
	tick      = 10 * time.Millisecond
)

// relay measures a relay of many agents.
func (b Bench) relay(ctx context.Context, s *report.Section) error {
	sources, err := b.start(ctx, "agents")
	if err != nil {
		return err
	}
	var addresses []string
	if err := sources.ask(agents, &addresses); err != nil {
		return fmt.Errorf("ask the agents: %w", err)
	}
	middle, err := b.start(ctx, "relay")
	if err != nil {
		return err
	}
	var address string
	if err := middle.ask(addresses, &address); err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := b.merge(ctx, s, conn, middle); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if err := b.aggregate(ctx, s, conn, middle); err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	return errors.Join(middle.end(), sources.end())
}

// taken is what a client of the relay was given; of each agent flows are numbered.
type taken struct {
	flows, told, lost uint64
	last              map[string]uint64
	late              uint64 // out of the order of time
	at                time.Time
}

func (t *taken) take(r *observerpb.GetFlowsResponse) {
	t.told += r.GetLostEvents().GetNumEventsLost()
	f := r.GetFlow()
	if f == nil {
		return
	}
	t.flows++
	if at := f.GetTime().AsTime(); at.Before(t.at) {
		t.late++
	} else {
		t.at = at
	}
	number := f.GetSocketCookie()
	if last, known := t.last[f.GetNodeName()]; known && number != last+1 {
		t.lost += number - last - 1
	}
	t.last[f.GetNodeName()] = number
}

// merge measures one client that follows all.
func (b Bench) merge(ctx context.Context, s *report.Section, conn *grpc.ClientConn, middle *player) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := observerpb.NewObserverClient(conn).GetFlows(ctx, &observerpb.GetFlowsRequest{Follow: true})
	if err != nil {
		return err
	}
	t := &taken{last: map[string]uint64{}}
	until := func(end time.Time) error {
		for time.Now().Before(end) {
			r, err := stream.Recv()
			if err != nil {
				return err
			}
			t.take(r)
		}
		return nil
	}
	if err := until(time.Now().Add(5 * time.Second)); err != nil { // all have begun
		return err
	}
	var rates, cpus []float64
	for round := range b.Rounds {
		before, err := middle.spent()
		if err != nil {
			return err
		}
		began, had := time.Now(), t.flows
		if err := until(began.Add(max(b.Time, time.Second))); err != nil {
			return err
		}
		after, err := middle.spent()
		if err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		rates, cpus = append(rates, float64(t.flows-had)/took), append(cpus, (after-before)/took)
		b.Progress("round %d/%d  relay of %d agents: %.0f flows/s, %.2f CPUs", round+1, b.Rounds, agents, rates[round], cpus[round])
	}
	_, most, err := cgroup.Resident(middle.command.Process.Pid)
	if err != nil {
		return err
	}
	flows := report.Median(rates)
	s.Tables = append(s.Tables, report.Table{Header: []string{fmt.Sprintf("relay of %d agents at %d flows/s each, one client", agents, rate), "value"}, Rows: [][]string{
		{"flows/s that the client is given", fmt.Sprintf("%.0f", flows)},
		{"CPUs of the relay", fmt.Sprintf("%.2f", report.Median(cpus))},
		{"CPU time of the relay per flow", fmt.Sprintf("%.1f µs", 1e6*report.Median(cpus)/flows)},
		{"RSS at most", fmt.Sprintf("%.1f MiB", most/mebibyte)},
		{"flows lost, told", fmt.Sprint(t.told)},
		{"flows lost, not told", fmt.Sprint(t.lost - min(t.lost, t.told))},
		{"flows out of the order of time", fmt.Sprint(t.late)},
	}})
	if t.lost > t.told {
		return fmt.Errorf("of %d flows %d are lost, and the client was told of %d", t.flows, t.lost, t.told)
	}
	s.Targets = append(s.Targets,
		report.Aimed(fmt.Sprintf("relay of %d agents: flows/s", agents), fmt.Sprintf("≥ %d", agents*rate*99/100), fmt.Sprintf("%.0f", flows), flows >= agents*rate*0.99),
		report.Aimed("flows that it loses", "0", fmt.Sprint(t.told), t.told == 0))
	s.Chart.Groups = append(s.Chart.Groups, chart.Group{Name: "relay of 50 agents", Unit: "flows/s", Target: agents * rate, Bars: []chart.Bar{bar("Weftnet", rates)}})
	return nil
}

// aggregate measures graphs, while flows come.
func (b Bench) aggregate(ctx context.Context, s *report.Section, conn *grpc.ClientConn, middle *player) error {
	client := observerv1.NewObserverClient(conn)
	began := time.Now()
	if _, err := client.Aggregate(ctx, &observerv1.AggregateRequest{}); err != nil {
		return err
	}
	first := ms(time.Since(began))
	levels := []observerv1.Level{observerv1.Level_LEVEL_NAMESPACE, observerv1.Level_LEVEL_WORKLOAD, observerv1.Level_LEVEL_POD}
	took := map[observerv1.Level][]float64{}
	var vertices, edges int
	select { // until each pair of pods has met
	case <-time.After(max(10*b.Time, 10*time.Second)):
	case <-ctx.Done():
		return ctx.Err()
	}
	for round := range max(b.Rounds, 3) {
		for _, level := range levels {
			began := time.Now()
			r, err := client.Aggregate(ctx, &observerv1.AggregateRequest{Level: level})
			if err != nil {
				return err
			}
			took[level] = append(took[level], ms(time.Since(began)))
			if level == observerv1.Level_LEVEL_WORKLOAD {
				vertices, edges = len(r.GetVertices()), len(r.GetEdges())
			}
			b.Progress("round %d  Aggregate, %s: %.0f ms, %d vertices, %d edges, %d flows, missing %d", round+1, level, took[level][round], len(r.GetVertices()), len(r.GetEdges()), r.GetFlows(), len(r.GetMissing()))
		}
	}
	if vertices != workloads {
		return fmt.Errorf("the graph has %d vertices, and there are %d workloads", vertices, workloads)
	}
	_, most, err := cgroup.Resident(middle.command.Process.Pid)
	if err != nil {
		return err
	}
	t := report.Table{Header: []string{fmt.Sprintf("Aggregate, %d workloads of 5 pods, while %d flows/s come, ms", workloads, agents*rate), "median", "most"}}
	g := chart.Group{Name: "Aggregate over 1,000 workloads", Unit: "ms", Target: 1000}
	for i, level := range levels {
		name := []string{"namespaces", "workloads", "pods"}[i]
		t.Rows = append(t.Rows, []string{name, fmt.Sprintf("%.0f", report.Median(took[level])), fmt.Sprintf("%.0f", report.Quantile(took[level], 1))})
		g.Bars = append(g.Bars, bar(name, took[level]))
	}
	t.Rows = append(t.Rows, []string{"the first of all, which begins to follow", fmt.Sprintf("%.0f", first), fmt.Sprintf("%.0f", first)})
	s.Tables, s.Chart.Groups = append(s.Tables, t), append(s.Chart.Groups, g)
	slowest := report.Quantile(took[observerv1.Level_LEVEL_WORKLOAD], 1)
	s.Targets = append(s.Targets, report.Aimed(fmt.Sprintf("Aggregate over %d workloads, %d edges", vertices, edges), "≤ 1,000 ms", fmt.Sprintf("%.0f ms", slowest), slowest <= 1000))
	s.Notes = append(s.Notes, fmt.Sprintf("The relay, its agents and its client are three processes that speak over TCP without TLS. RSS of the relay with what graphs are made of: %.1f MiB at most.", most/mebibyte))
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// spent is the CPU time of a process, in seconds; it tells of itself.
func (p *player) spent() (seconds float64, err error) {
	return seconds, p.ask("spent", &seconds)
}

// relayPart is a relay of agents at addresses, which the first line lists.
func relayPart(in *bufio.Scanner, out *json.Encoder) error {
	var addresses []string
	in.Scan()
	if err := json.Unmarshal(in.Bytes(), &addresses); err != nil {
		return err
	}
	var all peers.Fixed
	for i, a := range addresses {
		conn, err := grpc.NewClient(a, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		all = append(all, peers.Peer{Name: fmt.Sprint("node-", i), Address: a, Available: true, Conn: conn})
	}
	r := relay.NewServer(all, relay.Options{Gate: relay.Open{}})
	s := grpc.NewServer(r.Interceptors()...)
	r.Register(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = s.Serve(l) }()
	if err := out.Encode(l.Addr().String()); err != nil {
		return err
	}
	for in.Scan() {
		if err := out.Encode(spent().Seconds()); err != nil {
			return err
		}
	}
	return in.Err()
}

// agentsPart is as many agents as the first line says.
func agentsPart(in *bufio.Scanner, out *json.Encoder) error {
	var number int
	in.Scan()
	if err := json.Unmarshal(in.Bytes(), &number); err != nil {
		return err
	}
	var addresses []string
	for i := range number {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		a := &simulated{number: i, flows: journal.New[entry](observe.Capacity)}
		go a.run()
		s := grpc.NewServer()
		observerpb.RegisterObserverServer(s, a)
		go func() { _ = s.Serve(l) }()
		addresses = append(addresses, l.Addr().String())
	}
	if err := out.Encode(addresses); err != nil {
		return err
	}
	for in.Scan() { // until its end
	}
	return in.Err()
}

// simulated is an agent whose kernel is made up: its flows come at a steady rate, and are kept and sent as agents do.
type simulated struct {
	observerpb.UnimplementedObserverServer
	number int
	flows  *journal.Journal[entry, *entry]
}

// entry is a flow in the journal.
type entry struct {
	journal.Entry
	answer *observerpb.GetFlowsResponse
}

// run makes flows as long as this process lives.
func (a *simulated) run() {
	node := fmt.Sprint("default/node-", a.number)
	began, made := time.Now(), uint64(0)
	for range time.Tick(tick) {
		for due := uint64(time.Since(began).Seconds() * rate); made < due; made++ {
			f := a.flow(node, made)
			a.flows.Put(&entry{
				Entry:  journal.Entry{At: f.GetTime().AsTime()},
				answer: &observerpb.GetFlowsResponse{Time: f.GetTime(), NodeName: node, ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}},
			})
		}
		a.flows.Wake()
	}
}

// GetFlows implements observer.Observer.
func (a *simulated) GetFlows(r *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	q, err := query.New(r)
	if err != nil {
		return err
	}
	return a.flows.Answer(stream.Context(), journal.Range{Number: q.Number, First: q.First, Follow: q.Follow, Since: q.Since, Until: q.Until}, journal.Reader[entry]{
		Send: func(e *entry) error { return stream.Send(e.answer) },
		Missed: func(n uint64) error {
			return stream.Send(&observerpb.GetFlowsResponse{Time: timestamppb.Now(), NodeName: fmt.Sprint("default/node-", a.number), ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{
				LostEvents: &flowpb.LostEvent{Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: n},
			}})
		},
		Now: time.Now,
	})
}

// ServerStatus implements observer.Observer.
func (a *simulated) ServerStatus(context.Context, *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	oldest, next := a.flows.Kept()
	return &observerpb.ServerStatusResponse{NumFlows: next - oldest, MaxFlows: observe.Capacity, SeenFlows: next, UptimeNs: uint64(time.Hour * 24)}, nil
}

// flow is the next of those of a node: each of its pods calls two others in turn, and a connection has five flows.
func (a *simulated) flow(node string, number uint64) *flowpb.Flow {
	call := int(number / 5)
	from := (call*agents + a.number) % (workloads * 5)
	to := (from*31 + call/100%2*577 + 1) % (workloads * 5)
	f := &flowpb.Flow{
		Time: timestamppb.Now(), Uuid: fmt.Sprintf("%d-%d", a.number, number), NodeName: node, SocketCookie: number + 1, Verdict: flowpb.Verdict_FORWARDED,
		NodeLabels: []string{"kubernetes.io/arch=amd64", "kubernetes.io/hostname=" + node}, Emitter: &flowpb.Emitter{Name: "Weftnet", Version: "bench"},
		IP: &flowpb.IP{Source: podAddress(from).String(), Destination: podAddress(to).String(), IpVersion: flowpb.IPVersion_IPv4}, L4: flow.L4(6, uint16(32768+call%28000), 8080, 2),
		Source: podEnd(from, 1), Destination: podEnd(to, 0), Type: flowpb.FlowType_L3_L4, TrafficDirection: flowpb.TrafficDirection_EGRESS, IsReply: wrapperspb.Bool(false),
		EventType: &flowpb.CiliumEventType{Type: flow.EventTrace}, TraceObservationPoint: flowpb.TraceObservationPoint_TO_ENDPOINT,
	}
	switch number % 5 {
	case 0, 1:
		f.EventType.Type, f.TraceObservationPoint = flow.EventPolicyVerdict, 0
		if f.PolicyMatchType = 1; number%5 == 1 {
			f.TrafficDirection = flowpb.TrafficDirection_INGRESS
		}
	case 3:
		f.IsReply, f.Source, f.Destination = wrapperspb.Bool(true), f.GetDestination(), f.GetSource()
	case 4:
		f.EventType.SubType = flow.PointClose
		f.Extensions = flow.Extra{Close: &flow.Close{Ending: "fin", Duration: time.Second, Sent: flow.Carried{Packets: 6, Bytes: 700}, Received: flow.Carried{Packets: 5, Bytes: 9000}}}.Extension()
	}
	return f
}

func podEnd(i int, id uint32) *flowpb.Endpoint {
	workload := i % workloads
	namespace, app := fmt.Sprint("namespace-", workload%50), fmt.Sprint("app-", workload)
	return &flowpb.Endpoint{
		ID: id, Identity: uint32(1000 + workload), ClusterName: "default", Namespace: namespace, PodName: fmt.Sprint(app, "-", i/workloads),
		Labels: []string{"k8s:app=" + app, "k8s:io.cilium.k8s.policy.cluster=default", "k8s:io.kubernetes.pod.namespace=" + namespace},
	}
}
