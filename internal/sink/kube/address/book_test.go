package address

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go4.org/netipx"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/sink/kube/block"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

const blockPath = "/apis/weftnet.io/v1alpha1/addressblocks/"

// spans reads 10.0.0.1-10.0.0.9.
func spans(texts ...string) (out []netipx.IPRange) {
	for _, t := range texts {
		out = append(out, netipx.MustParseIPRange(t))
	}
	return out
}

func nicOf(container string) cluster.Holder {
	return cluster.Holder{Container: container, Interface: "net1", Pod: "shop/" + container}
}

func open(t testing.TB, api *rest.Config, node string, now func() time.Time) *Book {
	t.Helper()
	b, err := New(Config{API: api, Node: node, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestANodeGivesOutOfItsOwnBlocksAndBorrowsTheLastAddresses is the life of a short range.
func TestANodeGivesOutOfItsOwnBlocksAndBorrowsTheLastAddresses(t *testing.T) {
	server := apitest.New(t)
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	a, b := open(t, server.Config(), "a", now), open(t, server.Config(), "b", now)
	w := func(c string) cluster.Want { return cluster.Want{From: spans("10.0.0.1-10.0.0.17"), Holder: nicOf(c)} }
	take := func(book *Book, container string) string {
		t.Helper()
		got, err := book.Take(t.Context(), w(container))
		if err != nil {
			return err.Error()
		}
		return got.String()
	}
	step := func(what, have, want string) {
		t.Helper()
		if have != want {
			t.Fatalf("%s: have %s, want %s", what, have, want)
		}
	}
	step("the first of the range", take(a, "a1"), "10.0.0.1")
	step("the same NIC", take(a, "a1"), "10.0.0.1")
	step("another node begins a block", take(b, "b1"), "10.0.0.16")
	step("the rest of it", take(b, "b2"), "10.0.0.17")
	step("its range is used up, so it borrows", take(b, "b3"), "10.0.0.2")
	for i := range 13 {
		take(a, fmt.Sprint("a", i+2))
	}
	step("all is given", take(a, "late"), "no free address in 10.0.0.1-10.0.0.17 (17 held)")
	if err := b.Release(t.Context(), "b3", "net1"); err != nil {
		t.Fatal(err)
	}
	step("it rests", take(a, "late"), "no free address in 10.0.0.1-10.0.0.17 (16 held, 1 resting)")
	clock = clock.Add(Rest)
	step("it has rested", take(a, "late"), "10.0.0.2")
	step("by name", fmt.Sprint(b.Claim(t.Context(), w("b4"), netip.MustParseAddr("10.0.0.2"))), "address 10.0.0.2: it is held by pod shop/late on node a")

	for _, c := range []string{"b1", "b2"} {
		_ = b.Release(t.Context(), c, "net1")
	}
	clock = clock.Add(Rest)
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	step("an empty block is given back", fmt.Sprint(server.Paths(blockPath)), "["+blockPath+"b-10.0.0.0]")
}

// TestOverlappingRangesShareTheirAddresses has two networks with parts of one subnet, and a third with a space of its own.
func TestOverlappingRangesShareTheirAddresses(t *testing.T) {
	server := apitest.New(t)
	b := open(t, server.Config(), "a", nil)
	seen := map[netip.Addr]bool{}
	for i := range 6 {
		from := spans("10.0.0.1-10.0.0.14")
		if i%2 == 1 {
			from = spans("10.0.0.1-10.0.0.6")
		}
		a, err := b.Take(t.Context(), cluster.Want{From: from, Holder: nicOf(fmt.Sprint(i))})
		if err != nil || seen[a] {
			t.Fatalf("NIC %d has %v: %v", i, a, err)
		}
		seen[a] = true
	}
	a, err := b.Take(t.Context(), cluster.Want{Space: "blue", From: spans("10.0.0.1-10.0.0.6"), Holder: nicOf("blue")})
	if err != nil || a.String() != "10.0.0.1" {
		t.Fatalf("in a space of its own: %v, %v", a, err)
	}
}

// wire is a connection to the API server that loses requests and answers, and can be cut.
type wire struct {
	next http.RoundTripper
	cut  atomic.Bool
	lose int // of 1000
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.cut.Load() || rand.IntN(1000) < w.lose {
		return nil, errors.New("the request is lost")
	}
	answer, err := w.next.RoundTrip(r)
	if err == nil && (w.cut.Load() || rand.IntN(1000) < w.lose) {
		answer.Body.Close()
		return nil, errors.New("the answer is lost")
	}
	return answer, err
}

// ledger is who has which address, as agents have answered.
type ledger struct {
	mu    sync.Mutex
	holds map[netip.Addr]map[string]string // by address: container, and its owner
}

func (l *ledger) given(t *testing.T, a netip.Addr, container, owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, itsOwner := range l.holds[a] {
		if other != container && (owner == "" || owner != itsOwner) {
			t.Errorf("%s was given to %s (%s), and is held by %s (%s)", a, container, owner, other, itsOwner)
		}
	}
	if l.holds[a] == nil {
		l.holds[a] = map[string]string{}
	}
	l.holds[a][container] = owner
}

func (l *ledger) back(container string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for a := range l.holds {
		if delete(l.holds[a], container); len(l.holds[a]) == 0 {
			delete(l.holds, a)
		}
	}
}

// TestNoAddressIsGivenTwiceWhileAgentsDie has three agents give and take at once, out of ranges that overlap and are too short for all, over a
// network that loses requests and answers. Each dies again and again, at any point, and begins anew with what it had answered.
// In the end nothing is held but what was answered, and nothing is left of the rest.
func TestNoAddressIsGivenTwiceWhileAgentsDie(t *testing.T) {
	server := apitest.New(t)
	l := &ledger{holds: map[netip.Addr]map[string]string{}}
	var agents sync.WaitGroup
	journals := make([][]string, 3)
	for i := range journals {
		agents.Go(func() {
			node := fmt.Sprint("node-", i)
			for life := range 6 {
				journals[i] = live(t, server, l, node, fmt.Sprint(node, "-", life, "-"), journals[i], life == 5)
			}
		})
	}
	agents.Wait()

	held := map[netip.Addr]bool{}
	for i, journal := range journals { // the dust settles: each node sweeps once with all that it answered
		b := open(t, server.Config(), fmt.Sprint("node-", i), func() time.Time { return time.Now().Add(time.Hour) })
		for _, c := range journal {
			b.Restore(c, "net1")
		}
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range server.Paths(blockPath) {
		var o v1alpha1.AddressBlock
		server.Get(path, &o)
		b, err := block.Read(&o)
		if err != nil {
			t.Fatal(err)
		}
		for a, u := range b.Used {
			held[a] = held[a] || len(u.Holders) > 0
			for _, h := range u.Holders {
				if _, ok := l.holds[a][h.Container]; !ok {
					t.Errorf("%s is held by %s, which has no answer that says so", a, h.Container)
				}
			}
		}
	}
	for a := range l.holds {
		if !held[a] {
			t.Errorf("%s was answered, and is held by none", a)
		}
	}
	if len(l.holds) == 0 {
		t.Error("no address is held in the end: this test has tried nothing")
	}
}

// live is one life of an agent. It returns its journal: the containers that it has answered and not released.
func live(t *testing.T, server *apitest.Server, l *ledger, node, prefix string, journal []string, last bool) []string {
	w := &wire{lose: 30}
	api := server.Config()
	api.WrapTransport = func(next http.RoundTripper) http.RoundTripper { w.next = next; return w }
	b, err := New(Config{API: api, Node: node, Rest: time.Nanosecond})
	if err != nil {
		t.Error(err)
		return journal
	}
	for _, c := range journal {
		b.Restore(c, "net1")
	}
	var mu sync.Mutex // guards journal and dead
	dead := false
	ranges := [][]netipx.IPRange{spans("10.0.0.1-10.0.0.40"), spans("10.0.0.20-10.0.0.60"), spans("10.0.0.2-10.0.0.9", "10.0.0.50-10.0.0.70")}
	var work sync.WaitGroup
	for worker := range 4 {
		work.Go(func() {
			for i := range 25 {
				container := fmt.Sprint(prefix, worker, "-", i)
				owner := ""
				if rand.IntN(4) == 0 {
					owner = fmt.Sprint("VirtualMachine shop/", rand.IntN(4))
				}
				want := cluster.Want{From: ranges[rand.IntN(3)], Owner: owner, Holder: nicOf(container)}
				a, err := b.Take(t.Context(), want)
				mu.Lock()
				if !dead && err == nil { // the answer reaches the runtime
					journal = append(journal, container)
					l.given(t, a, container, owner)
				}
				mu.Unlock()
				if err != nil {
					_ = b.Release(t.Context(), container, "net1") // the runtime's DEL; it may be lost
				}
				if rand.IntN(3) > 0 {
					release(t, b, l, &mu, &dead, &journal)
				}
				if rand.IntN(20) == 0 {
					_ = b.Sweep(t.Context())
				}
				if !last && rand.IntN(60) == 0 {
					mu.Lock()
					dead = true
					w.cut.Store(true)
					mu.Unlock()
				}
			}
		})
	}
	work.Wait()
	return journal
}

// release ends a container that has an address.
func release(t *testing.T, b *Book, l *ledger, mu *sync.Mutex, dead *bool, journal *[]string) {
	mu.Lock()
	if *dead || len(*journal) == 0 {
		mu.Unlock()
		return
	}
	i := rand.IntN(len(*journal))
	c := (*journal)[i]
	*journal = slices.Delete(*journal, i, i+1)
	l.back(c)
	mu.Unlock()
	_ = b.Release(t.Context(), c, "net1")
}

// BenchmarkClaims has three agents claim and release over HTTP.
func BenchmarkClaims(b *testing.B) {
	server := apitest.New(b)
	var books []*Book
	for i := range 3 {
		books = append(books, open(b, server.Config(), fmt.Sprint("node-", i), nil))
	}
	from := spans("10.0.0.1-10.15.255.254")
	var n atomic.Int64
	var seen sync.Map
	b.SetParallelism(48)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			a, err := books[i%3].Take(context.Background(), cluster.Want{From: from, Holder: nicOf(fmt.Sprint(i))})
			if err != nil {
				b.Error(err)
				return
			}
			if other, twice := seen.LoadOrStore(a, i); twice {
				b.Errorf("%s was given to %d and %d", a, other, i)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims/s")
}
