package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"

	"weftnet.io/weftnet/internal/cli/manifests"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/cli/policy/closing"
	"weftnet.io/weftnet/internal/cli/tally"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/source/kube/inventory"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func checkCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "check -f FILE…",
		Short: "Say what is wrong with policies before they are applied",
		Long: `check reads policies from files, CiliumLocalRedirectPolicies among them, and says of each what is wrong with it, and what it will not do
though it seems to. It needs no cluster: all files together are taken for one. With --kubeconfig they are taken
for additions to that cluster: its pods, policies, and the prefixes of its pods and nodes are known.

A finding says where (file:line:column), what is there and what comes of it, what was probably meant,
and the one line that mends it:
  error     the API server or the agents refuse the object, or drop a part of it
  warning   it is taken, and does not do what it seems to
  hint      it may be meant so; many who wrote this did not

With pods, Deployments and their kin among the files (also VirtualMachines), selectors that find none of
them are told. With --pod-cidr and --node-cidr, CIDRs that can never match are. With NetworkAttachmentDefinitions, too, the NICs
are counted that policies would close with policy-networks: all.

Exit status: 0 if nothing is as bad as --fail-on says; 1 if something is, or a file cannot be read; 2 if
the command line makes no sense.`,
		Example: `  weft policy check -f policy.yaml
  weft policy check -f deploy/ --pod-cidr 10.244.0.0/16 --fail-on warning
  weft policy check -f policy.yaml --kubeconfig ~/.kube/config
  helm template . | weft policy check -f - -o json | jq '.findings[] | select(.severity == "error")'`,
		Args: noArguments,
	}
	files := filesFlag(c, "file, folder or - for standard input; may be repeated")
	kubeconfig := kubeconfigFlag(c, "check what the files do in the cluster of this kubeconfig file")
	output := outputFlag(c)
	pods := c.Flags().StringSlice("pod-cidr", nil, "prefixes that pods have addresses of")
	nodes := c.Flags().StringSlice("node-cidr", nil, "prefixes that nodes have addresses of")
	failOn := c.Flags().String("fail-on", string(lint.Error), "exit with 1 if a finding is at least this bad: error, warning or hint")
	_ = c.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"error", "warning", "hint"}, cobra.ShellCompDirectiveNoFileComp))
	quiet := c.Flags().BoolP("quiet", "q", false, "leave out hints")
	c.RunE = func(*cobra.Command, []string) error {
		options, err := prefixes(*pods, *nodes)
		if err := errors.Join(err, checkOutput(*output)); err != nil {
			return err
		}
		limit := lint.Severity(*failOn)
		if limit != lint.Error && limit != lint.Warning && limit != lint.Hint {
			return mistake.New("--fail-on %q: must be error, warning or hint", *failOn)
		}
		if len(*files) == 0 {
			return mistake.New("which files? -f FILE, -f FOLDER or -f -")
		}
		objects, problems, err := manifests.Read(env.In, *files)
		if err != nil {
			return err
		}
		all := objects
		if *kubeconfig != "" {
			there, err := env.Cluster(c.Context(), *kubeconfig)
			if err != nil {
				return err
			}
			all = replace(there, objects)
			if options, err = ofCluster(there, options); err != nil {
				return err
			}
		}
		if err := knowWorld(&options, all, *kubeconfig != ""); err != nil {
			return err
		}
		var findings []lint.Finding
		for _, f := range lint.Check(all, problems, options) {
			if isOfFile(f, objects) && (!*quiet || f.Severity.AtLeast(lint.Warning)) {
				findings = append(findings, f)
			}
		}
		if err := printFindings(env.Out, *output, findings, policies(objects), closings(all)); err != nil {
			return err
		}
		for _, f := range findings {
			if f.Severity.AtLeast(limit) {
				return errors.New(summary(findings, policies(objects)))
			}
		}
		return nil
	}
	return c
}

func prefixes(pods, nodes []string) (o lint.Options, err error) {
	for _, flag := range []struct {
		name  string
		texts []string
		into  *[]netip.Prefix
	}{{"pod-cidr", pods, &o.PodCIDRs}, {"node-cidr", nodes, &o.NodeCIDRs}} {
		for _, text := range flag.texts {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return o, mistake.New("--%s %q: must be a prefix such as 10.244.0.0/16", flag.name, text)
			}
			*flag.into = append(*flag.into, p.Masked())
		}
	}
	return o, nil
}

// ofCluster adds what a cluster says of itself: its name, and the prefixes that its pods and nodes have addresses of, if
// no flag gives others.
func ofCluster(objects []*manifest.Object, o lint.Options) (lint.Options, error) {
	t, s, err := world(slices.DeleteFunc(slices.Clone(objects), func(o *manifest.Object) bool {
		return o.Kind != "ConfigMap" && o.Kind != "Node" && o.Kind != "CiliumNode"
	}))
	if err != nil {
		return o, err
	}
	_, config := policyinput.Options(s, t)
	o.Cluster = config.ClusterName
	var pods, nodes []netip.Prefix
	if config.IPAM == settings.ClusterPool {
		for _, pool := range config.Pools {
			pods = append(pods, pool.Prefixes...)
		}
	}
	for n := range t.Nodes.All(s) {
		for _, a := range n.Addresses {
			nodes = append(nodes, netip.PrefixFrom(a, a.BitLen()))
		}
		if config.IPAM != settings.ClusterPool {
			pods = append(pods, n.PodCIDRs...)
		}
	}
	if len(o.PodCIDRs) == 0 {
		o.PodCIDRs = pods
	}
	if len(o.NodeCIDRs) == 0 {
		o.NodeCIDRs = nodes
	}
	return o, nil
}

// knowWorld adds what policies depend on beside their text: the configuration, if it is among the objects or they are all of
// a cluster, and what is there of all that a cluster has.
func knowWorld(o *lint.Options, objects []*manifest.Object, all bool) error {
	configured := slices.ContainsFunc(objects, func(o *manifest.Object) bool {
		return o.Kind == "ConfigMap" && o.Name == kind.ConfigName && cmp.Or(o.Namespace, kind.ConfigNamespace) == kind.ConfigNamespace
	})
	if !all && !configured {
		return nil
	}
	t, s, err := world(slices.DeleteFunc(slices.Clone(objects), func(o *manifest.Object) bool {
		return !slices.Contains([]string{"ConfigMap", "Namespace", "Service", "CiliumCIDRGroup", "NetworkAttachmentDefinition"}, o.Kind)
	}))
	if err != nil {
		return err
	}
	w := gap.World{Config: t.Config(s), Audited: policyinput.AuditedNamespaces(s, t)}
	if all {
		w.Group = func(name string) ([]string, bool) {
			g, there := t.CIDRGroups.One(s, state.Join(name))
			return g.Problems, there
		}
		w.Service = func(namespace, name string) bool {
			_, there := t.Services.One(s, table.ObjectKey(namespace, name))
			return there
		}
	}
	if all {
		w.Network = func(name string) (uint32, bool) { return policyinput.NetworkOf(s, t, name) }
	}
	w.Headless = func(namespace, name string) bool {
		service, there := t.Services.One(s, table.ObjectKey(namespace, name))
		return there && len(service.ClusterIPs) == 0
	}
	o.World = &w
	return nil
}

// closings are the NICs that policies would close. Of objects that cannot be read the findings tell.
func closings(objects []*manifest.Object) []closing.NIC {
	if !closing.Asked(objects) {
		return nil
	}
	t, s, err := world(objects)
	if err != nil {
		return nil
	}
	return closing.Of(t, s, objects)
}

// isOfFile leaves out what is to be said about a cluster's own policies.
func isOfFile(f lint.Finding, objects []*manifest.Object) bool {
	return f.File != inventory.File || slices.ContainsFunc(objects, func(o *manifest.Object) bool { return o.File == f.File })
}

// policies counts those among objects.
func policies(objects []*manifest.Object) (n int) {
	for _, o := range objects {
		if lint.IsPolicy(o) {
			n++
		}
	}
	return n
}

// report is what -o json prints.
type report struct {
	Policies int            `json:"policies"`
	Findings []lint.Finding `json:"findings"`
	Closing  []closing.NIC  `json:"closing,omitempty"`
}

func printFindings(out io.Writer, output string, findings []lint.Finding, policies int, nics []closing.NIC) error {
	if output == "json" {
		return printJSON(out, report{policies, append([]lint.Finding{}, findings...), nics})
	}
	for _, f := range findings {
		if _, err := fmt.Fprintln(out, f); err != nil {
			return err
		}
	}
	if len(findings) == 0 {
		if _, err := fmt.Fprintln(out, summary(findings, policies)); err != nil {
			return err
		}
	}
	return closing.Print(out, nics)
}

func summary(findings []lint.Finding, policies int) string {
	return tally.Findings(findings, tally.Of(policies, "policy", "policies"))
}
