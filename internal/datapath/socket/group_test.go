package socket

import (
	"os"
	"strings"
	"testing"
)

func TestTheOutermostControlGroupIsTaken(t *testing.T) {
	for name, c := range map[string]struct{ mounts, want string }{
		"alone": {"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate", "/sys/fs/cgroup"},
		"beside version 1": {`32 31 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`, "/sys/fs/cgroup/unified"},
		"of the host, in a container that has one of its own": {`700 600 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw
701 600 0:26 /../../.. /host/sys/fs/cgroup ro - cgroup2 cgroup2 rw`, "/host/sys/fs/cgroup"},
		"of the host, in a container that sees all": {`700 600 0:26 /kubepods/pod7/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw
701 600 0:26 / /host/sys/fs/cgroup ro - cgroup2 cgroup2 rw`, "/host/sys/fs/cgroup"},
		"a name with a space": {`30 23 0:26 / /my\040groups rw - cgroup2 none rw`, "/my groups"},
		"none":                {"33 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory", ""},
	} {
		if have := outermost(c.mounts); have != c.want {
			t.Errorf("%s: %q, want %q", name, have, c.want)
		}
	}
}

func TestADirectoryThatIsNoControlGroupIsNotTaken(t *testing.T) {
	root, instead, err := Find("")
	if err != nil || instead != "" {
		t.Fatal(instead, err)
	}
	if dir, instead, err := Find(root); dir != root || instead != "" || err != nil {
		t.Error(dir, instead, err)
	}
	for asked, why := range map[string]string{
		"/run/cilium/no-such-folder": "/run/cilium/no-such-folder: no such file or directory",
		os.TempDir():                 os.TempDir() + " is no control group of version 2",
	} {
		if dir, instead, err := Find(asked); dir != root || !strings.Contains(instead, why) || err != nil {
			t.Errorf("%s: %q, instead since %q, %v", asked, dir, instead, err)
		}
	}
}
