package node

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	containerdDeadline = 5 * time.Minute
	restartDelay       = time.Second
)

// Init is the life of PID 1. It returns only when the node cannot be started; its process then ends, and with it the node.
func Init(s Spec) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("node-init: this is process %d, not PID 1 of a node; it is started by `weft-lab up`", os.Getpid())
	}
	if err := unix.Sethostname([]byte(s.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := s.enterRoot(); err != nil {
		return fmt.Errorf("build root file system of %s: %w", s.Name, err)
	}
	if err := forward(); err != nil {
		return err
	}
	if err := s.writeConfig(); err != nil {
		return fmt.Errorf("write configuration of %s: %w", s.Name, err)
	}
	n := &supervisor{spec: s, waiting: map[int]chan<- syscall.WaitStatus{}, state: State{Components: map[string]Component{}}}
	go n.reap()
	containerd, others := s.programs()
	n.keep(containerd)
	if err := awaitSocket(Socket); err != nil {
		return err
	}
	slog.Info("containerd serves")
	for _, p := range others {
		n.keep(p)
	}
	select {} // PID 1 never ends by itself
}

func awaitSocket(path string) error {
	for deadline := time.Now().Add(containerdDeadline); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("containerd does not serve: %w", err)
		}
	}
}

// supervisor starts the node's programs again when they end, as systemd would, and reaps every process that lost its parent.
type supervisor struct {
	spec Spec

	mu      sync.Mutex
	waiting map[int]chan<- syscall.WaitStatus // the supervisor's own children
	state   State
}

// reap is the only caller of wait: a second one would steal its results.
func (n *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.ECHILD {
			time.Sleep(restartDelay / 10) // between two lives of the only child
			continue
		}
		if err != nil {
			continue
		}
		n.mu.Lock()
		ended := n.waiting[pid]
		delete(n.waiting, pid)
		n.mu.Unlock()
		if ended != nil {
			ended <- status
		}
	}
}

// keep runs a program for ever.
func (n *supervisor) keep(p program) {
	ended := make(chan syscall.WaitStatus, 1)
	start := func() error {
		n.mu.Lock() // so that reap sees the child only once it is registered
		defer n.mu.Unlock()
		pid, err := n.start(p)
		if err != nil {
			return err
		}
		n.waiting[pid] = ended
		c := n.state.Components[p.name]
		c.Starts++
		n.state.Components[p.name] = c
		return n.state.save(n.spec.Dir())
	}
	go func() {
		for {
			err := start()
			how := ""
			if err != nil {
				how = err.Error()
			} else {
				how = describe(<-ended)
			}
			slog.Error("component ended", "component", p.name, "how", how)
			n.mu.Lock()
			c := n.state.Components[p.name]
			c.LastExit = how
			n.state.Components[p.name] = c
			err = n.state.save(n.spec.Dir())
			n.mu.Unlock()
			if err != nil {
				slog.Error("save state", "error", err)
			}
			time.Sleep(restartDelay)
		}
	}()
}

func (n *supervisor) start(p program) (int, error) {
	if err := os.MkdirAll(filepath.Dir(n.spec.Log(p.name)), 0o755); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(n.spec.Log(p.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	null, err := os.Open("/dev/null")
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec(p.path, append([]string{p.path}, p.args...), &syscall.ProcAttr{
		Env:   n.spec.env(),
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return "killed by " + s.Signal().String()
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}
