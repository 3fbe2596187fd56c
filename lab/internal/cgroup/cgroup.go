// Package cgroup keeps the lab's control groups: one tree named weftlab in every hierarchy of the machine.
//
// Two worlds exist. On a unified machine (Debian 12 by default) there is one hierarchy, cgroup2 at /sys/fs/cgroup, and a group that
// has children with controllers may not hold processes itself. On a hybrid machine each controller has a version 1 hierarchy and
// cgroup2 sits beside them without controllers. Both have cgroup2 somewhere, and that is what the lab counts on:
//
//	weftlab/control-plane         etcd, API server, …
//	weftlab/node1/system          PID 1 of the node, containerd, kubelet
//	weftlab/node1/kubepods/…      made by kubelet and runc
//
// Every process of the lab is born inside this tree (clone3 with CLONE_INTO_CGROUP) and cannot leave it unnoticed, so killing the
// tree ends the lab completely, whatever crashed before it could write down a process number.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Hierarchies are the mounted cgroup trees.
type Hierarchies struct {
	Unified string   // mount point of cgroup2
	Legacy  []string // mount points of version 1 hierarchies; empty on a unified machine
}

// Detect reads the mount table.
func Detect() (Hierarchies, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Hierarchies{}, err
	}
	return parse(string(b))
}

// parse takes mountinfo (proc(5)): the mount point is field 5, the type follows the lone dash.
func parse(mountinfo string) (Hierarchies, error) {
	var h Hierarchies
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(g) < 1 || f[3] != "/" {
			continue
		}
		switch g[0] {
		case "cgroup2":
			if h.Unified == "" {
				h.Unified = f[4]
			}
		case "cgroup":
			if !slices.Contains(h.Legacy, f[4]) {
				h.Legacy = append(h.Legacy, f[4])
			}
		}
	}
	if h.Unified == "" {
		return h, errors.New("no cgroup2 file system is mounted: mount one with `mount -t cgroup2 none /sys/fs/cgroup/unified`")
	}
	return h, nil
}

// controllers are those kubelet and runc want handed down.
var controllers = []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids"}

// Create makes the group everywhere and hands the controllers down to its children. path is relative, such as weftlab/node1.
func (h Hierarchies) Create(path string) error {
	for _, root := range h.Legacy {
		if err := createLegacy(root, path); err != nil {
			return fmt.Errorf("create cgroup %s: %w", path, err)
		}
	}
	dir := h.Unified
	for _, part := range strings.Split(path, "/") {
		if len(h.Legacy) == 0 { // else kubelet uses the controllers of version 1
			if err := handDown(dir); err != nil {
				return fmt.Errorf("create cgroup %s: %w", path, err)
			}
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("create cgroup %s: %w", path, err)
		}
	}
	return nil
}

// handDown enables, for the children of a cgroup2 directory, what the directory itself has.
func handDown(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	have := strings.Fields(string(b))
	for _, c := range controllers {
		if !slices.Contains(have, c) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644); err != nil {
			return fmt.Errorf("hand controller %s down in %s: %w", c, dir, err)
		}
	}
	return nil
}

// createLegacy makes the group below one version 1 mount. A new cpuset group has no CPUs and no memory nodes until it is given some.
func createLegacy(root, path string) error {
	dir := root
	for _, part := range strings.Split(path, "/") {
		parent := dir
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			b, err := os.ReadFile(filepath.Join(parent, f))
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, f), b, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// Exists reports whether any hierarchy has the group.
func (h Hierarchies) Exists(path string) bool {
	for _, root := range append([]string{h.Unified}, h.Legacy...) {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			return true
		}
	}
	return false
}

// Kill ends every process below the group and waits until none is left.
func (h Hierarchies) Kill(path string) error {
	dir := filepath.Join(h.Unified, path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		pids, err := processes(dir)
		if err != nil {
			return fmt.Errorf("kill cgroup %s: %w", path, err)
		}
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill cgroup %s: processes %v do not end; they wait in the kernel, see /proc/PID/stack", path, pids)
		}
		// cgroup.kill (Linux 5.14) takes whole trees and races with no fork.
		if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0o200) != nil {
			for _, p := range pids {
				_ = unix.Kill(p, unix.SIGKILL)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processes lists the process numbers of a tree as this pid namespace sees them.
func processes(dir string) ([]int, error) {
	var out []int
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		b, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		for f := range strings.FieldsSeq(string(b)) {
			var n int
			if _, err := fmt.Sscan(f, &n); err == nil && n > 0 {
				out = append(out, n)
			}
		}
		return err
	})
	return out, err
}

// Remove deletes the group and all below it, everywhere. A group stays busy for a moment after its last process ended.
func (h Hierarchies) Remove(path string) error {
	for _, root := range append([]string{h.Unified}, h.Legacy...) {
		dir := filepath.Join(root, path)
		for deadline := time.Now().Add(10 * time.Second); ; {
			err := removeTree(dir)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("remove cgroup %s: %w", dir, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
		return err
	}
	return nil
}
