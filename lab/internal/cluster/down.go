package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/lab/internal/machine"
	"weftnet.io/weftnet/lab/internal/namespace"
	"weftnet.io/weftnet/lab/internal/process"
	"weftnet.io/weftnet/lab/internal/topology"
)

// Down removes the cluster from the machine, whatever state it is in and whichever lab directory it lives in. Binaries and images
// stay; Purge removes those, too.
func (l *Lab) Down() error {
	release, err := lock()
	if err != nil {
		return err
	}
	defer release()
	return l.sweep()
}

// Purge removes the lab directory. The cluster must be down.
func (l *Lab) Purge() error {
	for _, d := range []string{"bin", "cni", "images", "stamp"} {
		if err := os.RemoveAll(filepath.Join(l.Dir, d)); err != nil {
			return err
		}
	}
	return os.Remove(l.Dir)
}

// sweep is Down under the lock. Each part is tried even if another fails.
func (l *Lab) sweep() error {
	dirs := []string{l.Dir}
	if o := owner(); o != "" && o != l.Dir {
		dirs = append(dirs, o)
	}
	var problems []error
	try := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	try(l.Progress.Do("stop all processes", func() error {
		if err := l.groups.Kill(topology.CgroupName); err != nil {
			return err
		}
		for _, d := range dirs {
			if err := killRecorded(filepath.Join(d, "run/pid")); err != nil {
				return err
			}
		}
		return nil
	}))
	try(l.Progress.Do("remove links, namespaces and cgroups", func() error {
		return errors.Join(namespace.Clean(), l.groups.Remove(topology.CgroupName))
	}))
	for _, d := range dirs {
		run := filepath.Join(d, "run")
		if _, err := os.Stat(run); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		try(l.Progress.Do("remove "+run, func() error {
			if err := restoreSysctl(run); err != nil {
				return err
			}
			if err := unmountBelow(run); err != nil {
				return err
			}
			return os.RemoveAll(run)
		}))
	}
	if err := os.Remove(ownerLink); err != nil && !errors.Is(err, fs.ErrNotExist) {
		try(err)
	}
	try(l.leftovers())
	return errors.Join(problems...)
}

// leftovers names what of a lab is still on the machine.
func (l *Lab) leftovers() error {
	links, namespaces, err := namespace.Leftovers()
	if err != nil {
		return err
	}
	if l.groups.Exists(topology.CgroupName) {
		namespaces = append(namespaces, "cgroup "+topology.CgroupName)
	}
	if left := append(links, namespaces...); len(left) > 0 {
		return fmt.Errorf("still there after all: %s", strings.Join(left, ", "))
	}
	return nil
}

// killRecorded ends processes that were written down and are still the same. The cgroup has taken them all; this is for a machine
// whose processes were moved out of their cgroups.
func killRecorded(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		r, err := process.Load(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // half written by a crash: the process was not recorded
		}
		if err := r.Kill(); err != nil {
			return err
		}
	}
	return nil
}

// unmountBelow detaches mounts under a folder. The nodes' mounts live in namespaces of their own and are gone with them; should
// any have reached the machine, deleting files through it would be a disaster.
func unmountBelow(dir string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			points = append(points, f[4])
		}
	}
	for i := len(points) - 1; i >= 0; i-- {
		if err := unix.Unmount(points[i], unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			return fmt.Errorf("unmount %s: %w", points[i], err)
		}
	}
	return nil
}

const sysctlFile = "inotify.max_user_instances"

func (l *Lab) raiseWatchLimit() error {
	return machine.RaiseWatchLimit(func(old int) error {
		return os.WriteFile(l.Run(sysctlFile), []byte(strconv.Itoa(old)), 0o644)
	})
}

func restoreSysctl(run string) error {
	b, err := os.ReadFile(filepath.Join(run, sysctlFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := strconv.Atoi(string(b))
	if err != nil {
		return nil //nolint:nilerr // half written by a crash: the limit was not changed yet
	}
	return machine.RestoreWatchLimit(old)
}
