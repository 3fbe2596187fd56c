package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// group is the control group of a node: programs that the node puts on it see its own processes and those of its pods, and not what
// other nodes and the test do. It is a threaded one (cgroup-v2.rst of Linux), since what enters a namespace here is one thread of
// the test.
type group struct {
	dir     string
	threads *os.File // a thread whose number is written there is inside
}

// groups counts those that this process has made.
var groups atomic.Int64

// newGroup makes a group below that of this process.
func newGroup(name string) (*group, error) {
	mounts, err := Groups()
	if err != nil {
		return nil, err
	}
	own, err := ownGroup()
	if err != nil {
		return nil, err
	}
	g := &group{dir: filepath.Join(mounts[0], own, fmt.Sprintf("weft-test-%d-%d-%s", os.Getpid(), groups.Add(1), strings.ReplaceAll(name, "/", "-")))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	err = os.WriteFile(g.dir+"/cgroup.type", []byte("threaded"), 0)
	if err == nil {
		g.threads, err = os.OpenFile(g.dir+"/cgroup.threads", os.O_WRONLY, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a control group of threads: %w", err), os.Remove(g.dir))
	}
	return g, nil
}

// Groups are the places where control groups of version 2 are mounted (proc(5)).
func Groups() (mounts []string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		mount, kind, _ := strings.Cut(line, " - ")
		if f := strings.Fields(mount); len(f) > 4 && f[3] == "/" && strings.HasPrefix(kind, "cgroup2 ") {
			mounts = append(mounts, f[4])
		}
	}
	if len(mounts) == 0 {
		return nil, errors.New("no control groups of version 2 are mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
	}
	return mounts, nil
}

// ownGroup is that of this process, from the root.
func ownGroup() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSpace(path), nil
		}
	}
	return "", errors.New("/proc/self/cgroup names no control group of version 2")
}

// show makes the group what the thread's file systems have as the root of control groups, as a container has its own.
func (g *group) show() error {
	mounts, err := Groups()
	if err != nil {
		return err
	}
	for _, at := range mounts {
		if err := unix.Mount(g.dir, at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show a node its control group: %w", err)
		}
	}
	return nil
}

// enter puts the calling thread, and what it starts, into the group. It names itself as 0: by its number the kernel would stop every
// process of the machine for it.
func (g *group) enter() error {
	if _, err := g.threads.WriteString("0"); err != nil {
		return fmt.Errorf("enter control group %s: %w", g.dir, err)
	}
	return nil
}

// patience is how long processes of a node that is closed may take to end.
const patience = 10 * time.Second

// close removes the group when the last thread has left it, which the kernel tells by an event.
func (g *group) close() error {
	defer g.threads.Close()
	events, err := os.Open(g.dir + "/cgroup.events")
	if err != nil {
		return err
	}
	defer events.Close()
	for end := time.Now().Add(patience); ; {
		text := make([]byte, 4096)
		n, err := events.ReadAt(text, 0)
		if n == 0 {
			return err
		}
		if strings.Contains(string(text[:n]), "populated 0") {
			return os.Remove(g.dir)
		}
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("control group %s has processes that do not end", g.dir)
		}
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
