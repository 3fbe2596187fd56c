package mirror

import (
	"testing"

	"weftnet.io/weftnet/internal/table"
)

func TestAStaticPodHasTwoUIDs(t *testing.T) {
	for _, x := range []struct {
		uid, mirrors, said string
		want               bool
	}{
		{"u1", "", "u1", true},
		{"u1", "", "", true},
		{"u1", "", "u2", false},
		{"u1", "hash", "hash", true},
		{"u1", "hash", "u1", true},
		{"u1", "hash", "u2", false},
		{"u1", "hash", "", true},
	} {
		if got := Of(table.Pod{UID: x.uid, Mirrors: x.mirrors}, x.said); got != x.want {
			t.Errorf("pod %s that mirrors %q, by a runtime that says %q: %v", x.uid, x.mirrors, x.said, got)
		}
	}
}
