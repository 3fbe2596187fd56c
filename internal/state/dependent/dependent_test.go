package dependent_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/dependent"
)

func TestKeysDependOnTheLastSetOfEachKeyAlone(t *testing.T) {
	keys, values := []state.Key{"a", "b", "c"}, []string{"x", "y", "z"}
	rapid.Check(t, func(rt *rapid.T) {
		d, last := dependent.New[string](), map[state.Key][]string{}
		for range rapid.IntRange(0, 20).Draw(rt, "sets") {
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			last[key] = rapid.SliceOfN(rapid.SampledFrom(values), 0, 4).Draw(rt, "values") // the same one twice, too
			d.Set(key, slices.Clone(last[key])...)
		}
		var filed []state.Key
		for _, k := range keys {
			if len(last[k]) > 0 {
				filed = append(filed, k)
			}
		}
		if got := slices.Sorted(d.All()); !slices.Equal(got, filed) || d.Len() != len(filed) {
			rt.Fatalf("filed: %v, want %v", got, filed)
		}
		for _, v := range values {
			var want []state.Key
			for _, k := range keys {
				if slices.Contains(last[k], v) {
					want = append(want, k)
				}
			}
			if got := slices.Sorted(d.On(v)); !slices.Equal(got, want) {
				rt.Fatalf("on %s: %v, want %v", v, got, want)
			}
		}
	})
}
