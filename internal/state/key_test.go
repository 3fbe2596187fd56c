package state_test

import (
	"cmp"
	"math"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"weftnet.io/weftnet/internal/state"
)

func drawAddr(t *rapid.T) netip.Addr {
	switch rapid.IntRange(0, 4).Draw(t, "family") {
	case 0:
		return netip.Addr{}
	case 1, 2:
		b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")
		return netip.AddrFrom4([4]byte(b))
	default:
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 0xff}), 16, 16).Draw(t, "v6")
		return netip.AddrFrom16([16]byte(b)).WithZone(rapid.SampledFrom([]string{"", "", "eth0"}).Draw(t, "zone"))
	}
}

func drawPrefix(t *rapid.T) netip.Prefix {
	a := drawAddr(t)
	return netip.PrefixFrom(a.WithZone(""), rapid.IntRange(0, max(0, a.BitLen())).Draw(t, "bits"))
}

// TestKeysCompareAsTheirPartsDo draws two lists of parts of the same kinds.
func TestKeysCompareAsTheirPartsDo(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 2, 'a'})))
	kinds := []func(t *rapid.T) (a, b any, order int){
		func(t *rapid.T) (any, any, int) {
			a, b := text.Draw(t, "a"), text.Draw(t, "b")
			return a, b, strings.Compare(a, b)
		},
		func(t *rapid.T) (any, any, int) {
			a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
			return a, b, cmp.Compare(a, b)
		},
		func(t *rapid.T) (any, any, int) {
			a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint16().Draw(t, "b")
			return a, b, cmp.Compare(a, uint64(b))
		},
		func(t *rapid.T) (any, any, int) {
			a, b := drawAddr(t), drawAddr(t)
			return a, b, a.Compare(b)
		},
		func(t *rapid.T) (any, any, int) {
			a, b := drawPrefix(t), drawPrefix(t)
			return a, b, a.Compare(b)
		},
		func(t *rapid.T) (any, any, int) {
			a, b := rapid.Bool().Draw(t, "a"), rapid.Bool().Draw(t, "b")
			return a, b, map[bool]int{true: 1, false: 0}[a] - map[bool]int{true: 1, false: 0}[b]
		},
	}
	rapid.Check(t, func(t *rapid.T) {
		var a, b []any
		want := 0
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			x, y, order := rapid.SampledFrom(kinds).Draw(t, "kind")(t)
			a, b = append(a, x), append(b, y)
			if want == 0 {
				want = order
			}
		}
		if got := strings.Compare(string(state.Join(a...)), string(state.Join(b...))); got != want {
			t.Fatalf("%v and %v compare as %d, their keys as %d", a, b, want, got)
		}
		if want != 0 && strings.HasPrefix(string(state.Join(b...)), string(state.Join(a...))) {
			t.Fatalf("the key of %v begins that of %v", a, b)
		}
	})
}

func TestASmallerKeyIsAPrefixOnlyOfItsOwnExtensions(t *testing.T) {
	if state.Join("a", "bc") == state.Join("ab", "c") {
		t.Error("parts run into each other")
	}
	if !strings.HasPrefix(string(state.Join("a", 1)), string(state.Join("a"))) {
		t.Error("Join(a) is no prefix of Join(a, 1)")
	}
}

func TestTheSameNumberIsTheSamePart(t *testing.T) {
	type port uint16
	for _, n := range []any{80, uint8(80), int64(80), uint64(80), port(80)} {
		if state.Join(n) != state.Join(80) {
			t.Errorf("%T 80 differs from int 80", n)
		}
	}
}

func TestKeysAreReadable(t *testing.T) {
	for _, c := range []struct {
		key  state.Key
		want string
	}{
		{state.Join("default", "web"), "default/web"},
		{state.Join("a\x00\x01b", true, false), "a\x00\x01b/true/false"},
		{state.Join(0, 80, -1, -256, int64(math.MinInt64), uint64(math.MaxUint64)), "0/80/-1/-256/-9223372036854775808/18446744073709551615"},
		{state.Join(addr("10.0.0.1"), addr("fe80::1%eth0"), addr("::ffff:1.2.3.4")), "10.0.0.1/fe80::1%eth0/::ffff:1.2.3.4"},
		{state.Join(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/64"), 7), "10.0.0.0/8/fd00::1/64/7"},
		{state.Join(netip.Addr{}, netip.Prefix{}), "invalid IP/invalid Prefix"},
		{"plain", "plain"},
		{"", ""},
	} {
		if got := c.key.String(); got != c.want {
			t.Errorf("%q reads %q, want %q", string(c.key), got, c.want)
		}
	}
}

func FuzzKeyString(f *testing.F) {
	f.Add(string(state.Join("a", 1, netip.MustParsePrefix("fd00::1/64"))))
	f.Fuzz(func(t *testing.T, raw string) { _ = state.Key(raw).String() })
}
