package scrape

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/datapath/runtime"
)

// sampling is how long the kernel counts runs of programs at a time.
const sampling = time.Second

var (
	runSeconds  = prometheus.NewDesc("weft_program_run_seconds", "Mean time of a run of a program, in the last sample.", []string{"program"}, nil)
	runRate     = prometheus.NewDesc("weft_program_runs_per_second", "Runs of a program, in the last sample.", []string{"program"}, nil)
	loadSeconds = prometheus.NewDesc("weft_program_load_seconds", "How long it took to load all programs the last time.", nil, nil)
	loads       = prometheus.NewDesc("weft_program_loads_total", "How often all programs were loaded.", nil, nil)
)

// Programs tells how long programs take: to be loaded, and, in samples, to run.
type Programs struct {
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	loaded time.Duration
	loads  uint64
	last   map[string]runtime.Runs
}

// NewPrograms knows nothing yet.
func NewPrograms(log *slog.Logger) *Programs { return &Programs{log: log} }

// Loaded says that programs were loaded, and how long that took.
func (p *Programs) Loaded(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loaded = took
	p.loads++
}

// Run samples runs every so often until ctx ends; never, if every is 0.
func (p *Programs) Run(ctx context.Context, d *datapath.Datapath, every time.Duration) error {
	p.keep(nil)
	if every == 0 {
		return nil
	}
	tick := time.NewTicker(max(every, 2*sampling))
	defer tick.Stop()
	for told := false; ; {
		runs, err := runtime.Sample(ctx, d.Program, sampling)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !told:
			told = true
			p.log.Warn("how long programs run is not known", "error", err)
		}
		p.keep(runs)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *Programs) keep(runs map[string]runtime.Runs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = runs
}

// Describe implements prometheus.Collector.
func (p *Programs) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runSeconds, runRate, loadSeconds, loads} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (p *Programs) Collect(to chan<- prometheus.Metric) {
	out := gauges(to)
	p.mu.Lock()
	defer p.mu.Unlock()
	out.set(loadSeconds, p.loaded.Seconds())
	to <- prometheus.MustNewConstMetric(loads, prometheus.CounterValue, float64(p.loads))
	for name, r := range p.last {
		if r.Runs > 0 {
			out.set(runSeconds, r.Time.Seconds()/float64(r.Runs), name)
		}
		out.set(runRate, float64(r.Runs)/sampling.Seconds(), name)
	}
}
