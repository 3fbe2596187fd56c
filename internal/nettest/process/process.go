// Package process is an agent in a process of its own, inside the network namespace of its node. It hears objects on its
// standard input and says on its standard output what the node publishes: lines of JSON (Request, Message).
//
// # The world it models
//
//	cluster --Request--> [rows of the input tables] -> agent -> kernel
//	cluster <--Message-- [claims for numbers, endpoints of local pods]
//
// The program is the test's own binary once more, told by a variable of its Environment what it is (Main). It ends with
// its standard input, so it never outlives the test.
//
// # Invariants
//
//   - What it hears is written in the order in which it came.
//   - The answer to Settle comes when all that it has heard is in the kernel, and after all that follows for others.
//   - A publication is everything that the node has to say; the former one is replaced.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"weftnet.io/weftnet/internal/agent"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/nettest/pace"
	"weftnet.io/weftnet/internal/source/cni/plugin"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/peer"
)

// Environment is the variable that tells a process of this binary what it is.
const Environment = "WEFT_NETTEST"

// Role is what the variable holds.
type Role struct {
	Plugin   bool // weft-cni; else an agent
	Node     string
	Socket   string
	StateDir string
	Hubble   string
	Run      string // stands for /run
	Plugins  string // folder of CNI plugins
	Conf     string // folder for the CNI configuration; empty: none is written
	Settings map[string]string
	Groups   []string // cgroup.procs files of control groups that the process enters first of all
	Profile  string   // folder for profiles of the process; empty: none
	Debug    bool

	// Kubeconfig leads to an API server, which then is where objects come from and go to; what the cluster says by the pipe
	// is of no interest.
	Kubeconfig string
	BooksOnly  bool // that server has the addresses of further networks, and nothing else

	Steps uint64 // it is killed before its n-th step (system call that changes something); 0: never

	Capabilities []string // all that the process has; empty: those of what starts it
}

// patience is how long settling may take, on a machine that is busy.
var patience = pace.Slow(30 * time.Second)

// PinDir is where agents pin: each node has a file system of its own there.
const PinDir = "/sys/fs/bpf/weft"

// SettledFirst is the line of its log that tells how long an agent took from when it knew all there was until it was in the kernel.
const SettledFirst = "all that there was is in the kernel %v after the tables were synced"

// Main is the agent, or the CNI plugin, if this process was started as one, and then never returns. Call it first of all
// in main or TestMain.
func Main() {
	text, ok := os.LookupEnv(Environment)
	if !ok {
		return
	}
	var r Role
	err := json.Unmarshal([]byte(text), &r)
	switch {
	case err != nil:
	case r.Plugin:
		os.Exit(plugin.Plugin{StateDir: r.StateDir, Out: os.Stdout}.Run("weft-cni of a test"))
	case r.Steps > 0:
		if err = dieAt(r.Steps); err == nil {
			err = newProcess(r).run()
		}
	default:
		err = r.life()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent of node", r.Node+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// life runs an agent in its control groups, and profiles it.
func (r Role) life() error {
	if len(r.Capabilities) > 0 {
		return r.confine()
	}
	for _, file := range r.Groups {
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("enter control group: %w", err)
		}
	}
	if r.Profile == "" {
		return newProcess(r).run()
	}
	cpu, err := os.Create(filepath.Join(r.Profile, r.Node+".cpu.pprof"))
	if err != nil {
		return err
	}
	defer cpu.Close()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return fmt.Errorf("profile the agent: %w", err)
	}
	err = newProcess(r).run()
	pprof.StopCPUProfile()
	allocations, createErr := os.Create(filepath.Join(r.Profile, r.Node+".allocs.pprof"))
	if createErr != nil {
		return errors.Join(err, createErr)
	}
	defer allocations.Close()
	return errors.Join(err, pprof.Lookup("allocs").WriteTo(allocations, 0))
}

// Request is what an agent's process is told, one line of JSON each.
type Request struct {
	ID     uint64 // 0: no answer is wanted
	Put    []json.RawMessage
	Delete []json.RawMessage
	Synced bool   // all that exists has been put
	Ask    string // settle, kernel, dump, programs or die
	Steps  uint64 // die: kill this process before the n-th step from now on
}

// Message is what it says.
type Message struct {
	ID        uint64    // of the request; 0: a publication
	Err       string    // why not
	Text      string    // kernel, dump
	Programs  []Program // programs
	Published *Publication
}

// process is an agent that hears and speaks through pipes.
type process struct {
	Role
	agent *agent.Agent
	rows  *kind.Rows

	synced atomic.Pointer[time.Time] // when all that existed had been put; nil: not yet, or the first settling after it has been told of

	mu        sync.Mutex // guards what is below, and the order of what is said
	out       *json.Encoder
	claims    *state.Feed[table.IdentityClaim]
	published *state.Feed[table.PublishedEndpoint]
	nics      *state.Feed[peer.NIC]
	told      bool // the whole
}

func newProcess(r Role) *process {
	level := slog.LevelInfo
	if r.Debug {
		level = slog.LevelDebug
	}
	books := ""
	if r.BooksOnly {
		books, r.Kubeconfig = r.Kubeconfig, ""
	}
	a := agent.New(agent.Options{
		Node: r.Node, Socket: r.Socket, StateDir: r.StateDir, Hubble: r.Hubble, PinDir: PinDir, RunDir: r.Run, CNIConf: r.Conf, Confs: []string{r.Conf + "/multus", r.Conf}, Plugins: []string{r.Plugins}, Version: "test",
		Flags: r.Settings, Alone: r.Kubeconfig == "", Kubeconfig: r.Kubeconfig, Books: books, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
	return &process{
		Role: r, agent: a, rows: kind.NewRows(a.Tables, r.Node, r.Settings), out: json.NewEncoder(os.Stdout),
		claims: a.Tables.IdentityClaims.Feed(a.DB), published: a.Tables.Published.Feed(a.DB), nics: peer.Published.Feed(a.DB),
	}
}

// run works until standard input ends, or the agent does.
func (p *process) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		defer stop()
		if err := p.hear(ctx); !errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr, "hear the cluster:", err)
		}
	}()
	if p.Kubeconfig == "" {
		go p.publishAll(ctx)
	}
	if err := p.agent.Run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (p *process) hear(ctx context.Context) error {
	in := json.NewDecoder(os.Stdin)
	for {
		var r Request
		if err := in.Decode(&r); err != nil {
			return err
		}
		if p.Kubeconfig != "" {
			r.Put, r.Delete, r.Synced = nil, nil, false
		}
		if err := p.write(r); err != nil {
			fmt.Fprintln(os.Stderr, "write what the cluster says:", err)
		}
		if r.Ask != "" {
			go p.answer(ctx, r)
		}
	}
}

func (p *process) write(r Request) error {
	put, err := Decode(r.Put)
	if err != nil {
		return err
	}
	gone, err := Decode(r.Delete)
	if err != nil {
		return err
	}
	if r.Synced {
		defer func() { now := time.Now(); p.synced.Store(&now) }()
	}
	return p.agent.DB.Write(func(tx *state.Tx) error {
		for _, o := range gone {
			if err := p.rows.Delete(tx, o); err != nil {
				return err
			}
		}
		for _, o := range put {
			if err := p.rows.Put(tx, o); err != nil {
				return err
			}
		}
		if r.Synced {
			p.rows.MarkSynced(tx)
		}
		return nil
	})
}

var decoder = sync.OnceValue(func() runtime.Decoder {
	return serializer.NewCodecFactory(kind.Scheme()).UniversalDeserializer()
})

// Decode reads objects of the kinds that agents know.
func Decode(list []json.RawMessage) ([]runtime.Object, error) {
	var out []runtime.Object
	for _, text := range list {
		o, _, err := decoder().Decode(text, nil, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func (p *process) answer(ctx context.Context, r Request) {
	m := Message{ID: r.ID}
	var err error
	switch r.Ask {
	case "settle":
		err = p.settle(ctx)
	case "kernel":
		m.Text, err = kernelText()
	case "dump":
		m.Text, err = p.dump()
	case "programs":
		m.Programs, err = programs()
	case "die":
		err = dieAt(r.Steps)
	}
	if err != nil {
		m.Err = err.Error()
	}
	p.say(m)
}

func (p *process) say(m Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(m) // a test that has gone does not listen
}

// settle returns when everything that is known is in the kernel, and all that follows for others has been said.
func (p *process) settle(life context.Context) error {
	ctx, cancel := context.WithTimeout(life, patience)
	defer cancel()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		what := p.agent.Unsettled()
		if what == "" {
			if p.publish(); p.agent.Unsettled() == "" {
				if at := p.synced.Swap(nil); at != nil {
					fmt.Fprintf(os.Stderr, SettledFirst+"\n", time.Since(*at))
				}
				return nil
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			if life.Err() != nil {
				select {} // it ends: its end is the answer
			}
			return fmt.Errorf("not settled after %v: %s", patience, what)
		}
	}
}

// publishAll says what is new until ctx ends.
func (p *process) publishAll(ctx context.Context) {
	for {
		s := p.agent.DB.Snapshot()
		claims, published, nics := p.agent.Tables.IdentityClaims.WatchAll(s), p.agent.Tables.Published.WatchAll(s), peer.Published.WatchAll(s)
		p.publish()
		select {
		case <-ctx.Done():
			return
		case <-claims:
		case <-published:
		case <-nics:
		}
	}
}

// publish says what is new of what the node publishes.
func (p *process) publish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.agent.DB.Snapshot()
	if p.Kubeconfig != "" || !p.told && !(p.agent.Tables.Published.IsSynced(s) && peer.Published.IsSynced(s)) {
		return // what an earlier agent has said still holds
	}
	said := Publication{More: p.told}
	claims, _, _ := p.claims.Next()
	for _, c := range claims {
		if !c.Deleted {
			said.Claims = append(said.Claims, c.Row.Labels.String())
		}
	}
	endpoints, _, _ := p.published.Next()
	for _, c := range endpoints {
		if c.Deleted {
			said.Gone = append(said.Gone, endpoint(c.Row))
		} else {
			said.Endpoints = append(said.Endpoints, endpoint(c.Row))
		}
	}
	nics, _, _ := p.nics.Next()
	for _, c := range nics {
		if c.Deleted {
			said.GoneNICs = append(said.GoneNICs, podInterface(c.Row))
		} else {
			said.NICs = append(said.NICs, podInterface(c.Row))
		}
	}
	if !said.More || len(said.Claims)+len(said.Endpoints)+len(said.Gone)+len(said.NICs)+len(said.GoneNICs) > 0 {
		p.told = true
		_ = p.out.Encode(Message{Published: &said})
	}
}
