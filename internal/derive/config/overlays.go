package config

import (
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	overlays "weftnet.io/weftnet/internal/table/overlay"
)

// Overlays is the Source of whether the tunnel says networks: variable overlays of bpf/lib/overlay.h.
func Overlays(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
	return "overlays", nil, func(r state.Reader) any {
		if overlays.Possible(t.Config(r).ClusterID) {
			return abi.OverlayConfig{Networks: 1}
		}
		return abi.OverlayConfig{}
	}
}
