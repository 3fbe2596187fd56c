package span

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestARangeIsMadeOfExactlyItsPorts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, last := rapid.Uint16().Draw(t, "first"), rapid.Uint16().Draw(t, "last")
		p := Port{Protocol: TCP, First: first, Last: last}
		prefixes := p.Prefixes(nil)
		if len(prefixes) > 30 {
			t.Fatalf("%d prefixes", len(prefixes))
		}
		size := 0
		for _, at := range prefixes {
			size += 1 << (16 - at.Bits)
		}
		if want := max(0, int(last)-int(first)+1); size != want {
			t.Fatalf("%d ports, want %d: %v", size, want, prefixes)
		}
		port := rapid.Uint16().Draw(t, "port")
		for _, port := range []uint16{port, first, last, first - 1, last + 1} {
			inside := slices.ContainsFunc(prefixes, func(at Prefix) bool { return at.Matches(TCP, port) })
			if inside != p.Covers(TCP, port) {
				t.Fatalf("port %d: %v", port, prefixes)
			}
		}
	})
}
