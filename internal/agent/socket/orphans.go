package socket

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/lb/orphan"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/sink/bpfmap/called"
	"weftnet.io/weftnet/internal/sink/link/diag"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

const (
	every = 5 * time.Minute // between passes that look a second time, too
	pause = time.Second     // between passes that look at sockets
	share = 20              // one part of so many of the time goes into reading what was led where, which takes 10 ms of a full map
)

// Orphans ends sockets of one node that speak with a backend that their service does not offer any more.
type Orphans struct {
	tables *table.Tables
	db     *state.DB
	log    *slog.Logger
	root   string                       // where paths of the host are seen
	read   func() ([]orphan.Led, error) // all that were led to backends
	end    func(string, []orphan.Socket) (int, error)

	settled map[orphan.Backend]map[uint64]int // cookies of orphans, and how often they were looked at: they are closed, ended, or not connected
	looked  time.Time                         // when sockets were looked at last
	again   time.Time                         // when what was led where may be read again

	mu      sync.Mutex
	done    uint64 // revision of the frontends that the last pass knew
	asked   settings.Sockets
	trouble string
}

// NewOrphans looks at the sockets that programs of a loaded datapath led to backends. Root is where paths of the host are seen.
func NewOrphans(d *datapath.Datapath, t *table.Tables, db *state.DB, log *slog.Logger, root string) *Orphans {
	return &Orphans{
		tables: t, db: db, log: log, root: root, end: diag.End, settled: map[orphan.Backend]map[uint64]int{},
		read: func() ([]orphan.Led, error) { return called.Read(d.Map("socket_services")) },
	}
}

// Run works until ctx ends.
func (o *Orphans) Run(ctx context.Context) error {
	feed := o.tables.Frontends.Feed(o.db)
	defer feed.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	due, twice := true, false // a pass is; one that looks a second time, too
	for config := o.config(o.db.Snapshot()); ; {
		changes, s, more := feed.Next()
		for _, c := range changes {
			due = o.note(c) || due
		}
		if o.config(s) != config {
			config, due = o.config(s), true
			clear(o.settled)
		}
		var later <-chan time.Time
		if o.ready(s) {
			rev := o.tables.Frontends.LastRevision(s)
			if due {
				if o.caughtUp(ctx, rev) != nil {
					return nil
				}
				rest := o.pass(s, config, twice)
				if due = rest > 0; due {
					later = time.After(rest)
				} else {
					twice = false
				}
			}
			if !due {
				o.tell(rev, config)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-more:
		case <-o.tables.Configs.WatchAll(s):
		case <-later:
		case <-tick.C:
			due, twice = true, true
		}
	}
}

// ready tells whether all frontends are known, and what is asked for.
func (o *Orphans) ready(s *state.Snapshot) bool {
	return o.tables.Frontends.IsSynced(s) && o.tables.Configs.IsSynced(s)
}

// note tells whether a change lets go of a backend. What was settled of one that is there is not any more: its sockets may call it anew.
func (o *Orphans) note(c state.Change[table.Frontend]) bool {
	var had, has []orphan.Backend
	if c.HadOld {
		had = backendsOf(c.Old)
	}
	if !c.Deleted {
		has = backendsOf(c.Row)
	}
	for _, b := range has {
		delete(o.settled, b)
	}
	return orphan.Lost(had, has)
}

func backendsOf(r table.Frontend) []orphan.Backend {
	list := make([]orphan.Backend, len(r.Backends))
	for i, b := range r.Backends {
		list[i] = orphan.Backend{At: netip.AddrPortFrom(b.Address, b.Port), Protocol: r.Protocol}
	}
	return list
}

// offers tells of a snapshot which backends calls of a service may have at sockets, whether that is an address of its own, or a port of all nodes.
func (o *Orphans) offers(s *state.Snapshot) func(netip.AddrPort, orphan.Backend) bool {
	type frontend struct {
		at       netip.AddrPort
		protocol uint8
	}
	known := map[frontend]map[orphan.Backend]bool{}
	return func(service netip.AddrPort, b orphan.Backend) bool {
		f := frontend{service, b.Protocol}
		if known[f] == nil {
			known[f] = map[orphan.Backend]bool{}
			everywhere := netip.IPv6Unspecified()
			if service.Addr().Is4() {
				everywhere = netip.IPv4Unspecified()
			}
			for _, scope := range []table.Scope{table.ScopeCluster, table.ScopeHere, table.ScopeBehind} {
				for _, a := range []netip.Addr{service.Addr(), everywhere} {
					r, _ := o.tables.Frontends.One(s, table.FrontendKey(table.Frontend{Address: a, Port: service.Port(), Protocol: b.Protocol, Scope: scope}))
					for _, has := range backendsOf(r) {
						known[f][has] = true
					}
				}
			}
		}
		return known[f][b]
	}
}

// caughtUp waits until the kernel has what frontends are as of a revision: before that programs lead calls to what is gone. A frontend
// that the kernel does not take is not waited for.
func (o *Orphans) caughtUp(ctx context.Context, rev uint64) error {
	for {
		whole, _, changed := status.Statuses.WatchOne(o.db.Snapshot(), status.KeyOf(o.tables.Frontends, ""))
		if whole.Rev >= rev {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// pass ends orphans that no earlier pass has seen, or, if it is to look twice, one alone: they may have been connecting then. Rest is
// how much later it is to be, if it is too soon; 0: it was.
func (o *Orphans) pass(s *state.Snapshot, c settings.Sockets, twice bool) (rest time.Duration) {
	if !c.On {
		return 0
	}
	if rest = time.Until(o.again); rest > 0 {
		return rest
	}
	began := time.Now()
	sockets, err := o.read()
	o.again = time.Now().Add(share * time.Since(began))
	if err != nil {
		o.tellTrouble(err)
		return 0
	}
	protocols := []uint8{unix.IPPROTO_UDP}
	if c.EndTCP {
		protocols = append(protocols, unix.IPPROTO_TCP)
	}
	orphans := o.fresh(orphan.Of(sockets, o.offers(s), protocols...), twice)
	if len(orphans) == 0 {
		if twice {
			o.tellTrouble(nil) // what met any is no more
		}
		return 0
	}
	if rest = time.Until(o.looked.Add(pause)); rest > 0 {
		return rest
	}
	o.looked = time.Now()
	ended := 0
	var trouble error // the first one: where there are more, they are alike
	for _, path := range o.namespaces(s, c) {
		n, err := o.end(path, orphans)
		ended, trouble = ended+n, cmp.Or(trouble, err)
	}
	for _, is := range orphans {
		of := o.settled[is.Backend]
		if of == nil {
			of = map[uint64]int{}
			o.settled[is.Backend] = of
		}
		if of[is.Cookie]++; trouble != nil {
			of[is.Cookie] = 1 // it is looked at again
		}
	}
	o.tellEnded(ended, trouble)
	return 0 // what met trouble would meet the same: the next look is soon enough
}

// fresh are those that no pass has seen, or one alone, each once. What the kernel has forgotten is forgotten here, too.
func (o *Orphans) fresh(orphans []orphan.Socket, twice bool) (list []orphan.Socket) {
	seen := make(map[orphan.Socket]bool, len(orphans))
	for _, is := range orphans {
		if looked := o.settled[is.Backend][is.Cookie]; !seen[is] && (looked == 0 || looked == 1 && twice) {
			list = append(list, is)
		}
		seen[is] = true
	}
	for b, of := range o.settled {
		maps.DeleteFunc(of, func(cookie uint64, _ int) bool { return !seen[orphan.Socket{Cookie: cookie, Backend: b}] })
		if len(of) == 0 {
			delete(o.settled, b)
		}
	}
	return list
}

// namespaces are the network namespaces whose sockets are led to backends: the node's own, and those of its pods.
func (o *Orphans) namespaces(s *state.Snapshot, c settings.Sockets) []string {
	paths := []string{""}
	if !c.EndOfPods {
		return paths
	}
	for a := range o.tables.Attachments.All(s) {
		paths = append(paths, o.root+a.Netns)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func (o *Orphans) config(r state.Reader) settings.Sockets { return o.tables.Config(r).Sockets }

func (o *Orphans) tell(rev uint64, c settings.Sockets) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done, o.asked = rev, c
}

func (o *Orphans) tellEnded(ended int, err error) {
	if ended > 0 {
		o.log.Info("sockets are ended whose backends their services do not offer any more: their processes call again", "sockets", ended)
	}
	o.tellTrouble(err)
}

// tellTrouble logs what is wrong, once while it stays the same.
func (o *Orphans) tellTrouble(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	o.mu.Lock()
	before := o.trouble
	o.trouble = text
	o.mu.Unlock()
	if text != "" && text != before {
		o.log.Warn("processes are not told that the backend of their connected sockets is gone", "error", text)
	}
}

// Trouble says why sockets are not ended that should be; empty: they are.
func (o *Orphans) Trouble() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.trouble
}

// Behind says what of a snapshot has not been looked at; empty: nothing.
func (o *Orphans) Behind(s *state.Snapshot) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ready(s) && (o.done < o.tables.Frontends.LastRevision(s) || o.asked != o.config(s)) {
		return "sockets of backends that are gone"
	}
	return ""
}
