package config

import (
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Overlays is the Source of whether the tunnel says networks: variable overlays of bpf/lib/overlay.h.
func Overlays(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
	return "overlays", nil, func(r state.Reader) any {
		if attachment.Overlaid(t.Config(r)) {
			return abi.OverlayConfig{Networks: 1}
		}
		return abi.OverlayConfig{}
	}
}
