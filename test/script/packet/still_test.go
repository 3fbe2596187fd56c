package packet

import (
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
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
	by := uint64(now.Sub(b.still.at))
	b.still.at = now
	err := rewrite(b.dp.Map("connections"), func(_ *abi.CtKey, v *abi.Ct) { v.Expires, v.Opened, v.Last = v.Expires+by, v.Opened+by, v.Last+by })
	if err == nil {
		err = rewrite(b.dp.Map("translations"), func(_ *abi.NatKey, v *abi.Nat) { v.Opened += by })
	}
	if err == nil {
		err = rewrite(b.dp.Map("fragments"), func(_ *abi.FragmentKey, v *abi.Fragment) { v.Expires += by })
	}
	b.still.cost = time.Since(now)
	return err
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
