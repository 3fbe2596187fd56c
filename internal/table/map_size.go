package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// MapSize is a map of the datapath whose size the configuration says, and what keeps it from that.
type MapSize struct {
	Map     string
	Entries uint32 // that it has
	Asked   uint32
	Why     string // it has not what is asked for; empty: it has
}

func (MapSize) Header() []string { return []string{"Map", "Entries", "Asked", "Why"} }

func (m MapSize) Row() []string {
	return []string{m.Map, fmt.Sprint(m.Entries), fmt.Sprint(m.Asked), m.Why}
}

// Text says of a map that has not the size that is asked for why, and what to do.
func (m MapSize) Text() string {
	return fmt.Sprintf("map %s keeps %d entries, not %d: %s; set %s to what it can have", m.Map, m.Entries, m.Asked, m.Why, sizeKeys[m.Map])
}

// sizeKeys are the keys of the configuration by which maps get their sizes.
var sizeKeys = map[string]string{
	"connections": "bpf-ct-global-tcp-max and bpf-ct-global-any-max, or bpf-map-dynamic-size-ratio", "translations": "bpf-nat-global-max, or bpf-map-dynamic-size-ratio",
	"policies": "bpf-map-dynamic-size-ratio", "ranges": "bpf-map-dynamic-size-ratio", "fragments": "bpf-fragments-map-max", "affinities": "bpf-lb-affinity-map-max",
	"services": "bpf-lb-service-map-max", "slots": "bpf-lb-service-map-max", "backends": "bpf-lb-service-backend-map-max", "service_sources": "bpf-lb-source-range-map-max",
	"maglev": "bpf-lb-maglev-map-max",
}

var _ = declare(&tables.MapSizes, "map-sizes", func(r MapSize) state.Key { return state.Join(r.Map) })
