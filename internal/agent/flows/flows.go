// Package flows makes flows of a node's kernel events and serves them where the configuration says. It joins what other packages do:
// the ring of events, the observer, its servers.
//
//	f, err := flows.New(flows.Node{Name: "n1", …})
//	go f.Run(ctx)                           // events become flows
//	go f.Socket(ctx, "/var/run/cilium/hubble.sock")
//	go f.Network(ctx, config.FlowService)   // :4244
//
// Invariant: with an empty socket, or without an address, nothing is served there.
package flows

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/flow/filter"
	"weftnet.io/weftnet/internal/flow/redact"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/export"
	"weftnet.io/weftnet/internal/observe/ipfix"
	"weftnet.io/weftnet/internal/observe/member"
	"weftnet.io/weftnet/internal/observe/peer"
	"weftnet.io/weftnet/internal/observe/ring"
	"weftnet.io/weftnet/internal/observe/serve"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

// Node is where flows come from.
type Node struct {
	Name, Version string
	Tables        *table.Tables
	DB            *state.DB
	Datapath      *datapath.Datapath // nil: the kernel tells nothing
	Log           *slog.Logger

	StateDir, Boot string // what of lost events was told is noted there, for this boot of the machine
}

// Flows are those of a node.
type Flows struct {
	observer   *observe.Observer
	server     serve.Server
	log        *slog.Logger
	sources    []observe.Source
	files      *export.Numbers
	collectors []prometheus.Collector
}

// New prepares them.
func New(n Node) (*Flows, error) {
	o := observe.Options{Node: n.Name, Version: n.Version, Log: n.Log, Further: member.Members{Tables: n.Tables}, Machine: machine.In}
	f := &Flows{log: n.Log, files: export.NewNumbers()}
	if n.Datapath != nil {
		events, err := ring.Open(n.Datapath.Map("events"))
		if err != nil {
			return nil, err
		}
		f.sources = append(f.sources, events)
		o.Lost = ring.Lost(n.Datapath.Map("event_budget"), n.StateDir, n.Boot, n.Log).Run
	}
	f.observer = observe.New(n.Tables, n.DB, o)
	if n.Datapath != nil {
		counters := ring.CountersOf(n.Datapath.Map("counters"))
		f.collectors = append(f.collectors, observe.NewCollector(f.observer, counters), ring.DeniedOf(counters),
			ring.NewVerdicts(ring.VerdictsOf(n.Datapath.Map("policy_verdicts"))), ring.OutsideOf(n.Datapath.Map("outside_calls")))
	}
	f.collectors = append(f.collectors, f.files, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "weft_flows_total", Help: "Flows that the agent has made of the kernel's events.",
	}, func() float64 { return float64(f.observer.Seen()) }))
	f.server = serve.Server{Flows: f.observer, Peers: peer.New(n.Tables, n.DB), Log: n.Log}
	return f, nil
}

// Collectors are the numbers of flows and packets.
func (f *Flows) Collectors() []prometheus.Collector { return f.collectors }

// Follow gives each flow to take, from when Run is called.
func (f *Flows) Follow(name string, take func(*observe.Flow)) { f.observer.Follow(name, take) }

// Run makes flows until ctx ends.
func (f *Flows) Run(ctx context.Context) error { return f.observer.Run(ctx, f.sources...) }

// File writes them to a file.
func (f *Flows) File(ctx context.Context, c settings.FlowFile) error {
	if c.Path == "" {
		return nil
	}
	to := export.File{Path: c.Path, MaxMB: c.MaxMB, Backups: c.Backups, Compress: c.Compress, Mask: c.Mask}
	var err error
	if to.Include, err = filter.Parse(c.Allow); err == nil {
		to.Omit, err = filter.Parse(c.Deny)
	}
	if err == nil {
		err = export.Run(ctx, f.observer, to, f.log)
	}
	if err != nil { // a node whose flows are not written works
		f.log.Error("flows are not written until the configuration of hubble-export-file-path changes", "file", c.Path, "error", err)
	}
	return nil
}

// Files writes them to the files that a file names.
func (f *Flows) Files(ctx context.Context, path string) error {
	if path != "" {
		export.Several(ctx, f.observer, path, f.files, f.log)
	}
	return nil
}

// Collector sends them by IPFIX.
func (f *Flows) Collector(ctx context.Context, collector string) error {
	if collector == "" {
		return nil
	}
	if err := ipfix.Run(ctx, f.observer, collector, f.log); err != nil {
		f.log.Error("flows are not sent until hubble-export-ipfix-collector changes", "error", err)
	}
	return nil
}

// Redact has what may be secret taken out of flows from now on.
func (f *Flows) Redact(ctx context.Context, c settings.Redaction) error {
	f.observer.Redact(redact.Rules{Enabled: c.Enabled, Query: c.Query, UserInfo: c.UserInfo, Allow: c.Allow, Deny: c.Deny})
	<-ctx.Done()
	return nil
}

// Socket serves them on a unix socket.
func (f *Flows) Socket(ctx context.Context, path string) error {
	if path == "" {
		return nil
	}
	l, err := agentv1.Listen(path) // for root alone
	if err != nil {
		return fmt.Errorf("serve flows: %w", err)
	}
	return f.server.Socket(ctx, l)
}

// Network serves them at an address.
func (f *Flows) Network(ctx context.Context, c settings.FlowService) error {
	return f.server.Network(ctx, c)
}
