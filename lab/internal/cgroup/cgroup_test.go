package cgroup

import (
	"slices"
	"testing"
)

const hybrid = `29 23 0:25 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755
30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 29 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 29 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
33 50 0:28 /weftlab/node1 /elsewhere rw,relatime - cgroup2 cgroup2 rw
`

func TestAHybridMachineHasBothVersions(t *testing.T) {
	h, err := parse(hybrid)
	if err != nil {
		t.Fatal(err)
	}
	if h.Unified != "/sys/fs/cgroup/unified" || !slices.Equal(h.Legacy, []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory"}) {
		t.Errorf("got %+v", h)
	}
}

func TestAUnifiedMachineHasNoLegacyHierarchy(t *testing.T) {
	h, err := parse("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
	if err != nil || h.Unified != "/sys/fs/cgroup" || len(h.Legacy) != 0 {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestAMachineWithoutCgroup2IsRefused(t *testing.T) {
	if _, err := parse("30 29 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"); err == nil {
		t.Error("no error")
	}
}
