package capacity

import (
	"maps"
	"testing"

	"weftnet.io/weftnet/internal/settings"
)

func TestMapsAreSizedByTheMachinesMemoryUnlessAKeySaysHow(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name   string
		sizes  settings.MapSizes
		memory uint64
		want   map[string]uint32
	}{
		{"nothing said", settings.MapSizes{}, 64 * gib, map[string]uint32{}},
		{"a small machine", settings.MapSizes{Ratio: 0.0025}, gib, map[string]uint32{"connections": 131072, "translations": 131072, "policies": 262144, "ranges": 262144}},
		{"a larger one", settings.MapSizes{Ratio: 0.0025}, 60 * gib, map[string]uint32{"connections": 233472, "translations": 233472, "policies": 417792, "ranges": 417792}},
		{"all of a huge one", settings.MapSizes{Ratio: 1}, 4096 * gib, map[string]uint32{"connections": 1 << 24, "translations": 1 << 24, "policies": 4 << 20, "ranges": 4 << 20}},
		{"both kinds", settings.MapSizes{Ratio: 0.0025, CTTCP: 20000, CTAny: 5000}, 60 * gib, map[string]uint32{"connections": 25000, "translations": 233472, "policies": 417792, "ranges": 417792}},
		{"TCP alone", settings.MapSizes{CTTCP: 20000}, 60 * gib, map[string]uint32{"connections": 30000}},
		{"the rest alone", settings.MapSizes{CTAny: 5000}, 60 * gib, map[string]uint32{"connections": 15000}},
		{"too many", settings.MapSizes{CTTCP: 1 << 24, CTAny: 1 << 24}, gib, map[string]uint32{"connections": 1 << 24}},
		{"the others", settings.MapSizes{NAT: 2048, Fragments: 4096, ServiceAffinity: 1024}, gib, map[string]uint32{"translations": 2048, "fragments": 4096, "affinities": 1024}},
		{"maps of services", settings.MapSizes{LB: 65536}, gib, map[string]uint32{"services": 65536, "slots": 262144, "backends": 131072, "service_sources": 65536, "affinities": 65536, "maglev": 262144}},
		{"one of them apart", settings.MapSizes{LB: 65536, Services: 2048, Maglev: 4096}, gib, map[string]uint32{"services": 2048, "slots": 8192, "backends": 131072, "service_sources": 65536, "affinities": 65536, "maglev": 4096}},
	} {
		if got := Entries(c.sizes, c.memory); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
