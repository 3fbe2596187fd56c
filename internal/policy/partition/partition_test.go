package partition

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTheLongestPartSaysWhatAllMarksSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var members []Member
		for i := range rapid.IntRange(0, 12).Draw(t, "members") {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 255).Draw(t, fmt.Sprint("address ", i)))})
			members = append(members, Member{
				Prefix: netip.PrefixFrom(a, rapid.IntRange(24, 32).Draw(t, fmt.Sprint("bits ", i))).Masked(),
				Key:    rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, fmt.Sprint("key ", i)),
				Except: rapid.IntRange(0, 3).Draw(t, fmt.Sprint("except ", i)) == 0,
			})
		}
		parts := Of(rapid.Permutation(members).Draw(t, "order"))
		if !slices.Equal(parts, Of(members)) {
			t.Fatalf("the order of members matters: %v", parts)
		}
		for last := range 256 {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(last)})
			have, bits := "", -1
			for _, p := range parts {
				if p.Prefix.Contains(a) && p.Prefix.Bits() > bits {
					have, bits = p.Keys, p.Prefix.Bits()
				}
			}
			if want := obvious(members, a); have != want {
				t.Fatalf("%s: have %q, want %q by %v", a, have, want, members)
			}
		}
	})
}

func obvious(members []Member, a netip.Addr) string {
	var keys []string
	for _, key := range []string{"a", "b", "c"} {
		about := func(except bool) bool {
			return slices.ContainsFunc(members, func(m Member) bool { return m.Key == key && m.Except == except && m.Prefix.Contains(a) })
		}
		if about(false) && !about(true) {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, "\n")
}
