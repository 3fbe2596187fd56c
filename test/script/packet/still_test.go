package packet

import (
	"errors"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/bpf/ktime"
)

var _ = declare("still", opened(func(b *bench, _ *testscript.TestScript, _ []string) { b.still.at = time.Now() }))

// still is what it takes that no time passes for what tables keep: a slow machine needs a minute for what is said to come at once.
type still struct {
	at   time.Time     // until when they have been held back; zero: time passes
	cost time.Duration // what that took the last time
}

// hold moves all rows on by the time since it last did.
func (b *bench) hold() error {
	if b.still.at.IsZero() {
		return nil
	}
	now := time.Now()
	by, clock := uint64(now.Sub(b.still.at)), uint64(ktime.Now())
	b.still.at = now
	err := errors.Join(
		together[abi.CtKey](b.dp.Map("connections"), func(v *abi.Ct) {
			by := min(by, max(v.Last, clock)-v.Last) // nothing is later than now: what came meanwhile came now
			v.Expires, v.Opened, v.Last = v.Expires+by, v.Opened+by, v.Last+by
		}),
		together[abi.NatKey](b.dp.Map("translations"), func(v *abi.Nat) { v.Opened += by }),
		together[abi.FragmentKey](b.dp.Map("fragments"), func(v *abi.Fragment) { v.Expires += by }),
	)
	b.still.cost = time.Since(now)
	return err
}

// together changes all rows of a map, thousands with two calls of the kernel: one by one takes an emulated machine longer than what is to be held back.
func together[K, V any](m *ebpf.Map, change func(*V)) error {
	var (
		at     ebpf.MapBatchCursor
		keys   = make([]K, 4096)
		values = make([]V, 4096)
	)
	for {
		n, err := m.BatchLookup(&at, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for i := range n {
			change(&values[i])
		}
		if n > 0 {
			if _, err := m.BatchUpdate(keys[:n], values[:n], nil); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // that was all
		}
	}
}

// moment is so short that nothing depends on it.
const moment = 200 * time.Millisecond

// holdAfterAMoment is for between the packets of one command.
func (b *bench) holdAfterAMoment() error {
	if b.still.at.IsZero() || time.Since(b.still.at) < max(moment, 4*b.still.cost) {
		return nil
	}
	return b.hold()
}
