// Package process starts programs that outlive the command that started them, and finds them again.
//
// A process is known by its number *and* the moment it started, both read from /proc, and by the boot they belong to. A number
// alone says nothing: after a crash of the lab the kernel may have given it to another program, which must never be killed.
//
//	rec, err := process.Start(process.Spec{Name: "etcd", Path: "/usr/bin/etcd", Log: "/var/log/etcd.log"})
//	rec.Save("run/pid/etcd.json")
//	… another invocation, days later …
//	rec, err = process.Load("run/pid/etcd.json")
//	rec.Kill() // a no-op unless it is the very same process
package process

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec is what to start.
type Spec struct {
	Name   string
	Path   string
	Args   []string // without the program's name
	Env    []string // in addition to the caller's
	Log    string   // file that takes stdout and stderr, truncated first
	Cgroup string   // cgroup2 directory the process is born in; empty: the caller's
	Clone  uintptr  // CLONE_NEW* flags
}

// Record identifies a started process across invocations and reboots.
type Record struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`  // /proc/sys/kernel/random/boot_id
	Log   string `json:"log"`
}

// Start runs the program in a session of its own, detached from the caller's terminal. When the calling goroutine is locked to a
// thread that has entered other namespaces, the program starts there.
func Start(s Spec) (Record, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: s.Clone}
	if s.Cgroup != "" {
		fd, err := unix.Open(s.Cgroup, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return Record{}, fmt.Errorf("start %s: open cgroup %s: %w", s.Name, s.Cgroup, err)
		}
		defer unix.Close(fd)
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, fd
	}
	if err := cmd.Start(); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Name, err)
	}
	go func() { _ = cmd.Wait() }() // reap it, should it end while we live
	rec, err := Find(cmd.Process.Pid)
	if err != nil {
		return Record{}, fmt.Errorf("start %s: ended at once, see %s: %w", s.Name, s.Log, err)
	}
	rec.Name, rec.Log = s.Name, s.Log
	return rec, nil
}

// Find identifies the process that has this number now.
func Find(pid int) (Record, error) {
	_, start, err := stat(pid)
	if err != nil {
		return Record{}, err
	}
	boot, err := bootID()
	if err != nil {
		return Record{}, err
	}
	return Record{PID: pid, Start: start, Boot: boot}, nil
}

// Save writes the record; a reader sees all of it or none.
func (r Record) Save(path string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Load reads a record that Save wrote.
func Load(path string) (Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("read process record %s: %w", path, err)
	}
	return r, nil
}

// Alive reports whether the recorded process, and not a later one with its number, is running. A zombie is not.
func (r Record) Alive() bool {
	if r.PID <= 0 {
		return false
	}
	if boot, err := bootID(); err != nil || boot != r.Boot {
		return false
	}
	state, start, err := stat(r.PID)
	return err == nil && start == r.Start && state != 'Z' && state != 'X'
}

// Kill ends the recorded process and nothing else: the pidfd is taken first and the identity checked after, so the number cannot
// change hands in between. A process that is gone is no error.
func (r Record) Kill() error {
	if r.PID <= 1 {
		return nil
	}
	fd, err := unix.PidfdOpen(r.PID, 0)
	if err != nil {
		return nil //nolint:nilerr // no such process: nothing to kill
	}
	defer unix.Close(fd)
	if !r.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill %s (pid %d): %w", r.Name, r.PID, err)
	}
	return nil
}

// stat reads state and start time. The second field, the program's name, may hold spaces and parentheses, so fields are counted
// from the last parenthesis (proc(5)).
func stat(pid int) (state byte, start uint64, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], start, err
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
