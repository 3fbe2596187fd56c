package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/manifests"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// askFlags say which tables are asked, and in which form the answer is printed.
type askFlags struct {
	files                      *[]string
	socket, kubeconfig, output *string
	network                    *string
}

func newAskFlags(c *cobra.Command) askFlags {
	return askFlags{
		socket:     c.Flags().String("socket", agentv1.Socket, "unix socket of the agent"),
		kubeconfig: kubeconfigFlag(c, "ask the API server of this kubeconfig file instead of the agent"),
		files:      filesFlag(c, "ask these files, folders or - for standard input instead of the agent; may be repeated"),
		output:     outputFlag(c),
		network:    c.Flags().String("network", "", "ask about NICs in this network, by NAMESPACE/NAME of a NetworkAttachmentDefinition, or a wire"),
	}
}

// query is what the agent is asked: names and values by turns, and the network if it is another than that of pods.
func (f askFlags) query(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	if *f.network != "" {
		out.Set("network", *f.network)
	}
	return out
}

// ask asks files, an API server or the agent. local answers from the tables that an agent would have.
func ask[A any](ctx context.Context, env Environment, f askFlags, path string, query url.Values, local func(*table.Tables, *state.Snapshot) (A, error)) (answer A, err error) {
	var objects []*manifest.Object
	switch {
	case checkOutput(*f.output) != nil:
		return answer, checkOutput(*f.output)
	case len(*f.files) > 0 && *f.kubeconfig != "":
		return answer, mistake.New("--filename and --kubeconfig exclude each other: who is asked?")
	case len(*f.files) > 0:
		var problems []manifest.Problem
		objects, problems, err = manifests.Read(env.In, *f.files)
		for _, p := range problems {
			fmt.Fprintf(env.Err, "%s: %s\n", p.Position, p.Message)
		}
	case *f.kubeconfig != "":
		objects, err = env.Cluster(ctx, *f.kubeconfig)
	default:
		err = env.Get(ctx, *f.socket, path+"?"+query.Encode(), &answer)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			err = fmt.Errorf("%w; away from nodes, --kubeconfig FILE asks the API server", err)
		}
		return answer, err
	}
	if err != nil {
		return answer, err
	}
	t, s, err := world(objects)
	if err != nil {
		return answer, err
	}
	env.tellRejected(t, s)
	return local(t, s)
}

// tellRejected names the policies that enforce nothing.
func (env Environment) tellRejected(t *table.Tables, s *state.Snapshot) {
	for p := range t.Policies.All(s) {
		if !p.Valid {
			fmt.Fprintf(env.Err, "%s %s is rejected, and enforces nothing: %s\n", p.Kind, strings.TrimPrefix(p.Namespace+"/"+p.Name, "/"), gap.Text(p.Problems))
		}
	}
}

// show prints an answer as text or as JSON.
func show[A any](out io.Writer, f askFlags, answer A, text func(io.Writer, A) error) error {
	if *f.output == "json" {
		return printJSON(out, answer)
	}
	return text(out, answer)
}
