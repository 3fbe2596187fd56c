package sweep

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Whenever passes come, a connection is told of once between two moments that lie an interval apart, and not before it is as old.
func TestEachConnectionIsToldOfOnceInAnInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := rapid.Uint64Range(1, 1000).Draw(t, "interval")
		opened := rapid.Uint64Range(1, 5000).Draw(t, "opened")
		var p Progress
		p.Every(time.Duration(every))
		now, since := opened, uint64(0) // since: passes have been going on
		told := uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "passes") {
			now += rapid.Uint64Range(1, uint64(p.Within(time.Duration(every+500)))).Draw(t, "later")
			d := p.begin(now)
			var key sweepKey
			d.see(&key, &abi.Ct{Opened: opened, Expires: now + 1})
			told += uint64(len(d.keys))
			if len(d.keys) > 0 && now-opened < every {
				t.Fatalf("told of %d after it was opened, before %d", now-opened, every)
			}
			if since == 0 {
				since = now
			}
		}
		from := max(since, opened+every)
		if lasted := now - min(from, now); told > lasted/every+2 || told+2 < lasted/every {
			t.Fatalf("told of %d times in %d, every %d", told, lasted, every)
		}
	})
}

func TestConnectionsThatWereOpenedAtOnceAreNotToldOfAtOnce(t *testing.T) {
	const (
		many  = 10_000
		apart = uint64(10 * time.Second)
	)
	var p Progress
	p.Every(time.Minute)
	p.begin(uint64(time.Hour))
	all := 0
	for i := range uint64(6) {
		d := p.begin(uint64(time.Hour) + (i+1)*apart)
		for n := range uint64(many) {
			var key sweepKey
			d.see(&key, &abi.Ct{Opened: uint64(time.Minute) + n*300, Expires: 1 << 62})
		}
		if len(d.keys) > many/5 {
			t.Errorf("%d of %d are told of in one of six passes", len(d.keys), many)
		}
		all += len(d.keys)
	}
	if all != many {
		t.Errorf("%d of %d were told of", all, many)
	}
}

func TestNothingIsToldOfWhatIsOverOrWhileNothingIsToBeTold(t *testing.T) {
	var p Progress
	if p.Within(time.Second) != time.Second {
		t.Error("passes come the oftener for nothing")
	}
	for _, c := range []struct {
		name  string
		every time.Duration
		row   abi.Ct
		want  int
	}{
		{"one that lives", time.Second, abi.Ct{Opened: 1, Expires: 1 << 62}, 1},
		{"one whose end is told", time.Second, abi.Ct{Opened: 1, Expires: 1 << 62, Flags: abi.CtEnded}, 0},
		{"one that is past its time", time.Second, abi.Ct{Opened: 1, Expires: 1}, 0},
		{"one that lives, while nothing is told", 0, abi.Ct{Opened: 1, Expires: 1 << 62}, 0},
	} {
		p.Every(c.every)
		p.begin(uint64(time.Hour))
		d := p.begin(uint64(time.Hour + time.Second))
		var key sweepKey
		d.see(&key, &c.row)
		if len(d.keys) != c.want {
			t.Errorf("%s: %d", c.name, len(d.keys))
		}
	}
}
