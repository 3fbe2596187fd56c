package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/agent/feature"
	"weftnet.io/weftnet/internal/agent/scrape"
	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/install"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/sink/bpfmap/lookup"
	sinklink "weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Options are what an agent is started with; everything else is configuration in the tables.
type Options struct {
	Node     string   // name of this node
	Root     string   // where files of the host are seen, e.g. /host; empty: at /
	Socket   string   // of the agent itself
	StateDir string   // journal of attachments
	PinDir   string   // below a BPF file system
	Proc     string   // a proc file system in which the host's network settings may be written; empty: /proc
	RunDir   string   // the host's /run, where its network managers are told to leave our devices alone; empty: they are not
	Plugins  []string // folders of CNI plugins, for further NICs; the first that has one counts
	Confs    []string // folders of CNI configurations, for NetworkAttachmentDefinitions that have none; the first that has one counts
	CNIConf  string   // folder for the CNI configuration; empty: none is written
	Health   string   // address for /healthz and /readyz, e.g. 127.0.0.1:9879; empty: none
	Metrics  string   // address for /metrics; empty: none
	Hubble   string   // socket of the flow service; empty: as the configuration says
	Version  string
	Flags    map[string]string // configuration keys given as flags; they win over the ConfigMap
	Log      *slog.Logger

	// Kubeconfig says how to reach the API server; empty: as a pod does.
	Kubeconfig string
	Servers    string // URLs of API servers that are spoken with instead; empty: none
	// Alone runs without an API server: facts come from scripts and benchmarks, which write to the tables.
	Alone bool
	// Books is a kubeconfig of the API server in which one that is alone keeps the addresses of further networks; empty: it grants none.
	Books string
}

// Agent is one node's network.
type Agent struct {
	Options
	Tables *table.Tables
	DB     *state.DB

	node     *feature.Node // what its features run on
	datapath *datapath.Datapath
	maps     atomic.Pointer[lookup.Maps] // of the loaded datapath, for people who ask; nil: not yet
	cni      *cni.Server
	started  time.Time
	ready    atomic.Int64 // how long it took to start; 0: it goes on

	mu      sync.Mutex
	stage   string           // what start is waiting for; empty: started
	runners []feature.Runner // that are running
}

// New makes an agent with empty tables.
func New(o Options) *Agent {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	complaints := scrape.NewComplaints()
	o.Log = complaints.Counted(o.Log)
	tables, db := table.New()
	a := &Agent{Options: o, Tables: tables, DB: db, started: time.Now(), stage: "the configuration"}
	a.node = &feature.Node{
		Name: o.Node, Version: o.Version, Root: o.Root, Proc: o.Proc, Hubble: o.Hubble, Metrics: o.Metrics, Kube: o.Kubeconfig, Servers: o.Servers, Kept: filepath.Join(o.StateDir, "api-servers"), Alone: o.Alone, Books: o.Books,
		Pins: o.PinDir, StateDir: o.StateDir, Plugins: o.Plugins, Confs: o.Confs, Flags: o.Flags, Log: o.Log, Tables: tables, DB: db, Settings: a.report, Ready: func() bool { return a.Stage() == "" },
		Took: a.took, Behind: a.behind, Times: scrape.NewPrograms(o.Log), Complain: complaints,
	}
	return a
}

// collectEarlier has garbage collected earlier than the runtime would: an agent holds a lot that it rarely touches, and its
// CPU has time. Variable GOGC wins (https://pkg.go.dev/runtime).
//
// One that holds little would collect every few MiB, in the midst of each crowd of CNI ADDs. What spare adds to what is live
// puts that off; it is address space alone, since nothing writes to it.
func collectEarlier() {
	const percent = 50 // of what is live
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
		spare = make([]byte, 4<<20)
	}
}

//lint:ignore U1000 it is kept for as long as the agent runs, and never read
var spare []byte

// Run works until ctx ends. An error says what part could not go on.
func (a *Agent) Run(ctx context.Context) error {
	collectEarlier()
	g, ctx := errgroup.WithContext(ctx)
	run := func(name string, f func(context.Context) error) {
		g.Go(func() error {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	listener, err := a.listen()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	a.handle(mux)
	run("socket", feature.Serve(mux, listener))
	if a.Health != "" {
		health, err := net.Listen("tcp", a.Health)
		if err != nil {
			return fmt.Errorf("listen for health probes: %w (is another agent running on this node?)", err)
		}
		run("health", feature.Serve(a.healthMux(), health))
	}
	if err := sinklink.PrepareNode(a.Proc, install.SettingsFile(a.StateDir)); err != nil {
		return err
	}
	if err := install.TellManagers(a.RunDir); err != nil {
		a.Log.Warn("network managers of this node are not told to leave the agent's devices alone", "error", err) // what they change is put back
	}
	// What came of rows is known from now on, and nothing of it from an earlier life: these are complete as they are.
	if err := a.DB.Write(func(tx *state.Tx) error {
		status.Statuses.MarkSynced(tx)
		a.Tables.SetStatuses.MarkSynced(tx)
		return nil
	}); err != nil {
		return err
	}
	for _, list := range feature.Derivations(a.node) {
		a.run(run, feature.Follow(a.node, list))
	}
	if err := a.runFeatures(run, func(f feature.Feature) func(*feature.Node) ([]feature.Runner, error) { return f.Early }); err != nil {
		return err
	}
	run("start", func(ctx context.Context) error { return a.start(ctx, run, mux) })
	return g.Wait()
}

func (a *Agent) listen() (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(a.Socket), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of the agent's socket: %w", err)
	}
	return agentv1.Listen(a.Socket)
}

// run starts a loop.
func (a *Agent) run(run runFunc, r feature.Runner) {
	a.mu.Lock()
	a.runners = append(a.runners, r)
	a.mu.Unlock()
	run(r.Name, r.Run)
}

// runFeatures starts the loops of one phase of all features.
func (a *Agent) runFeatures(run runFunc, phase func(feature.Feature) func(*feature.Node) ([]feature.Runner, error)) error {
	for _, f := range feature.All() {
		start := phase(f)
		if start == nil {
			continue
		}
		runners, err := start(a.node)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		for _, r := range runners {
			a.run(run, r)
		}
	}
	return nil
}

// runMaps starts what lives in the maps of a loaded datapath.
func (a *Agent) runMaps(run runFunc) error {
	a.node.Datapath, a.node.Revisions = a.datapath, bpfmap.NewRevisions(a.datapath)
	maps := lookup.New(a.datapath)
	a.maps.Store(&maps)
	return a.runFeatures(run, func(f feature.Feature) func(*feature.Node) ([]feature.Runner, error) { return f.Maps })
}

func (a *Agent) waitsFor(stage string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stage = stage
	if stage == "" {
		a.ready.CompareAndSwap(0, int64(time.Since(a.started)))
	} else {
		a.Log.Info("waiting", "for", stage)
	}
}

// took is how long the start took; 0: it goes on.
func (a *Agent) took() time.Duration { return time.Duration(a.ready.Load()) }

// Stage says what the start is waiting for, in words; empty when the node serves.
func (a *Agent) Stage() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stage
}
