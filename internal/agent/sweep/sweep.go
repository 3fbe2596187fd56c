// Package sweep takes finished entries out of the tables that all workloads of a node use (connections, translations,
// fragments), which is elsewhere called conntrack GC, and tells which workload uses up its quota.
//
// A pass is cheap while there is room, and passes come the oftener the fuller the tables are. What it counts is what the last
// pass saw: metrics and `weft status` ask for it at any time.
//
//	s := sweep.New(datapath, db, tables, log)
//	go s.Run(ctx)
//	s.Components() // shared connections  ok  512 of 524288
package sweep

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/datapath/sweep"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

const (
	sweepCalm   = 10 * time.Second // between passes while there is room
	sweepBusy   = time.Second      // while a table or a quota is more than half full
	complainFor = time.Minute      // one line of log per owner and this long
)

// Sweeper is the sweeper of one node.
type Sweeper struct {
	datapath *datapath.Datapath
	db       *state.DB
	tables   *table.Tables
	log      *slog.Logger

	mu   sync.Mutex // guards what follows
	last []sweep.Swept
	runs uint64
	took time.Duration // of all passes

	removed map[string]uint64    // by table
	refused map[string]uint64    // by table
	quotas  map[uint32]abi.Quota // as of the last pass
	told    map[uint32]time.Time // when an owner was last complained about
	full    map[string]bool      // tables that were complained about
}

// New makes a sweeper of a loaded datapath's maps.
func New(d *datapath.Datapath, db *state.DB, t *table.Tables, log *slog.Logger) *Sweeper {
	return &Sweeper{
		datapath: d, db: db, tables: t, log: log, removed: map[string]uint64{}, refused: map[string]uint64{}, quotas: map[uint32]abi.Quota{},
		told: map[uint32]time.Time{}, full: map[string]bool{},
	}
}

// Run sweeps until ctx ends, the oftener the fuller the tables are.
func (s *Sweeper) Run(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-next.C:
			busy, err := s.Pass(now)
			if err != nil && ctx.Err() == nil {
				s.log.Error("finished connections stay in their tables", "error", err)
			}
			if busy {
				next.Reset(sweepBusy)
			} else {
				next.Reset(s.datapath.Progress.Within(sweepCalm))
			}
		}
	}
}

func (s *Sweeper) Pass(now time.Time) (busy bool, err error) {
	swept, quotas, err := s.datapath.Sweep()
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = swept
	s.runs++
	for kind, t := range swept {
		s.took += t.Took
		s.removed[t.Table] += uint64(t.Removed)
		busy = busy || t.Held > int(t.Size)/2
		s.complainOfFull(t)
		for owner, quota := range quotas {
			for _, held := range heldOf(abi.QuotaKind(kind)) {
				busy = busy || quota.Held[held] > int64(t.Limit)/2
				s.complainOf(owner, quota, held, t, now)
			}
		}
	}
	s.quotas = quotas
	maps.DeleteFunc(s.told, func(owner uint32, _ time.Time) bool { _, lives := quotas[owner]; return !lives })
	return busy, nil
}

// heldOf are the kinds of what owners hold of a table.
func heldOf(table abi.QuotaKind) []abi.QuotaKind {
	if table == abi.QuotaConnections {
		return []abi.QuotaKind{table, abi.QuotaCalled}
	}
	return []abi.QuotaKind{table}
}

func (s *Sweeper) complainOfFull(t sweep.Swept) {
	switch {
	case t.Held >= int(t.Size)/10*9 && !s.full[t.Table]:
		s.full[t.Table] = true
		s.log.Error("a table is nearly full: new connections will be dropped", "table", t.Table, "entries", t.Held, "size", t.Size)
	case t.Held < int(t.Size)/10*8:
		s.full[t.Table] = false
	}
}

func (s *Sweeper) complainOf(owner uint32, quota abi.Quota, kind abi.QuotaKind, t sweep.Swept, now time.Time) {
	more := quota.Refused[kind] - min(s.quotas[owner].Refused[kind], quota.Refused[kind])
	if more == 0 {
		return
	}
	s.refused[t.Table] += more
	if now.Sub(s.told[owner]) < complainFor {
		return
	}
	s.told[owner] = now
	text := "a workload holds all that one may hold of a table: its new connections are dropped"
	if kind == abi.QuotaCalled {
		text = "as many connections are open to a workload as there may be, in all or from one caller: new ones to it are dropped"
	}
	s.log.Warn(text, "workload", s.name(owner),
		"table", t.Table, "holds", quota.Held[kind], "limit", t.Limit, "dropped", more)
}

// name is the pod whose NIC has this incarnation.
func (s *Sweeper) name(owner uint32) string {
	switch {
	case owner == abi.OwnerCarried:
		return "what this node carries for others"
	case owner == 0:
		return "traffic of no workload of this node"
	case owner == math.MaxUint32: // the incarnation of its NIC, see derive/nic
		return "this node itself"
	case owner&abi.OwnerService != 0:
		return "calls from outside of " + s.service(owner&^abi.OwnerService)
	}
	for row := range s.tables.Attachments.All(s.db.Snapshot()) {
		if row.Incarnation == owner {
			return row.Namespace + "/" + row.Pod
		}
	}
	return fmt.Sprintf("a workload that is gone (incarnation %d)", owner)
}

// service is the frontend that has this number in the kernel.
func (s *Sweeper) service(id uint32) string {
	var key abi.ServiceKey
	var value abi.Service
	each := s.datapath.Map("services").Iterate()
	for each.Next(&key, &value) {
		if value.Id != id {
			continue
		}
		f := table.Frontend{Address: key.Addr.IP(), Port: key.Port.Number(), Protocol: key.Protocol, Scope: table.Scope(key.Scope)}
		if row, ok := s.tables.Frontends.One(s.db.Snapshot(), table.FrontendKey(f)); ok {
			return row.Namespace + "/" + row.Name
		}
		return netip.AddrPortFrom(f.Address, f.Port).String()
	}
	return fmt.Sprintf("a service that is gone (%d)", id)
}

// Pressure is how full each table is.
func (s *Sweeper) Pressure() map[string]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := map[string]float64{}
	for _, t := range s.last {
		full[t.Table] = float64(t.Held) / float64(t.Size)
	}
	return full
}

// Components are lines of `weft status`: one per table.
func (s *Sweeper) Components() []agentv1.Component {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []agentv1.Component{}
	for kind, t := range s.last {
		c := agentv1.Component{Name: "shared " + t.Table, Health: agentv1.HealthOK, Message: fmt.Sprintf("%d of %d", t.Held, t.Size)}
		if s.full[t.Table] {
			c.Health = agentv1.HealthDegraded
			c.Message += ": nearly full, new connections will be dropped"
		}
		c.Message += s.crowding(abi.QuotaKind(kind), t)
		list = append(list, c)
	}
	return list
}

// named is how many owners a line of `weft status` names.
const named = 4

// crowding names who holds all that one may hold of a table, most first: a quarter of it, or less while it is nearly full.
func (s *Sweeper) crowding(kind abi.QuotaKind, t sweep.Swept) string {
	type holder struct {
		owner uint32
		of    abi.QuotaKind
		held  int64
	}
	var list []holder
	for owner, quota := range s.quotas {
		for _, of := range heldOf(kind) {
			if held := quota.Held[of]; held >= int64(t.Limit) {
				list = append(list, holder{owner, of, held})
			}
		}
	}
	slices.SortFunc(list, func(a, b holder) int {
		return cmp.Or(cmp.Compare(b.held, a.held), cmp.Compare(a.owner, b.owner), cmp.Compare(a.of, b.of))
	})
	var text strings.Builder
	for i, h := range list {
		if i == named {
			fmt.Fprintf(&text, "; and %d more", len(list)-named)
			break
		}
		what := "%s holds %d of the %d that one may hold now"
		if h.of == abi.QuotaCalled {
			what = "%[2]d connections from elsewhere are open to %[1]s, of the %[3]d that may be now"
		}
		fmt.Fprintf(&text, "; "+what, s.name(h.owner), h.held, t.Limit)
	}
	return text.String()
}

var (
	sweepRuns    = prometheus.NewDesc("cilium_datapath_conntrack_gc_runs_total", "Passes over the tables of connections.", nil, nil)
	sweepSeconds = prometheus.NewDesc("cilium_datapath_conntrack_gc_duration_seconds_total", "Time that passes over the tables of connections took, all together.", nil, nil)
	sweepEntries = prometheus.NewDesc("cilium_datapath_conntrack_gc_entries", "Entries that the last pass left alive, and that all passes deleted.", []string{"table", "status"}, nil)
	quotaRefused = prometheus.NewDesc("weft_quota_refused_total", "New entries that were refused because their workload holds its quota.", []string{"table"}, nil)
)

// Describe implements prometheus.Collector.
func (s *Sweeper) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sweepRuns, sweepSeconds, sweepEntries, quotaRefused} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Sweeper) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out <- prometheus.MustNewConstMetric(sweepRuns, prometheus.CounterValue, float64(s.runs))
	out <- prometheus.MustNewConstMetric(sweepSeconds, prometheus.CounterValue, s.took.Seconds())
	for _, t := range s.last {
		out <- prometheus.MustNewConstMetric(sweepEntries, prometheus.GaugeValue, float64(t.Held), t.Table, "alive")
		out <- prometheus.MustNewConstMetric(sweepEntries, prometheus.GaugeValue, float64(s.removed[t.Table]), t.Table, "deleted")
		out <- prometheus.MustNewConstMetric(quotaRefused, prometheus.CounterValue, float64(s.refused[t.Table]), t.Table)
	}
}
