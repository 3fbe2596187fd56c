package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/afar"
	"weftnet.io/weftnet/internal/cli/dial"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/cli/network"
	"weftnet.io/weftnet/internal/cli/observe"
	"weftnet.io/weftnet/internal/cli/policy"
	"weftnet.io/weftnet/internal/cli/remote"
	"weftnet.io/weftnet/internal/cli/screen"
	"weftnet.io/weftnet/internal/cli/service"
	"weftnet.io/weftnet/internal/cli/uninstall"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/source/kube/inventory"
	"weftnet.io/weftnet/internal/version"
)

// Environment is what a command line lives in; tests have their own.
type Environment struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // Out is a terminal that shows colours
	Now      func() time.Time
	Getenv   func(string) string
	Program  string                                 // how it is called: weft, or hubble by a symbolic link; empty: weft
	Self     string                                 // path of this program
	LookPath func(file string) (string, error)      // finds programs
	Exec     func(path string, args []string) error // becomes another program
}

// System is the environment of this process.
func System() Environment {
	self, _ := os.Executable()
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	out, terminal := shown(os.Stdout)
	errs, _ := shown(os.Stderr)
	return Environment{
		In: os.Stdin, Out: out, Err: errs, Now: time.Now, Getenv: os.Getenv, Self: self, LookPath: exec.LookPath, Program: filepath.Base(os.Args[0]),
		Terminal: terminal && os.Getenv("NO_COLOR") == "",
		Exec: func(path string, args []string) error {
			return syscall.Exec(path, append([]string{path}, args...), os.Environ())
		},
	}
}

// shown is what a file is written by: a terminal gets nothing that it would obey.
func shown(f *os.File) (out io.Writer, terminal bool) {
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return f, false
	}
	return screen.New(f), true
}

// Run runs a command line and gives its exit status.
func Run(ctx context.Context, env Environment, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, w := range []io.Writer{env.Out, env.Err} {
		if s, is := w.(*screen.Writer); is {
			defer s.Flush() //nolint:errcheck // a terminal that is gone shows nothing
		}
	}
	root := rootCommand(&env)
	if env.Program == "hubble" {
		root = hubbleCommand(&env)
	}
	root.SetArgs(args)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil || (ctx.Err() != nil && errors.Is(err, context.Canceled)) {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") { // one line for each of several errors
		fmt.Fprintf(env.Err, "%s: %s\n", command.CommandPath(), line)
	}
	if mistake.Is(err) {
		fmt.Fprintf(env.Err, "see '%s --help'\n", command.CommandPath())
		return 2
	}
	return 1
}

func rootCommand(env *Environment) *cobra.Command {
	root := &cobra.Command{
		Use:     "weft",
		Short:   "Ask a node of Weftnet how it is, what its pods say to each other, and which policy decides",
		Version: version.Text(),
		Long: `weft asks the Weftnet agent of this node how it is and what its network does, or those of a cluster.

On a node, and in an agent's pod, it speaks with the agent on two unix sockets, which only root may use:
  ` + agentv1.Socket + `     status and tables
  /var/run/cilium/hubble.sock   flows (Hubble's API; any Hubble client works there as well)

Where no agent runs it takes the cluster of your kubeconfig (KUBECONFIG, ~/.kube/config, --kubeconfig, --context) and does
all with your rights there: status, table, policy and service ask the agent of each node by exec in its pod, or those of
--node NODE or --pod NAMESPACE/POD alone; observe asks the relay with your token, through a forwarded port.

Exit status: 0 if all is well; 1 if something is not, or the agent does not answer; 2 if the
command line makes no sense.`,
		Example: `  weft status
  weft observe -f --namespace shop --verdict DENIED --print-policy-names
  weft table workloads
  weft policy check -f policies/
  weft service list -n shop
  weft lab up`,
		SilenceUsage:  true,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
		Args:                       unknownCommand,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate(version.Line("weft") + "\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return mistake.Of(err) })
	root.AddCommand(observe.Command(observing(env)), statusCommand(env), tableCommand(env), policyCommand(env), network.Command(network.Environment{In: env.In, Out: env.Out, Get: get}), service.Command(service.Environment{Out: env.Out, Get: get}), labCommand(env), uninstall.Command(uninstall.Environment{In: env.In, Out: env.Out, Get: get}), versionCommand(env))
	for _, c := range root.Commands() {
		if name := c.Name(); name == "status" || name == "table" || name == "policy" || name == "service" {
			afar.Extend(afar.Environment{Out: env.Out, Err: env.Err}, c)
		}
	}
	root.AddCommand(tunnelCommand(env))
	for _, c := range root.Commands() {
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if err := check(c, args); err != nil {
					return mistake.Of(err)
				}
				return nil
			}
		}
	}
	return root
}

// hubbleCommand is this program under the name of Hubble's client.
func hubbleCommand(env *Environment) *cobra.Command {
	root := &cobra.Command{
		Use:     "hubble",
		Short:   "Show flows, and who serves them",
		Version: version.Text(),
		Long: `hubble is weft under the name of Hubble's client, with that one's commands and flags. Flows come from the socket of this node's
agent, if neither --server nor HUBBLE_SERVER says otherwise.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          unknownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate(version.Line("hubble") + "\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return mistake.Of(err) })
	root.AddCommand(observe.Hubble(observing(env))...)
	return root
}

// observing is what the commands about flows live in.
func observing(env *Environment) observe.Environment {
	return observe.Environment{In: env.In, Out: env.Out, Err: env.Err, Terminal: env.Terminal, Now: env.Now, Getenv: env.Getenv, Program: env.Program}
}

func policyCommand(env *Environment) *cobra.Command {
	flows := func(ctx context.Context, server, kubeconfig, since string, each func(*flowpb.Flow) error) error {
		return observe.Recorded(ctx, dial.Flags{Server: server, Cluster: remote.Flags{Kubeconfig: kubeconfig}}, since, env.Now(), each)
	}
	cluster := func(ctx context.Context, kubeconfig string) ([]*manifest.Object, error) {
		config, err := connect(env, kubeconfig)
		if err != nil {
			return nil, err
		}
		return inventory.Read(ctx, config)
	}
	return policy.Command(policy.Environment{In: env.In, Out: env.Out, Err: env.Err, Get: get, Flows: flows, Cluster: cluster})
}

// unknownCommand refuses a command that does not exist, and names those that sound like it.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	if similar := root.SuggestionsFor(args[0]); len(similar) > 0 {
		text += "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return mistake.Of(errors.New(text))
}

// tunnelCommand is the far end of a command that is run elsewhere.
func tunnelCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:    "tunnel SOCKET",
		Short:  "Carry standard input and output to a unix socket of the agent: weft runs it in agents' pods",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return remote.Tunnel(c.Context(), env.In, env.Out, args[0])
		},
	}
}

func versionCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Long: `version prints the version of this program, of the Go release that built it, and for which machine.
The version of the agent is in 'weft status'.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(env.Out, version.Line("weft"))
			return err
		},
	}
}
