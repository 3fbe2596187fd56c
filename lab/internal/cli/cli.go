// Package cli is the command line of weft-lab: it turns flags into calls of the packages below and prints what they return.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weftnet.io/weftnet/lab/internal/cluster"
	"weftnet.io/weftnet/lab/internal/conformance"
	"weftnet.io/weftnet/lab/internal/demo"
	"weftnet.io/weftnet/lab/internal/machine"
	"weftnet.io/weftnet/lab/internal/node"
	"weftnet.io/weftnet/lab/internal/progress"
)

// version is set by the linker, from Git.
var version = "dev"

const defaultDir = "/var/tmp/weft-lab"

const about = `weft-lab runs a real Kubernetes cluster on this one machine, for trying and testing Weftnet.

The control plane is one process; every node is a set of Linux namespaces with its own containerd
and kubelet. There is no Docker and no registry: everything is built from source the first time
(about 20 minutes on two cores) and kept below --dir. Needs root.`

const example = `  weft-lab up                                   three dual-stack nodes, network Weftnet
  weft-lab up --set config.routing-mode=native  the same cluster with another chart value
  weft-lab kubectl -- get pods -A
  weft-lab node-exec node1 -- ip route
  weft-lab e2e --focus '\[sig-network\].*\[Conformance\]'
  weft-lab down`

// Main runs the program and returns its exit status.
func Main() int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second interrupt kills
	err := root().ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode() // the program we ran has said why
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "weft-lab: interrupted; run the command again, or `weft-lab down` to remove what is there")
		return 130
	}
	fmt.Fprintln(os.Stderr, "weft-lab:", err)
	return 1
}

// options that every command takes.
type options struct{ dir, source string }

func (o *options) open() (*cluster.Lab, error) {
	if err := machine.Root(); err != nil {
		return nil, err
	}
	source, err := findSource(o.source)
	if err != nil {
		return nil, err
	}
	return cluster.Open(o.dir, source, progress.New(os.Stdout))
}

// findSource looks for the repository: where the user says, or upward from the working directory. None is an empty result.
func findSource(given string) (string, error) {
	dir := given
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		dir = wd
	}
	for d, err := filepath.Abs(dir); err == nil; d = filepath.Dir(d) {
		b, err := os.ReadFile(filepath.Join(d, "lab/go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module weftnet.io/weftnet/lab") {
			return d, nil
		}
		if d == "/" {
			break
		}
	}
	if given != "" {
		return "", fmt.Errorf("--source %s: no checkout of Weftnet there", given)
	}
	return "", nil
}

func root() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "weft-lab", Short: "A real Kubernetes cluster on one machine", Long: about, Example: example,
		SilenceUsage: true, SilenceErrors: true, Version: version,
	}
	dir := defaultDir
	if d := os.Getenv("WEFT_LAB_DIR"); d != "" {
		dir = d
	}
	c.PersistentFlags().StringVar(&o.dir, "dir", dir, "where programs, images and the running cluster are kept (environment: WEFT_LAB_DIR)")
	c.PersistentFlags().StringVar(&o.source, "source", "", "checkout of Weftnet to build from (default: the one around the working directory)")
	c.AddCommand(up(&o), down(&o), status(&o), build(&o), kubectl(&o), logs(&o), nodeExec(&o), e2e(&o), demonstrate(&o), smoke(&o), nodeInit())
	return c
}

func up(o *options) *cobra.Command {
	var c cluster.Config
	var patience time.Duration
	cmd := &cobra.Command{
		Use: "up", Short: "Build what changed and bring the cluster up", Args: cobra.NoArgs,
		Long: `Build what changed and bring the cluster up.

On a running cluster of the same shape, up builds and rolls out only what changed in the sources.
After a crash, or for another shape, it removes what is there and starts anew.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			l.Patience = patience
			if err := l.Up(cmd.Context(), c); err != nil {
				return err
			}
			l.Progress.Note("up: %s. Try: weft-lab kubectl -- get pods -A -o wide", c)
			return nil
		},
	}
	shape(cmd, &c)
	cmd.Flags().DurationVar(&patience, "timeout", 5*time.Minute, "give up when one step takes longer, on a slow machine")
	return cmd
}

// shape declares the flags that describe a cluster.
func shape(cmd *cobra.Command, c *cluster.Config) {
	f := cmd.Flags()
	f.IntVar(&c.Nodes, "nodes", 3, "number of nodes, 1 to 9")
	f.StringVar(&c.Family, "family", "dual", "address families: dual, v4 or v6")
	f.StringVar(&c.Network, "network", cluster.NetworkWeft, "pod network: weft, bridge (standard CNI plugins, no policy) or none")
	f.StringVar(&c.KubeProxy, "kube-proxy", "nftables", "service proxy of the nodes: nftables, iptables or none")
	f.StringArrayVar(&c.Set, "set", nil, "value of Weftnet's chart, as in helm --set; may be repeated")
}

func down(o *options) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use: "down", Short: "Remove the cluster from the machine, whatever state it is in", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			if err := l.Down(); err != nil {
				return err
			}
			if purge {
				return l.Purge()
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the built programs and images as well")
	return cmd
}

func status(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show nodes, restarts and pods that are not ready", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			return l.Status(cmd.Context(), os.Stdout)
		},
	}
}

func build(o *options) *cobra.Command {
	var network string
	var conformance bool
	cmd := &cobra.Command{
		Use: "build", Short: "Build programs and images without starting anything", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			if err := l.Build(cmd.Context(), network); err != nil || !conformance {
				return err
			}
			return l.BuildConformance(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&network, "network", cluster.NetworkWeft, "pod network to build for: weft, bridge or none")
	cmd.Flags().BoolVar(&conformance, "e2e", false, "also build the official end-to-end tests")
	return cmd
}

func kubectl(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "kubectl ARGS…", Short: "Run kubectl as the cluster's administrator",
		Example:            "  weft-lab kubectl get pods -A -o wide",
		DisableFlagParsing: true, // they are kubectl's
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			if _, err := l.Config(); err != nil {
				return err
			}
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			env := append(os.Environ(), "KUBECONFIG="+l.Kubeconfig())
			return syscall.Exec(l.Bin("kubectl"), append([]string{"kubectl"}, args...), env)
		},
	}
}

func logs(o *options) *cobra.Command {
	var lines int
	var follow bool
	cmd := &cobra.Command{
		Use: "logs [NAME]", Short: "Print logs of the control plane, a node, a component of the nodes, or pods", Args: cobra.MaximumNArgs(1),
		Example: "  weft-lab logs                 list the names\n  weft-lab logs control-plane\n  weft-lab logs node2\n  weft-lab logs kubelet -f      of all nodes\n  weft-lab logs cilium-agent    of the pods with such a container",
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			return l.Logs(strings.Join(args, ""), lines, follow)
		},
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", 50, "lines of each log")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing")
	return cmd
}

func nodeExec(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "node-exec NODE -- COMMAND…", Short: "Run a command inside a node, or on the host outside the cluster",
		Example: "  weft-lab node-exec node1 -- bpftool net\n  weft-lab node-exec outside -- ping -c1 10.80.0.11",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			return l.Exec(cmd.Context(), args[0], args[1:], os.Stdin, os.Stdout, os.Stderr)
		},
	}
}

func e2e(o *options) *cobra.Command {
	var r conformance.Run
	cmd := &cobra.Command{
		Use: "e2e", Short: "Run the official Kubernetes end-to-end tests against the cluster", Args: cobra.NoArgs,
		Example: "  weft-lab e2e --focus '\\[sig-network\\].*\\[Conformance\\]' --skip Serial",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			c, err := l.Config()
			if err != nil {
				return err
			}
			if err := l.BuildConformance(cmd.Context()); err != nil {
				return err
			}
			r.Nodes, r.Bin, r.Kubeconfig, r.Report = c.Nodes, l.Bin(""), l.Kubeconfig(), l.Run("e2e")
			return r.Execute(cmd.Context(), os.Stdout)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Focus, "focus", `\[sig-network\].*\[Conformance\]`, "run tests whose name matches this expression")
	f.StringVar(&r.Skip, "skip", "", "but not those whose name matches this one")
	f.IntVar(&r.Procs, "procs", 6, "processes that run tests at the same time")
	f.DurationVar(&r.Timeout, "timeout", 30*time.Minute, "give up after this time")
	return cmd
}

func demonstrate(o *options) *cobra.Command {
	example := ""
	cmd := &cobra.Command{
		Use: "demo", Short: "Run the example application and show what its policy does", Args: cobra.NoArgs,
		Long: `Run the example application and show what its policy does.

Prints which pod reaches which before and after the policy, each cell a real dial, and for each connection
that closed the flow and the policy that decided. Fails if an outcome is not what the example says.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			if err := runDemo(cmd.Context(), l, example); err != nil {
				return err
			}
			if c, err := l.Config(); err == nil && c.Network == cluster.NetworkWeft {
				demo.Next(os.Stdout, l.Bin(""))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&example, "example", "", "folder with app.yaml, policy.yaml and open.txt (default: examples/three-tiers of the sources)")
	return cmd
}

func runDemo(ctx context.Context, l *cluster.Lab, example string) error {
	if example == "" {
		if l.Source == "" {
			return errors.New("the example is in the sources, and there are none here: run inside a checkout of Weftnet, or give --example")
		}
		example = filepath.Join(l.Source, "examples/three-tiers")
	}
	return (&demo.Demo{Lab: l, Example: example, Out: os.Stdout}).Run(ctx)
}

func smoke(o *options) *cobra.Command {
	var c cluster.Config
	cmd := &cobra.Command{
		Use: "smoke [-- COMMAND…]", Short: "Test everything once: up, demo, a command, down",
		Long: `Test everything once: up, demo, the command if there is one, down.

The cluster is always made anew, and always removed, also after a failure; its state is printed first.`,
		Example: "  weft-lab smoke -- go test -tags e2e ./test/e2e",
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := o.open()
			if err != nil {
				return err
			}
			if err := l.Down(); err != nil {
				return err
			}
			err = l.Up(cmd.Context(), c)
			if err == nil {
				err = runDemo(cmd.Context(), l, "")
			}
			if err == nil && len(args) > 0 {
				err = l.Progress.Do(strings.Join(args, " "), func() error { return runBeside(cmd.Context(), l, args) })
			}
			if err != nil {
				fmt.Println()
				if serr := l.Status(context.WithoutCancel(cmd.Context()), os.Stdout); serr != nil {
					fmt.Println(serr)
				}
			}
			return errors.Join(err, l.Down())
		},
	}
	shape(cmd, &c)
	return cmd
}

// runBeside runs a program of the machine that finds the lab through its environment.
func runBeside(ctx context.Context, l *cluster.Lab, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "WEFT_LAB_DIR="+l.Dir, "KUBECONFIG="+l.Kubeconfig(), "PATH="+l.Bin("")+":"+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %s", strings.Join(argv, " "), err) // not wrapped: its status is not ours
	}
	return nil
}

func nodeInit() *cobra.Command {
	return &cobra.Command{
		Use: "node-init SPEC", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			spec, err := node.LoadSpec(args[0])
			if err != nil {
				return err
			}
			return node.Init(spec)
		},
	}
}
