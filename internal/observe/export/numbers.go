package export

import (
	"hash/fnv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Numbers are what Several tells of itself, under upstream's names.
type Numbers struct {
	now func() time.Time

	mu      sync.Mutex // guards what follows
	files   map[string]File
	changes map[string]float64
	hash    float64   // of what was applied last
	applied time.Time // when
}

// Kinds of changes, as upstream calls them.
const (
	added   = "add"
	updated = "update"
	removed = "remove"
	failed  = "failure" // a look at what makes no sense
)

// NewNumbers makes those of nothing.
func NewNumbers() *Numbers { return &Numbers{now: time.Now, changes: map[string]float64{}} }

func (n *Numbers) fail() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes[failed]++
}

// apply notes what is written now, of what text; nil: nothing names files any more.
func (n *Numbers) apply(text []byte, files map[string]File) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, f := range files {
		switch before, there := n.files[name]; {
		case !there:
			n.changes[added]++
		case !same(before, f):
			n.changes[updated]++
		}
	}
	for name := range n.files {
		if _, there := files[name]; !there {
			n.changes[removed]++
		}
	}
	n.files, n.applied = files, time.Time{}
	if text == nil {
		return
	}
	h := fnv.New64a()
	h.Write(text)
	n.hash, n.applied = float64(h.Sum64()), n.now()
}

var (
	exportersDesc = prometheus.NewDesc("hubble_dynamic_exporter_exporters_total", "Files that hubble-flowlogs-config-path names, by whether their time is over (inactive).", []string{"status"}, nil)
	upDesc        = prometheus.NewDesc("hubble_dynamic_exporter_up", "1 for a file whose time is not over.", []string{"name"}, nil)
	changesDesc   = prometheus.NewDesc("hubble_dynamic_exporter_reconfigurations_total", "Files that came (add), changed (update) and went (remove), and looks at a list that makes no sense (failure).", []string{"op"}, nil)
	hashDesc      = prometheus.NewDesc("hubble_dynamic_exporter_config_hash", "Hash of the list that was applied last.", nil, nil)
	appliedDesc   = prometheus.NewDesc("hubble_dynamic_exporter_config_last_applied", "When that was, in seconds since 1970.", nil, nil)
)

// Describe implements prometheus.Collector.
func (n *Numbers) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{exportersDesc, upDesc, changesDesc, hashDesc, appliedDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (n *Numbers) Collect(to chan<- prometheus.Metric) {
	n.mu.Lock()
	defer n.mu.Unlock()
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	status := map[bool]float64{}
	for name, f := range n.files {
		active := f.End.IsZero() || f.End.After(n.now())
		status[active]++
		up := 0.0
		if active {
			up = 1
		}
		tell(upDesc, prometheus.GaugeValue, up, name)
	}
	tell(exportersDesc, prometheus.GaugeValue, status[true], "active")
	tell(exportersDesc, prometheus.GaugeValue, status[false], "inactive")
	for _, op := range []string{added, updated, removed, failed} {
		tell(changesDesc, prometheus.CounterValue, n.changes[op], op)
	}
	if !n.applied.IsZero() {
		tell(hashDesc, prometheus.GaugeValue, n.hash)
		tell(appliedDesc, prometheus.GaugeValue, float64(n.applied.UnixNano())/1e9)
	}
}
