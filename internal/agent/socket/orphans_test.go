package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weftnet.io/weftnet/internal/lb/orphan"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// node is one whose kernel the test plays. It runs in a bubble.
type node struct {
	*testing.T
	t       *table.Tables
	db      *state.DB
	orphans *Orphans
	log     strings.Builder
	sockets []orphan.Led
	calls   []string // that ended sockets: namespace and cookies
	fails   error
}

func run(t *testing.T, test func(n *node)) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{T: t}
		n.t, n.db = table.New()
		n.orphans = NewOrphans(nil, n.t, n.db, slog.New(slog.NewTextHandler(&n.log, nil)), "/host")
		n.orphans.read = func() ([]orphan.Led, error) { return n.sockets, nil }
		n.orphans.end = func(path string, sockets []orphan.Socket) (int, error) {
			call := path + ":"
			for _, s := range sockets {
				call += fmt.Sprint(" ", s.Cookie)
			}
			n.calls = append(n.calls, call)
			return len(sockets), n.fails
		}
		n.configure(settings.Sockets{On: true})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = n.orphans.Run(ctx) }()
		synctest.Wait()
		test(n)
		cancel()
	})
}

func (n *node) write(do func(tx *state.Tx)) {
	n.Helper()
	if err := n.db.Write(func(tx *state.Tx) error { do(tx); return nil }); err != nil {
		n.Fatal(err)
	}
	synctest.Wait()
}

func (n *node) configure(c settings.Sockets) {
	n.write(func(tx *state.Tx) {
		n.t.Configs.Put(tx, table.Config{Concern: settings.OfServices, Settings: settings.Config{Services: settings.Services{Sockets: c}}})
		n.t.Configs.MarkSynced(tx)
	})
}

// offer puts a frontend of UDP with these backends.
func (n *node) offer(port uint16, backends ...netip.AddrPort) {
	f := table.Frontend{Address: netip.MustParseAddr("10.96.0.80"), Port: port, Protocol: 17}
	for _, b := range backends {
		f.Backends = append(f.Backends, table.Backend{Address: b.Addr(), Port: b.Port(), Terminating: len(f.Backends) > 0})
	}
	n.write(func(tx *state.Tx) { n.t.Frontends.Put(tx, f) })
}

func (n *node) synced() { n.write(func(tx *state.Tx) { n.t.Frontends.MarkSynced(tx) }) }

// follow says that the kernel has all frontends.
func (n *node) follow() {
	n.write(func(tx *state.Tx) {
		status.Statuses.Put(tx, status.Status{Table: n.t.Frontends.Name(), Rev: n.t.Frontends.LastRevision(tx)})
	})
}

// want compares what was ended since it was asked last.
func (n *node) want(calls ...string) {
	n.Helper()
	synctest.Wait()
	if !slices.Equal(n.calls, calls) {
		n.Errorf("ended: %q, want %q", n.calls, calls)
	}
	n.calls = nil
}

func (n *node) behind(is bool) {
	n.Helper()
	if what := n.orphans.Behind(n.db.Snapshot()); (what != "") != is {
		n.Errorf("it is behind: %q", what)
	}
}

var one, two = netip.MustParseAddrPort("10.244.1.7:53"), netip.MustParseAddrPort("10.244.1.8:53")

func led(cookie uint64, to netip.AddrPort, protocol uint8) orphan.Led {
	return orphan.Led{Socket: orphan.Socket{Cookie: cookie, Backend: orphan.Backend{At: to, Protocol: protocol}}, Service: netip.MustParseAddrPort("10.96.0.80:53")}
}

func TestNothingIsEndedBeforeAllIsKnownAndInTheKernel(t *testing.T) {
	run(t, func(n *node) {
		n.sockets = []orphan.Led{led(1, one, 17), led(2, two, 17), led(3, two, 6)}
		n.offer(53, one)
		n.want()
		n.synced()
		n.want()
		n.behind(true)
		n.follow()
		n.want(": 2") // what went while no agent was there
		n.behind(false)
		n.offer(53)
		n.behind(true)
		time.Sleep(pause)
		n.want()
		n.follow()
		n.want(": 1")
		n.behind(false)
	})
}

func TestABackendThatTerminatesIsThereAndOneThatIsOfferedElsewhereIsNot(t *testing.T) {
	run(t, func(n *node) {
		n.sockets = []orphan.Led{led(1, one, 17), led(2, two, 17)}
		n.offer(53, one, two)
		n.offer(54, one)
		n.synced()
		n.follow()
		n.want()
		n.offer(53, two)
		n.follow()
		n.want(": 1")
		time.Sleep(pause)
		n.write(func(tx *state.Tx) {
			n.t.Frontends.Delete(tx, table.FrontendKey(table.Frontend{Address: netip.MustParseAddr("10.96.0.80"), Port: 53, Protocol: 17}))
		})
		n.follow()
		n.want(": 2")
	})
}

func TestASocketThatCalledANodePortHasItsBackend(t *testing.T) {
	run(t, func(n *node) {
		for i, called := range []string{"192.0.2.1:30053", "127.0.0.1:30053", "[fd00::1]:30053", "192.0.2.1:30054"} {
			s := led(uint64(i), one, 17)
			s.Service = netip.MustParseAddrPort(called)
			n.sockets = append(n.sockets, s)
		}
		n.write(func(tx *state.Tx) {
			f := table.Frontend{Address: netip.IPv4Unspecified(), Port: 30053, Protocol: 17, Backends: []table.Backend{{Address: one.Addr(), Port: one.Port()}}}
			n.t.Frontends.Put(tx, f)
			f.Address = netip.IPv6Unspecified()
			n.t.Frontends.Put(tx, f)
		})
		n.synced()
		n.follow()
		n.want(": 3")
	})
}

func TestWhoseSocketsAreEndedFollowsTheConfiguration(t *testing.T) {
	run(t, func(n *node) {
		n.write(func(tx *state.Tx) {
			n.t.Attachments.Put(tx, table.Attachment{ContainerID: "a", Interface: "eth0", Netns: "/run/netns/a"})
			n.t.Attachments.Put(tx, table.Attachment{ContainerID: "a", Interface: "eth1", Netns: "/run/netns/a"})
		})
		n.sockets = []orphan.Led{led(1, one, 17), led(2, one, 6)}
		n.synced()
		n.follow()
		n.want(": 1")
		time.Sleep(pause)
		n.configure(settings.Sockets{On: true, EndOfPods: true})
		n.want(": 1", "/host/run/netns/a: 1")
		time.Sleep(pause)
		n.configure(settings.Sockets{On: true, EndTCP: true})
		n.want(": 1 2")
		time.Sleep(pause)
		n.configure(settings.Sockets{})
		n.want()
		n.behind(false)
	})
}

func TestSocketsAreLookedAtASecondApartAndOnceAlone(t *testing.T) {
	run(t, func(n *node) {
		n.sockets = []orphan.Led{led(1, one, 17)}
		n.synced()
		n.follow()
		n.want(": 1")
		for range 5 { // nothing that was led there is new
			n.offer(53, two)
			n.offer(53)
			n.follow()
			n.want()
			n.behind(false)
		}
		for i := range uint64(5) {
			n.sockets = append(n.sockets, led(2+i, two, 17))
			n.offer(53, two)
			n.offer(53)
			n.follow()
			n.want()
			n.behind(true)
		}
		time.Sleep(pause)
		n.want(": 2 3 4 5 6")
		n.behind(false)
		time.Sleep(every)
		n.want(": 1 2 3 4 5 6") // for one that was being connected meanwhile
		time.Sleep(every)
		n.want()
	})
}

func TestASocketThatCallsABackendAnewIsEndedAnew(t *testing.T) {
	run(t, func(n *node) {
		n.sockets = []orphan.Led{led(1, one, 17)}
		n.synced()
		n.follow()
		n.want(": 1")
		time.Sleep(pause)
		n.offer(53, one)
		n.offer(53)
		n.follow()
		n.want(": 1")
	})
}

func TestReadingTakesASmallPartOfTheTime(t *testing.T) {
	run(t, func(n *node) {
		reads := 0
		n.orphans.read = func() ([]orphan.Led, error) {
			reads++
			time.Sleep(10 * time.Millisecond)
			return nil, nil
		}
		n.synced()
		n.follow()
		for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
			n.offer(53, one)
			n.offer(53)
			n.follow()
		}
		if reads < 40 || reads > 60 {
			t.Errorf("it has read %d times in ten seconds, each of which took 10 ms", reads)
		}
	})
}

// The kernel is asked by backends, of which there are few: an agent that starts where many sockets were led is not longer about it.
func TestManySocketsAreEndedAtOnce(t *testing.T) {
	run(t, func(n *node) {
		for i := range uint64(10_000) {
			n.sockets = append(n.sockets, led(i, one, 17))
		}
		n.synced()
		n.follow()
		if len(n.calls) != 1 {
			t.Errorf("%d calls", len(n.calls))
		}
		n.behind(false)
	})
}

func TestWhatKeepsSocketsFromTheirEndIsSaidOnce(t *testing.T) {
	run(t, func(n *node) {
		n.fails = errors.New("not here")
		n.sockets = []orphan.Led{led(1, one, 17)}
		n.synced()
		n.follow()
		time.Sleep(every)
		n.want(": 1", ": 1")
		if times := strings.Count(n.log.String(), "not here"); times != 1 || n.orphans.Trouble() != "not here" {
			t.Errorf("said %d times, and %q", times, n.orphans.Trouble())
		}
		n.fails, n.sockets = nil, nil
		time.Sleep(every)
		n.want()
		if n.orphans.Trouble() != "" {
			t.Errorf("still %q", n.orphans.Trouble())
		}
	})
}
