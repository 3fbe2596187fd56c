// Package cgroup makes control groups for processes that are measured: how much memory they are charged, and how they do
// with less of a CPU. It works with either hierarchy (cgroups(7), v1 or v2), as the machine has it.
//
// # Invariants
//
//   - A group is one folder per controller below /sys/fs/cgroup, named as its maker says; Close removes it.
//   - What a process makes (BPF maps, too) is charged to the group that it is in at that time, so it enters first of all.
//
// # Example
//
//	g, err := cgroup.New("bench")
//	defer g.Close()
//	for _, file := range g.Procs() { os.WriteFile(file, pid, 0) }
//	now, most, err := g.Charged()
package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Group is a control group.
type Group struct {
	folders map[string]string // by controller
	unified bool
}

const root = "/sys/fs/cgroup"

// New makes a control group that counts memory and CPU time, and may limit the latter.
func New(name string) (*Group, error) {
	g := &Group{folders: map[string]string{}}
	_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
	g.unified = err == nil
	controllers := []string{"memory", "cpu"}
	if !g.unified {
		controllers = append(controllers, "cpuacct")
	}
	for _, controller := range controllers {
		dir := filepath.Join(root, controller, name)
		if g.unified {
			dir = filepath.Join(root, name)
			// It is on already, or making the limit fails and says so.
			_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+controller), 0)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make control group: %w", err)
		}
		g.folders[controller] = dir
	}
	return g, nil
}

// Procs are the files by which a process enters.
func (g *Group) Procs() []string {
	if g.unified {
		return []string{filepath.Join(g.folders["cpu"], "cgroup.procs")}
	}
	var files []string
	for _, controller := range []string{"cpu", "cpuacct", "memory"} {
		files = append(files, filepath.Join(g.folders[controller], "cgroup.procs"))
	}
	return files
}

// Limit lets it have a part of a CPU, in thousandths; 0: all there is.
func (g *Group) Limit(milli int) error {
	const period = 100_000 // µs, as the kubelet sets it
	quota := strconv.Itoa(milli * period / 1000)
	if g.unified {
		if milli == 0 {
			quota = "max"
		}
		return os.WriteFile(filepath.Join(g.folders["cpu"], "cpu.max"), []byte(fmt.Sprintf("%s %d", quota, period)), 0)
	}
	if milli == 0 {
		quota = "-1"
	}
	return os.WriteFile(filepath.Join(g.folders["cpu"], "cpu.cfs_quota_us"), []byte(quota), 0)
}

// Spent is the CPU time that its processes have taken.
func (g *Group) Spent() (time.Duration, error) {
	if !g.unified {
		text, err := os.ReadFile(filepath.Join(g.folders["cpuacct"], "cpuacct.usage"))
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Duration(ns), err
	}
	text, err := os.ReadFile(filepath.Join(g.folders["cpu"], "cpu.stat"))
	if err != nil {
		return 0, err
	}
	var us int64
	if _, err := fmt.Sscanf(string(text), "usage_usec %d", &us); err != nil {
		return 0, fmt.Errorf("cpu.stat: %w", err)
	}
	return time.Duration(us) * time.Microsecond, nil
}

// Charged is the memory that it is charged now, and how much at most, in bytes.
func (g *Group) Charged() (now, most float64, err error) {
	files := []string{"memory.usage_in_bytes", "memory.max_usage_in_bytes"}
	if g.unified {
		files = []string{"memory.current", "memory.peak"}
	}
	var v [2]float64
	for i, name := range files {
		text, err := os.ReadFile(filepath.Join(g.folders["memory"], name))
		if err != nil {
			return 0, 0, err
		}
		if v[i], err = strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	return v[0], v[1], nil
}

// Close removes it; no process is in it any more.
func (g *Group) Close() {
	for _, dir := range g.folders {
		_ = os.Remove(dir) // of one hierarchy it is the same twice
	}
}

// Resident is the memory of a process and how much it was at most, in bytes.
func Resident(pid int) (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			now = kib * 1024
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			most = kib * 1024
		}
	}
	return now, most, nil
}
