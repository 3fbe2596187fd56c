package version

import (
	"runtime/debug"
	"testing"
)

func TestTheLinkersWordGoesBeforeTheGoTools(t *testing.T) {
	noted := func(v string) *debug.BuildInfo { return &debug.BuildInfo{Main: debug.Module{Version: v}} }
	for _, c := range []struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		{"v1.2.3", noted("v0.0.0-2026"), "v1.2.3"},
		{"", noted("v0.0.0-2026+dirty"), "v0.0.0-2026+dirty"},
		{"", noted("(devel)"), "dev"},
		{"", noted(""), "dev"},
		{"", nil, "dev"},
	} {
		if have := text(c.linked, c.info); have != c.want {
			t.Errorf("linked %q: %s, want %s", c.linked, have, c.want)
		}
	}
}
