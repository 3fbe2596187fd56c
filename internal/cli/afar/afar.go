// Package afar lets a command that asks the agent of this node ask those of a cluster: one after the other, each with a header.
//
//	weft table pods --node n1   ->   for agent n1: the command as it is, with a context in which Dial reaches n1's socket
//
// A cluster is asked if a flag says so, or if no agent is here (--socket is not there) and there is a kubeconfig. Invariant: a command runs
// for every agent, also after one has failed, and fails if it did for any.
//
//	afar.Extend(afar.Environment{Out: out, Err: errs}, statusCommand, tableCommand)
package afar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/cli/remote"
)

// Environment is what commands live in.
type Environment struct {
	Out, Err io.Writer
}

// Extend lets commands with a flag --socket, and those below them, ask the agents of a cluster as well.
func Extend(env Environment, commands ...*cobra.Command) {
	for _, c := range commands {
		Extend(env, c.Commands()...)
		if c.RunE != nil && c.Flags().Lookup("socket") != nil {
			fromAfar(env, c)
		}
	}
}

func fromAfar(env Environment, c *cobra.Command) {
	var f remote.Flags
	f.Register(c.Flags())
	f.RegisterPod(c.Flags())
	here := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if own := c.Flags().Lookup("kubeconfig"); own.Changed && f.Kubeconfig == "" {
			return here(c, args) // the command's own, which asks no agent
		}
		if files := c.Flags().Lookup("filename"); files != nil && files.Changed {
			return here(c, args)
		}
		socket := c.Flags().Lookup("socket")
		switch _, err := os.Stat(socket.Value.String()); {
		case socket.Changed && f.Asked():
			return mistake.New("--socket says which agent of this node is asked, and --kubeconfig, --context, --node, --pod and --weft-namespace are about those of a cluster: leave one of them away")
		case !f.Asked() && (socket.Changed || !errors.Is(err, os.ErrNotExist) || !remote.Known()):
			return here(c, args)
		}
		return onEach(env, c, f, func() error { return here(c, args) })
	}
}

// onEach runs a command for each agent.
func onEach(env Environment, c *cobra.Command, f remote.Flags, run func() error) error {
	cluster, err := remote.Open(f)
	if err != nil {
		return err
	}
	ctx := c.Context()
	agents, err := cluster.Agents(ctx)
	if err != nil {
		return err
	}
	header := env.Out
	if o := c.Flags().Lookup("output"); o != nil && o.Value.String() != "text" {
		header = env.Err // programs read what is on standard output
	}
	var problems []error
	for i, a := range agents {
		if len(agents) > 1 {
			if i > 0 {
				fmt.Fprintln(header)
			}
			fmt.Fprintf(header, "== node %s\n", a.Node)
		}
		c.SetContext(context.WithValue(ctx, dialerKey{}, dialer(func(ctx context.Context, socket string) (net.Conn, error) {
			return cluster.Dial(ctx, a, socket)
		})))
		err := run()
		if mistake.Is(err) || ctx.Err() != nil {
			return err // it is the same everywhere
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("node %s: %w", a.Node, err))
		}
	}
	return errors.Join(problems...)
}

// dialer connects to a socket of an agent that is elsewhere.
type dialer func(ctx context.Context, socket string) (net.Conn, error)

type dialerKey struct{}

// Is tells whether a context is about an agent that is elsewhere.
func Is(ctx context.Context) bool { return ctx.Value(dialerKey{}) != nil }

// Dial connects to an agent's socket: one of this machine, or of the agent that the context is about.
func Dial(ctx context.Context, socket string) (net.Conn, error) {
	if d, away := ctx.Value(dialerKey{}).(dialer); away {
		return d(ctx, socket)
	}
	return new(net.Dialer).DialContext(ctx, "unix", socket)
}
