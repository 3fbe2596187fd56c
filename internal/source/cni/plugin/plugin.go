// Package plugin is what the program weft-cni does: it hands a CNI call over to the agent and prints the answer.
//
// # The world it models
//
// A container runtime starts the program anew for each call (https://www.cni.dev/docs/spec/, section 2): parameters in
// the environment, the network configuration on standard input, the result on standard output. The agent knows all
// there is to know; the program knows what to do when there is no agent:
//
//	ADD, CHECK  fail with code 11 (try again later); the runtime repeats them
//	DEL         is written to a queue on disk and succeeds: runtimes give up on a DEL, and what they forget leaks. The
//	            agent empties the queue when it starts and later. Where the configuration leaves the portmap plugin out, its
//	            DEL is called, for pods that it has served before
//	STATUS      fails with code 50 (the plugin is not available)
//	GC          fails with code 11; what it would have found is found by the next one
//	VERSION     never needs the agent
//
// Queueing leaves no gap: a DEL that finds no agent is put in the queue and then offered once more. Either the agent
// that has started in between answers, or it will read the queue when it starts.
//
// # Example
//
//	{"cniVersion": "1.0.0", "name": "weft", "type": "weft-cni", "socket": "/var/run/cilium/weft.sock", "log-file": "/var/log/weft-cni.log"}
package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/journal"
)

// How long the agent may take. An ADD gives up in the agent first, which knows what it waits for.
const (
	slow  = 100 * time.Second // ADD, GC
	quick = 40 * time.Second  // DEL, CHECK
	short = 10 * time.Second  // STATUS
)

const advice = "see that weft-agent runs on this node: kubectl -n kube-system get pods -l k8s-app=cilium -o wide"

// Plugin is one run of the program.
type Plugin struct {
	StateDir string    // of the agent: holds the queue of DELs
	Out      io.Writer // where the result goes
}

// settings are the keys of the network configuration that the program itself reads; the agent reads the others.
type settings struct {
	Version string `json:"cniVersion"`
	Name    string `json:"name"`
	Socket  string `json:"socket"`
	LogFile string `json:"log-file"`
	Runtime struct {
		HostPorts []json.RawMessage `json:"portMappings"`
	} `json:"runtimeConfig"`
}

// Run makes the call that the environment and standard input describe and returns the exit code. about is printed when
// there is no call, as for a person who tries the program.
func (p Plugin) Run(about string) int {
	funcs := skel.CNIFuncs{Add: p.add, Del: p.del, Check: p.check, Status: p.status, GC: p.gc}
	err := skel.PluginMainFuncsWithError(funcs, version.PluginSupports("0.3.1", "0.4.0", "1.0.0", "1.1.0"), about)
	if err == nil {
		return 0
	}
	_ = json.NewEncoder(p.Out).Encode(err) // the exit code tells if it cannot be read
	return 1
}

func (p Plugin) add(args *skel.CmdArgs) error {
	return p.relay(args, "ADD", agent.PathAdd, slow, types.ErrTryAgainLater)
}

func (p Plugin) check(args *skel.CmdArgs) error {
	return p.relay(args, "CHECK", agent.PathCheck, quick, types.ErrTryAgainLater)
}

func (p Plugin) gc(args *skel.CmdArgs) error {
	return p.relay(args, "GC", agent.PathGC, slow, types.ErrTryAgainLater)
}

func (p Plugin) status(args *skel.CmdArgs) error {
	return p.relay(args, "STATUS", agent.PathStatus, short, types.ErrPluginNotAvailable)
}

// relay prints the agent's answer. Without one it fails with a code.
func (p Plugin) relay(args *skel.CmdArgs, command, path string, patience time.Duration, code uint) error {
	return logged(args, command, func(s settings) error {
		answer, err := p.call(args, s, path, patience)
		if away := (*agent.UnreachableError)(nil); errors.As(err, &away) {
			return types.NewError(code, away.Error(), advice)
		} else if err != nil {
			return err
		}
		if _, err := p.Out.Write(answer); err != nil {
			return types.NewError(types.ErrIOFailure, fmt.Sprintf("print result: %v", err), "")
		}
		return nil
	})
}

func (p Plugin) del(args *skel.CmdArgs) error {
	return logged(args, "DEL", func(s settings) error {
		if err := unmap(args, s); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n", err) // a pod whose node leads its hostPorts on by programs must not wait for it
		}
		_, err := p.call(args, s, agent.PathDel, quick)
		away := (*agent.UnreachableError)(nil)
		if !errors.As(err, &away) {
			return err
		}
		queue, name := journal.Queue[agent.Request](p.StateDir), journal.Name(args.ContainerID, args.IfName)
		if err := queue.Put(name, request(args)); err != nil {
			return types.NewError(types.ErrIOFailure, fmt.Sprintf("%v; and the DEL cannot be kept for later: %v", away, err), advice)
		}
		if _, err := p.call(args, s, agent.PathDel, short); err == nil {
			_ = queue.Delete(name) // to do it again does no harm
		}
		return nil
	})
}

// unmap lets the portmap plugin take away what it has for the hostPorts of a pod: it was chained when the pod was attached, perhaps. The
// runtime tells this program of hostPorts only where portmap is not chained (cni.Conf). Where there is no such plugin there is nothing.
func unmap(args *skel.CmdArgs, s settings) error {
	if len(s.Runtime.HostPorts) == 0 {
		return nil
	}
	config, err := json.Marshal(map[string]any{
		"cniVersion": s.Version, "name": s.Name, "type": portmap, "snat": true, "runtimeConfig": map[string]any{"portMappings": s.Runtime.HostPorts},
	})
	if err != nil {
		return fmt.Errorf("encode configuration of %s: %w", portmap, err)
	}
	for _, dir := range filepath.SplitList(args.Path) {
		path := filepath.Join(dir, portmap)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		cmd := exec.CommandContext(ctx, path) // the environment has the call
		cmd.Stdin = bytes.NewReader(config)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: rules for hostPorts of container %s may be left in the node's netfilter: %w: %s", path, args.ContainerID, err, bytes.TrimSpace(out))
		}
		return nil
	}
	return nil
}

const portmap = "portmap"

func (p Plugin) call(args *skel.CmdArgs, s settings, path string, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return agent.Call(ctx, s.Socket, path, request(args))
}

func request(args *skel.CmdArgs) agent.Request {
	return agent.Request{ContainerID: args.ContainerID, Netns: args.Netns, Interface: args.IfName, Args: args.Args, Config: args.StdinData, Caller: caller()}
}

// caller is the name of the process that has started this one; empty: it is not seen from here. Multus' configuration may lie in a folder that the
// agent does not know (OpenShift's does), and then nothing else tells that it calls.
func caller() string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(name))
}

// logged runs a call and writes a line about it to the log file that the configuration names.
func logged(args *skel.CmdArgs, command string, call func(settings) error) error {
	s := settings{Socket: agent.Socket}
	if err := json.Unmarshal(args.StdinData, &s); err != nil {
		return types.NewError(types.ErrDecodingFailure, fmt.Sprintf("network configuration: %v", err), "")
	}
	if s.Socket == "" {
		s.Socket = agent.Socket
	}
	began := time.Now()
	err := call(s)
	if s.LogFile != "" {
		outcome := "done"
		if err != nil {
			outcome = err.Error()
		}
		line := fmt.Sprintf("%s %s %s %s in %v: %s\n", began.UTC().Format(time.RFC3339Nano), command, args.ContainerID, args.IfName, time.Since(began).Round(time.Millisecond), outcome)
		if logErr := appendTo(s.LogFile, line); logErr != nil {
			fmt.Fprintf(os.Stderr, "write log-file of the network configuration: %v\n", logErr) // it must not keep a pod from starting
		}
	}
	return err
}

// appendTo writes a line to a log. The plugin is root: it follows no link that another user may have put there, and waits for
// no reader of a pipe.
func appendTo(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%s is a link, which is not followed: name the file itself", path)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}
