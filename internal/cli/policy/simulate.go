package policy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"weftnet.io/weftnet/internal/cli/manifests"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/cli/tally"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/manifest"
)

func simulateCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "simulate -f NEW.yaml (--flows FILE | --since 1h)",
		Short: "Say what of recorded traffic a new policy would deny or allow",
		Long: `simulate takes the connections of recorded flows and asks of each what the policies in force make of it, and
what they would make of it together with the new ones (an object with the name of one in force replaces it; one
that is audited or staged is taken as if it were enforced).
It lists by pairs of workloads what would be newly denied and newly allowed, with the deciding rules, and
counts what stays as it is. What cannot be said is uncertain: an end whose labels the flow does not have, a
connection that went otherwise than the current policies say.

What is in force is asked of the API server: of --kubeconfig, else KUBECONFIG, else as a pod does. Without a
cluster it comes from files with --current; this writes them:
  kubectl get cnp,ccnp,netpol,clusternetworkpolicies,pods,namespaces,nodes -A -o yaml > current.yaml

Flows are those of 'weft observe -o json' (Hubble's jsonpb), or of this node's agent with --since. They tell
what was tried in that time: what was not tried is not in the answer. An agent has the flows of its node: for
all of the cluster, put those of all agents into one file.

Exit status: 0 if nothing would be newly denied; 1 if something would.`,
		Example: `  weft policy simulate -f new.yaml --since 1h
  weft observe --since 1h -o json > flows.json
  weft policy simulate -f new.yaml --flows flows.json --kubeconfig ~/.kube/config
  weft policy simulate -f new/ --current current.yaml --flows flows.json`,
		Args: noArguments,
	}
	files := filesFlag(c, "the new policies: file, folder or - for standard input; may be repeated")
	current := c.Flags().StringArray("current", nil, "files or folders of what is in force, instead of asking the API server; may be repeated")
	kubeconfig := kubeconfigFlag(c, "kubeconfig file of the cluster that the policies are for")
	flows := c.Flags().String("flows", "", "file of recorded flows, or - for standard input")
	since := c.Flags().String("since", "", "ask this node's agent for the flows since this time: 1h, or as weft observe takes it")
	server := c.Flags().String("server", "unix:///var/run/cilium/hubble.sock", "Hubble server for --since: a socket, or HOST:PORT of a relay for all nodes")
	output := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		switch {
		case len(*files) == 0:
			return mistake.New("which policies? -f NEW.yaml")
		case len(*current) > 0 && *kubeconfig != "":
			return mistake.New("--current and --kubeconfig exclude each other: what is in force?")
		case (*flows == "") == (*since == ""):
			return mistake.New("which flows? either --flows FILE or --since 1h")
		}
		now, problems, err := env.inForce(c.Context(), *current, *kubeconfig)
		if err != nil {
			return err
		}
		next, more, err := manifests.Read(env.In, *files)
		if err != nil {
			return err
		}
		if problems = append(problems, more...); len(problems) > 0 {
			return fmt.Errorf("%s: %s", problems[0].Position, problems[0].Message)
		}
		if next, err = env.bite(next); err != nil {
			return err
		}
		s, err := newSimulation(env, now, next)
		if err != nil {
			return err
		}
		if *since != "" {
			err = env.Flows(c.Context(), *server, *kubeconfig, *since, s.add)
		} else {
			err = env.recorded(c.Context(), *flows, s.add)
		}
		if err != nil {
			return err
		}
		return s.print(env.Out, *output)
	}
	return c
}

// recorded reads flows from a file: a GetFlowsResponse, or a Flow, on each line.
func (env Environment) recorded(ctx context.Context, file string, each func(*flowpb.Flow) error) error {
	in := env.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	discard := protojson.UnmarshalOptions{DiscardUnknown: true}
	for n := 1; lines.Scan() && ctx.Err() == nil; n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var r observerpb.GetFlowsResponse
		if err := discard.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s:%d: not a flow in JSON (weft observe -o json): %w", file, n, err)
		}
		f := r.GetFlow()
		if f == nil && r.ResponseTypes == nil { // neither a node's status nor lost events
			f = &flowpb.Flow{}
			if err := discard.Unmarshal(text, f); err != nil {
				return fmt.Errorf("%s:%d: not a flow in JSON (weft observe -o json): %w", file, n, err)
			}
		}
		if f != nil {
			if err := each(f); err != nil {
				return err
			}
		}
	}
	return errors.Join(lines.Err(), ctx.Err())
}

// simulation holds recorded connections against two sets of policies.
type simulation struct {
	before, after explain.Answers
	seen          map[connection]*count
}

// inForce reads what is in force from files, else from the API server.
func (env Environment) inForce(ctx context.Context, current []string, kubeconfig string) ([]*manifest.Object, []manifest.Problem, error) {
	if len(current) > 0 {
		return manifests.Read(env.In, current)
	}
	objects, err := env.Cluster(ctx, kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; without a cluster: --current FILE", err)
	}
	return objects, nil, nil
}

func newSimulation(env Environment, now, next []*manifest.Object) (*simulation, error) {
	s := &simulation{seen: map[connection]*count{}}
	for _, w := range []struct {
		objects []*manifest.Object
		into    *explain.Answers
	}{{now, &s.before}, {replace(now, next), &s.after}} {
		t, snapshot, err := world(w.objects)
		if err != nil {
			return nil, err
		}
		if w.into == &s.after {
			env.tellRejected(t, snapshot)
		}
		*w.into = explain.New(snapshot, t)
	}
	return s, nil
}

// replace gives the objects with others in the place of those that have their names.
func replace(objects, others []*manifest.Object) []*manifest.Object {
	key := func(o *manifest.Object) string {
		return o.Kind + " " + cmp.Or(o.Namespace, "default") + "/" + o.Name
	}
	replaced := map[string]bool{}
	for _, o := range others {
		replaced[key(o)] = true
	}
	kept := slices.DeleteFunc(slices.Clone(objects), func(o *manifest.Object) bool { return replaced[key(o)] })
	return append(kept, others...)
}

// result is what -o json prints.
type result struct {
	NewlyDenied  []change `json:"newlyDenied"`
	NewlyAllowed []change `json:"newlyAllowed"`
	Uncertain    []change `json:"uncertain"`
	Allowed      int      `json:"stillAllowed"` // connections
	Denied       int      `json:"stillDenied"`
}

// change is what becomes of the connections between two workloads on one port, for one reason.
type change struct {
	From        string   `json:"from"`
	To          string   `json:"to"`
	Port        string   `json:"port"`
	Connections int      `json:"connections"` // pairs of ends
	Flows       int      `json:"flows"`
	Rules       []string `json:"rules,omitempty"` // that decide: of a denial those that deny or isolate
	Reason      string   `json:"reason,omitempty"`
}

func (s *simulation) print(out io.Writer, output string) error {
	r := s.result()
	if output == "json" {
		if err := printJSON(out, r); err != nil {
			return err
		}
	} else if err := printResult(out, r); err != nil {
		return err
	}
	n := 0
	for _, c := range r.NewlyDenied {
		n += c.Connections
	}
	if n > 0 {
		return fmt.Errorf("%s would be newly denied", tally.Of(n, "connection", "connections"))
	}
	return nil
}

func printResult(out io.Writer, r result) error {
	var text strings.Builder
	for _, part := range []struct {
		title string
		list  []change
	}{{"Newly denied", r.NewlyDenied}, {"Newly allowed", r.NewlyAllowed}, {"Uncertain", r.Uncertain}} {
		fmt.Fprintf(&text, "%s: %s\n", part.title, map[bool]string{true: "nothing"}[len(part.list) == 0])
		for _, c := range part.list {
			fmt.Fprintf(&text, "  %s -> %s %s  (%s, %s)\n", c.From, c.To, c.Port, tally.Of(c.Connections, "connection", "connections"), tally.Of(c.Flows, "flow", "flows"))
			if c.Reason != "" {
				fmt.Fprintf(&text, "    %s\n", c.Reason)
			}
			for _, rule := range c.Rules {
				fmt.Fprintf(&text, "    by %s\n", rule)
			}
		}
	}
	fmt.Fprintf(&text, "Unchanged: %s allowed, %d denied\n", tally.Of(r.Allowed, "connection", "connections"), r.Denied)
	_, err := io.WriteString(out, strings.ReplaceAll(text.String(), ": \n", ":\n"))
	return err
}
