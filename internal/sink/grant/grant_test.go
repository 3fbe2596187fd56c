package grant

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
)

// fake grants one address to each container, and may be slow or refuse.
type fake struct {
	mu    sync.Mutex
	has   map[string]string // terms by container
	calls int
	why   error
	takes time.Duration
}

func (f *fake) Grant(ctx context.Context, o grant.Order) (address.Grant, error) {
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
		return address.Grant{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.why != nil {
		return address.Grant{}, f.why
	}
	f.has[o.ContainerID] = o.Terms.Config
	return address.Grant{Addresses: []address.Address{{Prefix: netip.MustParsePrefix("10.0.0.1/24")}}}, nil
}

func (f *fake) Return(_ context.Context, o grant.Order) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.has, o.ContainerID)
	return nil
}

func (f *fake) Held(context.Context) (list []grant.Order, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.has {
		list = append(list, grant.Order{ContainerID: c, Interface: "net1"})
	}
	return list, nil
}

type bench struct {
	*testing.T
	*fake
	db   *state.DB
	stop context.CancelFunc
	over chan error
}

func begin(t *testing.T, f *fake) *bench {
	_, db := table.New()
	b := &bench{T: t, fake: f, db: db, over: make(chan error, 1)}
	b.start()
	return b
}

// start begins an agent: what it has granted before it knows no more.
func (b *bench) start() {
	s := &Sink{DB: b.db, Granters: map[string]Granter{"weft": b.fake}}
	ctx, stop := context.WithCancel(b.Context())
	if err := errors.Join(s.Begin(), b.db.Write(func(tx *state.Tx) error { grant.Orders.MarkSynced(tx); return nil })); err != nil {
		b.Fatal(err)
	}
	b.stop = stop
	go func() { b.over <- s.Loop().Run(ctx, b.db) }()
}

func (b *bench) order(config string) {
	_ = b.db.Write(func(tx *state.Tx) error {
		grant.Orders.Put(tx, grant.Order{ContainerID: "c1", First: "eth0", Interface: "net1", Terms: grant.Terms{Type: "weft", Config: config}})
		return nil
	})
}

func (b *bench) grant() (grant.Grant, bool) {
	return grant.Grants.One(b.db.Snapshot(), table.AttachmentKey("c1", "net1"))
}

func TestAnOrderIsGrantedOnceAndReturnedWhenItGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, &fake{has: map[string]string{"left": "over"}})
		b.order("one")
		synctest.Wait()
		if g, ok := b.grant(); !ok || len(g.Is.Addresses) != 1 || g.Why != "" {
			t.Errorf("granted: %+v", g)
		}
		if _, ok := b.has["left"]; ok {
			t.Error("what an earlier agent has left is not returned")
		}
		b.order("another")
		synctest.Wait()
		if g, _ := b.grant(); g.Terms.Config != "another" || b.has["c1"] != "another" || b.calls != 2 {
			t.Errorf("another order: granted %+v, called %d times", g, b.calls)
		}
		_ = b.db.Write(func(tx *state.Tx) error { grant.Orders.Delete(tx, table.AttachmentKey("c1", "net1")); return nil })
		synctest.Wait()
		if _, ok := b.grant(); ok || len(b.has) != 0 {
			t.Errorf("the order is gone, and %v remains", b.has)
		}
		b.stop()
		<-b.over
	})
}

func TestWhyNothingIsGrantedIsWrittenAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, &fake{has: map[string]string{}, why: errors.New("no free address")})
		b.order("one")
		synctest.Wait()
		if g, _ := b.grant(); g.Why != "no free address" {
			t.Errorf("granted: %+v", g)
		}
		b.mu.Lock()
		b.why = nil
		b.mu.Unlock()
		time.Sleep(time.Minute)
		if g, _ := b.grant(); g.Why != "" || len(g.Is.Addresses) != 1 {
			t.Errorf("granted: %+v", g)
		}

		// What a Granter does not know of any more is granted again, and what it refuses now stays written.
		b.mu.Lock()
		b.has, b.why = map[string]string{}, errors.New("away")
		b.mu.Unlock()
		time.Sleep(6 * time.Minute)
		if g, _ := b.grant(); g.Why != "" {
			t.Errorf("a NIC that has its address loses it in the table: %+v", g)
		}
		b.mu.Lock()
		b.why = nil
		b.mu.Unlock()
		time.Sleep(6 * time.Minute)
		b.mu.Lock()
		if b.has["c1"] != "one" {
			t.Errorf("it is not granted again: %v", b.has)
		}
		b.mu.Unlock()
		b.stop()
		<-b.over
	})
}

func TestASlowGranterHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{has: map[string]string{}, takes: time.Minute}
		b := begin(t, slow)
		b.order("one")
		time.Sleep(10 * time.Second)
		_ = b.db.Write(func(tx *state.Tx) error {
			grant.Orders.Put(tx, grant.Order{ContainerID: "c2", First: "eth0", Interface: "net1", Terms: grant.Terms{Type: "other"}})
			return nil
		})
		time.Sleep(10 * time.Second)
		if g, ok := grant.Grants.One(b.db.Snapshot(), table.AttachmentKey("c2", "net1")); !ok || g.Why == "" {
			t.Errorf("the other waits: %+v", g)
		}
		if _, ok := b.grant(); ok {
			t.Error("it is granted already")
		}
		time.Sleep(time.Minute)
		if g, ok := b.grant(); !ok || g.Why != "" || b.calls != 1 {
			t.Errorf("granted %+v, called %d times", g, b.calls)
		}
		b.stop()
		<-b.over
	})
}
