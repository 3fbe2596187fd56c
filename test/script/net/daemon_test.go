package net

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"weftnet.io/weftnet/internal/nettest"
)

// daemonCommands are about programs of a node's owner that run beside the agent.
var daemonCommands = map[string]command{"daemon": daemon, "end": end, "until": until, "logged": logged}

// service is a program that runs on a node.
type service struct {
	command *exec.Cmd
	notify  net.Conn // where it says that it is ready (sd_notify(3))
	over    chan struct{}

	mu  sync.Mutex
	out bytes.Buffer // of all its lives
}

// Write takes what the program says.
func (s *service) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *service) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// daemon starts NODE NAME [wait=TEXT] PROGRAM ARGUMENT…
func daemon(l *line) error {
	if len(l.raw) < 3 {
		return errUsage
	}
	n, err := l.node(l.raw[0])
	if err != nil {
		return err
	}
	key, program := l.raw[0]+"/"+l.raw[1], l.raw[2:]
	text, waits := strings.CutPrefix(program[0], "wait=")
	if waits {
		program = program[1:]
	}
	if len(program) == 0 {
		return errUsage
	}
	s := &service{over: make(chan struct{})}
	if old := l.services[key]; old != nil {
		if !isOver(old) {
			return fmt.Errorf("%s runs already", l.raw[1])
		}
		s.out.WriteString(old.log())
	}
	from := s.out.Len()
	if err := s.start(l, n, key, program); err != nil {
		return err
	}
	l.services[key] = s
	ready := make(chan struct{})
	if !waits {
		go s.notified(ready)
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ready:
			return nil
		case <-s.over:
			return fmt.Errorf("%s has ended before it was ready:\n%s", l.raw[1], tail(s.log(), 30))
		case <-l.ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", l.raw[1], l.ctx.Err(), tail(s.log(), 30))
		case <-look.C:
			if waits && strings.Contains(s.log()[from:], text) {
				return nil
			}
		}
	}
}

// lives counts the programs that were started.
var lives atomic.Int64

// start runs the program. Its socket has an abstract name: the program may write to it under any user, and it goes with the
// node. Each life has a name of its own, since the former one's is taken until its last read has returned.
func (s *service) start(l *line, n *nettest.Node, key string, program []string) error {
	name := fmt.Sprintf("@weft-notify/%s/%d", key, lives.Add(1))
	err := n.Do(func() (err error) {
		s.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		return err
	})
	if err != nil {
		return err
	}
	c := exec.Command(program[0], program[1:]...)
	c.Env = append(os.Environ(), "LC_ALL=C", "WORK="+l.ts.Getenv("WORK"), "NOTIFY_SOCKET="+name, "SYSTEMD_LOG_TARGET=console")
	c.Dir, c.Stdout, c.Stderr = l.ts.Getenv("WORK"), s, s
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children end with it
	if err := n.Namespace.Start(c); err != nil {
		return errors.Join(err, s.notify.Close())
	}
	s.command = c
	go func() {
		_ = c.Wait() // how it ends is its own business
		s.notify.Close()
		close(s.over)
	}()
	l.ts.Defer(func() { _ = s.stop(context.Background(), syscall.SIGKILL) })
	return nil
}

// notified closes ready when the program says that it is, and goes on reading.
func (s *service) notified(ready chan<- struct{}) {
	b := make([]byte, 4096)
	for said := false; ; {
		n, err := s.notify.Read(b)
		if err != nil {
			return
		}
		if !said && strings.Contains("\n"+string(b[:n])+"\n", "\nREADY=1\n") {
			said = true
			close(ready)
		}
	}
}

func isOver(s *service) bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

func (s *service) stop(ctx context.Context, signal syscall.Signal) error {
	if isOver(s) {
		return nil
	}
	_ = syscall.Kill(-s.command.Process.Pid, signal) // it has ended a moment ago
	select {
	case <-s.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) service() (*service, error) {
	if s := l.services[l.arg(0)+"/"+l.arg(1)]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("node %s has no daemon %q", l.arg(0), l.arg(1))
}

// end ends a daemon as its owner does.
func end(l *line) error {
	s, err := l.service()
	if err != nil {
		return err
	}
	return s.stop(l.ctx, syscall.SIGTERM)
}

// until runs a program on a node again and again until it succeeds.
func until(l *line) error {
	var before error
	for {
		err := on(l)
		switch {
		case err == nil:
			return nil
		case l.ctx.Err() != nil:
			return errors.Join(err, before)
		}
		before = err // what it said while there was time
		select {
		case <-l.ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// logged waits until an agent has logged a line that matches.
func logged(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	wanted, err := regexp.Compile(strings.Join(l.raw[1:], " "))
	if err != nil {
		return err
	}
	for !wanted.MatchString(n.Log()) {
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
