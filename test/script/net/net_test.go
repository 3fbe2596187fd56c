package net

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/kerneltest"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/follow"
	"weftnet.io/weftnet/internal/nettest/load"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/internal/scripttest"
)

func TestMain(m *testing.M) {
	process.Main()
	follow.Main()
	operatorMain()
	if os.Getenv("WEFT_BUILD_OTHER") != "" {
		if err := otherMain(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if others != "" {
		os.RemoveAll(others)
	}
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	files, err := scripttest.Scripts(".")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Files: files, Condition: condition, Setup: setup, Cmds: commands(), ContinueOnError: false})
}

type labKey struct{}

// lab is one script's cluster.
type lab struct {
	*nettest.Cluster
	talks    map[string]*netns.Conversation
	services map[string]*service // by NODE/NAME
	loads    map[string]*load.Load
	follower *follow.Follower // nil: none
	shared   *shared          // nil: the nodes share no addresses
	files    follow.Files
}

func setup(e *testscript.Env) error {
	dir, err := os.MkdirTemp("", "weft") // a socket's path is short
	if err != nil {
		return err
	}
	e.Defer(func() { os.RemoveAll(dir) })
	c, err := nettest.New(dir)
	if err != nil {
		return err
	}
	l := &lab{Cluster: c, talks: map[string]*netns.Conversation{}, services: map[string]*service{}, loads: map[string]*load.Load{}}
	e.Values[labKey{}] = l
	e.Defer(func() {
		for _, talk := range l.talks {
			talk.Close()
		}
		for _, traffic := range l.loads {
			traffic.Stop()
		}
		if e.T().(interface{ Failed() bool }).Failed() {
			for _, n := range c.Nodes() {
				e.T().Log("agent of node", n.Name, "said:\n"+tail(n.Log(), 40)+"\nand its tables, as far as they have a say in it:\n"+tables(n))
			}
			for name, s := range l.services {
				e.T().Log(name, "said:\n"+tail(s.log(), 60))
			}
		}
		c.Close()
	})
	setAddresses(e.Setenv, c.Outside, "outside")
	groups, err := netns.Groups()
	if err != nil {
		return err
	}
	e.Setenv("cgroups", groups[0])
	for name, d := range devices {
		if _, why, err := kerneltest.Lacks(d.Feature); err == nil {
			e.Setenv("no_"+name, why)
		}
	}
	return nil
}

// tables shows what stands in the way of a node.
func tables(n *nettest.Node) string {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	var text strings.Builder
	for _, name := range []string{"statuses", "workloads", "nics", "hooks", "findings"} {
		t, err := n.Table(ctx, name)
		if err != nil {
			return err.Error()
		}
		fmt.Fprintf(&text, "%s (synced %v)\n", name, t.Synced)
		for _, row := range t.Cells {
			fmt.Fprintf(&text, "  %s\n", strings.Join(row, "  "))
		}
	}
	return text.String()
}

func tail(text string, lines int) string {
	list := strings.Split(text, "\n")
	return strings.Join(list[max(0, len(list)-lines):], "\n")
}

func setAddresses(setenv func(name, value string), p *netns.Station, name string) {
	for _, family := range []int{4, 6} {
		if a, ok := p.Address(family); ok {
			setenv(fmt.Sprint(name, family), a.String())
		}
	}
}

// condition is [netkit], all nodes are to connect pods by netkit pairs; [own-machine], nothing else runs on it; or one of devices, which the kernel
// has: where it could have it and has not, a script that asks fails.
func condition(name string) (bool, error) {
	switch name {
	case "netkit":
		return process.WithGiven(nil)["datapath-mode"] == "netkit", nil
	case "own-machine":
		return ownMachine(), nil
	}
	if d, ok := devices[name]; ok {
		return makes(d.Feature, d.make)
	}
	return false, fmt.Errorf("there is no condition %q", name)
}
