package net

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/cli"
)

// hostCommands are about nodes as machines.
var hostCommands = map[string]command{
	"machine": machine, "plugins": plugins, "trace": trace, "weft": weft, "on": on, "bind": bind, "confine": confine, "call": call, "trouble": trouble, "rouse": rouse, "settle": settle,
	"clock": clock,
}

// machine makes nodes whose agents do not run yet.
func machine(l *line) error {
	for _, name := range l.args {
		n, err := l.PrepareNode(name, l.opts)
		if err != nil {
			return err
		}
		setAddresses(l.ts.Setenv, n.Station, name)
		l.ts.Setenv("bin_"+name, n.Plugins())
		l.ts.Setenv("run_"+name, n.Run())
		l.ts.Setenv("conf_"+name, n.Conf())
	}
	return nil
}

// confine leaves an agent these capabilities and no others, from its next start on.
func confine(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	n.Capabilities = l.args[1:]
	return nil
}

// clock sets the machine's clock on the wall, by so much.
func clock(l *line) error {
	if !ownMachine() {
		return fmt.Errorf("this machine is not the test's own; its clock is not either")
	}
	by, err := time.ParseDuration(strings.TrimPrefix(l.raw[0], "+"))
	if err != nil {
		return err
	}
	at := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
	return unix.ClockSettime(unix.CLOCK_REALTIME, &at)
}

// ownMachine tells whether the tests have a machine of their own (make test-vm).
func ownMachine() bool { return os.Getenv("WEFT_OWN_MACHINE") != "" }

// plugins puts CNI plugins on a node: FILE as NAME.
func plugins(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	files := map[string]string{}
	for name, file := range l.opts {
		files[name] = l.ts.MkAbs(file)
	}
	return n.InstallPlugins(files)
}

func trace(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	text, err := n.Trace()
	if err != nil {
		return err
	}
	return l.printf("%s", text)
}

// weft runs the command line of weft on a node.
func weft(l *line) error {
	n, err := l.node(l.raw[0])
	if err != nil {
		return err
	}
	var complaint bytes.Buffer
	env := cli.System()
	env.Out, env.Err, env.Terminal = l.ts.Stdout(), &complaint, false
	args := l.raw[1:]
	switch socket := n.Where()[5]; {
	case slices.Contains([]string{"status", "table", "service"}, args[0]), args[0] == "net" && args[1] != "check", strings.HasPrefix(strings.Join(args, " "), "uninstall kube-proxy"):
		args = append(args, socket)
	case args[0] == "policy" && (args[1] == "explain" || args[1] == "effective"):
		args = append(args, socket)
	case args[0] == "observe":
		args = append(args, "--server=unix://"+n.Hubble())
	case args[0] == "uninstall":
		args = append(args, n.Where()...)
	}
	return n.Do(func() error {
		if code := cli.Run(l.ctx, env, args); code != 0 {
			return fmt.Errorf("exit status %d: %s", code, complaint.String())
		}
		return nil
	})
}

// bind takes a port of an address on a node, and gives it back.
func bind(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(l.arg(1))
	if err != nil {
		return err
	}
	family := map[bool]string{true: "4", false: "6"}[at.Addr().Is4()]
	return n.Do(func() error {
		if l.sets["u"] {
			c, err := net.ListenPacket("udp"+family, at.String())
			if err != nil {
				return err
			}
			return c.Close()
		}
		c, err := net.Listen("tcp"+family, at.String())
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// on runs a program on a node.
func on(l *line) error {
	do := l.Outside.Do
	if l.raw[0] != "outside" {
		n, err := l.node(l.raw[0])
		if err != nil {
			return err
		}
		do = n.Do
	}
	c := exec.CommandContext(l.ctx, l.raw[1], l.raw[2:]...)
	c.Env, c.Dir = append(os.Environ(), "LC_ALL=C", "WORK="+l.ts.Getenv("WORK")), l.ts.Getenv("WORK")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := do(c.Run); err != nil {
		return errors.Join(err, errors.New(strings.TrimSpace(out.String())))
	}
	return l.printf("%s", out.String())
}

// call begins the CNI ADD of a new pod and does not wait for it.
func call(l *line) error {
	node, name, _ := strings.Cut(l.arg(0), "/")
	n, err := l.node(node)
	if err != nil {
		return err
	}
	s, err := l.podSpec()
	if err != nil {
		return err
	}
	s.Name = name
	p, err := n.PreparePod(s)
	if err != nil {
		return err
	}
	c, err := p.Command("", "ADD")
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	l.ts.Defer(func() {
		_ = c.Process.Kill() // it has ended by itself
		_ = c.Wait()
	})
	return nil
}

// trouble waits until rows of an agent, or of one of its tables, are not in place, and prints why.
func trouble(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	for {
		t, err := n.Table(l.ctx, "statuses")
		if err != nil && l.ctx.Err() != nil {
			return err
		}
		found := false
		for _, row := range t.Cells {
			if why := row[len(row)-1]; why != "" && (l.arg(1) == "" || row[0] == l.arg(1)) {
				found = true
				if err := l.printf("%s\n", strings.Join(row, "  ")); err != nil {
					return err
				}
			}
		}
		if found {
			return nil
		}
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// rouse starts an agent and does not wait until the node takes pods.
func rouse(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	return n.Rouse()
}

// settle waits until all agents have done what there is to do.
func settle(l *line) error { return l.Settle(l.ctx) }
