package flows

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/cilium/ebpf"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/report"
)

// kinds are ways to use a way, and what flows may cost of each.
var kinds = []struct {
	name, unit string
	least      float64
	run        func(load.Way, time.Duration) (float64, error)
}{
	{"TCP throughput", "Gbit/s", 0.97, load.Stream},
	{"TCP request, response", "/s", 0.97, load.Transactions},
	{"connect, request, close", "/s", 0.92, load.Connections},
}

// Modes.
const (
	off = iota
	on
	streamed
	offAgain
)

var modes = []string{"events off", "events on", "streamed to a client", "events off, measured again"}

// traffic compares two pods of a node in all modes.
func (b Bench) traffic(ctx context.Context, s *report.Section) error {
	for _, limit := range []struct {
		name  string
		milli int
	}{{"without a limit", 0}, {"the agent limited to 500m", 500}} {
		t, err := b.modes(ctx, limit.name, limit.milli, s)
		if err != nil {
			return fmt.Errorf("%s: %w", limit.name, err)
		}
		s.Tables = append(s.Tables, t)
	}
	s.Notes = append(s.Notes, "Events are off while the kernel's budget for them is frozen at none. Ratios are to that, of the same round. The client that flows are streamed to runs beside the load, on the same CPUs; "+
		"of a connection that ends at once an agent makes some six flows. What comes beyond 20,000 events a second and CPU the kernel holds back and counts.")
	return nil
}

func (b Bench) modes(ctx context.Context, name string, milli int, s *report.Section) (t report.Table, err error) {
	g, err := cgroup.New(fmt.Sprint("weft-bench-flows-", milli))
	if err != nil {
		return t, err
	}
	defer g.Close()
	c, n, err := b.Node(fmt.Sprint("flows", milli), g)
	if err != nil {
		return t, err
	}
	defer c.Close()
	for _, pod := range []string{"client", "server"} {
		if _, err := n.AddPod(ctx, nettest.PodSpec{Name: pod, Labels: map[string]string{"app": pod}}); err != nil {
			return t, err
		}
	}
	if err := c.Settle(ctx); err != nil {
		return t, err
	}
	if err := g.Limit(milli); err != nil {
		return t, err
	}
	budget, err := openBudgets(n)
	if err != nil {
		return t, err
	}
	defer budget.Close()
	way := load.Way{Client: n.Pod("client").Station, Server: n.Pod("server").Station}
	var rates, spent [4][3][]float64
	var given atomic.Uint64
	for round := range b.Rounds {
		for k, kind := range kinds {
			for i := range modes {
				mode := (i + round) % len(modes)
				if ctx.Err() != nil {
					return t, ctx.Err()
				}
				rate, cpu, err := b.once(ctx, n, g, budget, mode, &given, func() (float64, error) { return kind.run(way, b.Time) })
				if err != nil {
					return t, fmt.Errorf("%s, %s: %w", kind.name, modes[mode], err)
				}
				rates[mode][k], spent[mode][k] = append(rates[mode][k], rate), append(spent[mode][k], cpu)
				b.Progress("round %d/%d  %-26s %-26s %-28s %10s %s, agent %.2f CPUs", round+1, b.Rounds, name, kind.name, modes[mode], chart.Figure(rate), kind.unit, cpu)
			}
		}
	}
	if given.Load() == 0 {
		return t, fmt.Errorf("the client that flows are streamed to was given none")
	}
	t.Header = []string{"two pods of a node, " + name}
	for _, k := range kinds {
		t.Header = append(t.Header, k.name+", "+k.unit, "ratio", "agent's CPUs")
	}
	for mode, of := range modes {
		row := []string{of}
		for k := range kinds {
			row = append(row, chart.Figure(report.Median(rates[mode][k])), fmt.Sprintf("%.3f", report.Ratio(rates[mode][k], rates[off][k])), fmt.Sprintf("%.2f", report.Median(spent[mode][k])))
		}
		t.Rows = append(t.Rows, row)
	}
	for k, kind := range kinds {
		group := chart.Group{Name: kind.name + ", " + name, Unit: kind.unit}
		for mode, of := range modes {
			group.Bars = append(group.Bars, bar(of, rates[mode][k]))
		}
		s.Chart.Groups = append(s.Chart.Groups, group)
		for _, mode := range []int{on, streamed} {
			r := report.Ratio(rates[mode][k], rates[off][k])
			s.Targets = append(s.Targets, report.Aimed(fmt.Sprintf("%s: %s, %s", kind.name, modes[mode], name), fmt.Sprintf("≥ %.2f of %s", kind.least, modes[off]), fmt.Sprintf("%.3f", r), r >= kind.least))
		}
	}
	return t, nil
}

// once measures in a mode: the rate, and how many CPUs the agent took.
func (b Bench) once(ctx context.Context, n *nettest.Node, g *cgroup.Group, budget budgets, mode int, given *atomic.Uint64, run func() (float64, error)) (rate, cpu float64, err error) {
	if err := allow(budget, mode == on || mode == streamed); err != nil {
		return 0, 0, err
	}
	if mode == streamed {
		stop, err := stream(ctx, n, given)
		if err != nil {
			return 0, 0, err
		}
		defer stop()
	}
	before, err := g.Spent()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if rate, err = run(); err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	after, err := g.Spent()
	return rate, (after - before).Seconds() / took.Seconds(), err
}

// budgets are the maps in which each CPU has its budget of events, and the reserves of owners beside it.
type budgets []*ebpf.Map

func openBudgets(n *nettest.Node) (b budgets, err error) {
	err = n.Do(func() error {
		for _, name := range []string{"event_budget", "event_reserves"} {
			m, err := ebpf.LoadPinnedMap(filepath.Join(process.PinDir, name), nil)
			if err != nil {
				return err
			}
			b = append(b, m)
		}
		return nil
	})
	return b, err
}

// Close lets go of the maps.
func (b budgets) Close() {
	for _, m := range b {
		m.Close()
	}
}

// allow lets the kernel tell of events, or not: a budget that is filled up in the far future is empty until then.
func allow(b budgets, events bool) error {
	for _, m := range b {
		for at := range m.MaxEntries() {
			var each []abi.EventBudget
			if err := m.Lookup(at, &each); err != nil {
				return fmt.Errorf("read map %s: %w", m, err)
			}
			for i := range each {
				each[i].Tokens, each[i].Filled = 0, 0
				if !events {
					each[i].Filled = math.MaxInt64
				}
			}
			if err := m.Put(at, each); err != nil {
				return fmt.Errorf("write map %s: %w", m, err)
			}
		}
	}
	return nil
}

// stream is a client of an agent that takes all flows, and decodes none: what it does itself should not count.
func stream(ctx context.Context, n *nettest.Node, given *atomic.Uint64) (stop func(), err error) {
	conn, err := grpc.NewClient("unix://"+filepath.Join(filepath.Dir(n.Run()), "hubble.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	flows, err := observerpb.NewObserverClient(conn).GetFlows(ctx, &observerpb.GetFlowsRequest{Follow: true}, grpc.ForceCodec(blind{}))
	if err != nil {
		cancel()
		return nil, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			if _, err := flows.Recv(); err != nil {
				return
			}
			given.Add(1)
		}
	}()
	return func() { cancel(); <-over; conn.Close() }, nil
}

// blind is a codec that sends messages and does not look at what comes.
type blind struct{}

func (blind) Name() string                    { return "proto" }
func (blind) Marshal(v any) ([]byte, error)   { return proto.Marshal(v.(proto.Message)) }
func (blind) Unmarshal(_ []byte, _ any) error { return nil }
