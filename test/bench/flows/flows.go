// Package flows measures what flows cost: the traffic that they are of, the agent that makes them, and the relay that merges and sums them.
//
// # The world it models
//
//	two pods of a node, measured in turn   events off | on | on, and streamed to a client      the agent with all of the machine, or the chart's limit
//	one agent's observer                   records -> decode, enrich, journal                   a process of its own, on one CPU
//	50 agents -> relay -> client           1,000 flows/s each                                   three processes, over TCP
//	50 agents -> relay -> Aggregate        flows among 1,000 workloads
//
// Events are off while the budgets of each CPU are frozen empty (maps event_budget, event_reserves): the kernel looks at it, and tells nothing. There is no setting
// for that, so what is left of the cost is what programs do before they look.
//
// # Invariants
//
//   - off, on and streamed are measured right after one another, in another order each round: their ratios are of one moment of the machine.
//   - What a process takes is the CPU time that the kernel charges it, so that neighbours do not count.
//   - A flow that a client is not given, and not told of, fails the measurement.
//
// # Example
//
//	func main() { flows.Main(); … }
//
//	s, err := flows.Measure(ctx, flows.Bench{Rounds: 7, Time: time.Second, …})
//	s, err = flows.Relay(ctx, …)
package flows

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
)

// Bench is what a measurement needs.
type Bench struct {
	Rounds   int
	Time     time.Duration                                                               // of one measurement
	Node     func(name string, g *cgroup.Group) (*nettest.Cluster, *nettest.Node, error) // one whose agent runs in a control group
	Profiles func(name string) (string, error)                                           // the folder for profiles of a part; empty: none are taken
	Progress func(format string, args ...any)
}

// Measure measures what flows cost a node.
func Measure(ctx context.Context, b Bench) (report.Section, error) {
	return b.section(ctx, "What flows cost", Bench.traffic, Bench.events)
}

// Relay measures what they cost a relay.
func Relay(ctx context.Context, b Bench) (report.Section, error) {
	return b.section(ctx, "A relay of 50 agents", Bench.relay)
}

func (b Bench) section(ctx context.Context, title string, measure ...func(Bench, context.Context, *report.Section) error) (s report.Section, err error) {
	s.Title, s.Chart.Title = title, title
	for _, m := range measure {
		if err := m(b, ctx, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// environment tells a process of this program which part it plays; it does nothing else then.
const environment = "WEFT_BENCH_FLOWS"

// profiles is where it leaves profiles of what it did.
const profiles = "WEFT_BENCH_PROFILES"

// parts are what processes of this program may play: each writes one line of JSON at a time for each line that it reads, until there are none.
var parts = map[string]func(in *bufio.Scanner, out *json.Encoder) error{"observer": observerPart, "agents": agentsPart, "relay": relayPart}

// Main plays a part if this process was started for that, and then never returns.
func Main() {
	name, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	if err := profiled(os.Getenv(profiles), func() error { return parts[name](in, json.NewEncoder(os.Stdout)) }); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// profiled does something, and leaves profiles of it in a folder; empty: none.
func profiled(folder string, do func() error) error {
	if folder == "" {
		return do()
	}
	cpu, err := os.Create(filepath.Join(folder, "cpu.pprof"))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	err = do()
	pprof.StopCPUProfile()
	allocations, made := os.Create(filepath.Join(folder, "allocs.pprof"))
	if made == nil {
		made = errors.Join(pprof.Lookup("allocs").WriteTo(allocations, 0), allocations.Close())
	}
	return errors.Join(err, cpu.Close(), made)
}

// player is a process that plays a part.
type player struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

func (b Bench) start(ctx context.Context, part string) (*player, error) {
	folder, err := b.Profiles(part)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &player{command: exec.CommandContext(ctx, self)}
	p.command.Env, p.command.Stderr = append(os.Environ(), environment+"="+part, profiles+"="+folder), os.Stderr
	var errIn, errOut error
	var out io.Reader
	p.in, errIn = p.command.StdinPipe()
	out, errOut = p.command.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	return p, p.command.Start()
}

// ask sends a line and hears what is answered.
func (p *player) ask(question, answer any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(text, '\n')); err != nil {
		return err
	}
	return p.out.Decode(answer)
}

// end has it end, and waits for that.
func (p *player) end() error {
	p.in.Close()
	return p.command.Wait()
}

// bar is what was measured several times.
func bar(name string, values []float64) chart.Bar {
	return chart.Bar{Name: name, Value: report.Median(values), Least: report.Quantile(values, 0), Most: report.Quantile(values, 1), Ours: true}
}
