package policy

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func explainCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain --from END --to END:PORT[/PROTOCOL]",
		Short: "Say whether one end may talk with another, and which rule decides",
		Long: `explain says what policies make of a new connection: the verdict of the egress policies of one end and of
the ingress policies of the other, with the rules that decide; of a default deny, which policies isolate,
and which rules almost allow it.

An end is NAMESPACE/NAME of a pod, a virtual machine or a service (with the service's port), node:NAME, an
address, or an entity: host (the node that the other end is on), remote-node, world, kube-apiserver, …. A pod on
the host network is its node. Nodes have policies too (nodeSelector), where enable-host-firewall is true.

If a service is called, or a node at a node port or at a pod's hostPort, the answer is about the backends, one
for each kind of them: policies see traffic after translation.

A port is a number or a container port's name, tcp unless it says otherwise: 80, 53/udp, http; icmp for ping, and
icmp/TYPE or icmpv6/TYPE for other messages (icmp/13, icmpv6/128). Errors about a connection that is allowed pass
with it, whatever is said of them here. IPv6 addresses stand in brackets where their last group may be a port:
[fd00::7]:80.

With --network it is about NICs in another network than that of pods: of a NetworkAttachmentDefinition, by NAMESPACE/NAME,
or of a wire, such as "ens192, VLAN 100". There are no services there, and an address is that of a pod there, or the world's.

It asks the agent of this node, which knows the workloads and policies of the whole cluster; with --kubeconfig
the API server, from any machine that reaches it. With -f it reads files, and needs no cluster: Pods (or what makes
them), Namespaces, Services, Nodes and policies.

Exit status: 0 if there is an answer; 1 if there is none, or it is not what --expect says.`,
		Example: `  weft policy explain --from shop/web-7d4b --to shop/db-0:5432
  weft policy explain --from world --to ingress/envoy:443
  weft policy explain --from shop/web --to 10.0.0.7:53/udp
  weft policy explain --from monitoring/metrics-server --to node:worker-3:10250
  weft policy explain --from world --to node:worker-3:31847
  weft policy explain --network shop/storage --from shop/web --to shop/db:5432
  weft policy explain -f deploy/ --from shop/web --to shop/db:5432 --expect allow`,
		Args: noArguments,
	}
	from := c.Flags().String("from", "", "who begins the connection")
	to := c.Flags().String("to", "", "who is connected to, with a port")
	expect := c.Flags().String("expect", "", "allow or deny: exit with 1 if the answer is another")
	f := newAskFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *from == "" || *to == "" {
			return mistake.New("between which two? --from shop/web --to shop/db:5432")
		}
		if *expect != "" && *expect != "allow" && *expect != "deny" {
			return mistake.New("--expect %q: must be allow or deny", *expect)
		}
		answers, err := ask(c.Context(), env, f, agentv1.PathExplain, f.query("from", *from, "to", *to),
			func(t *table.Tables, s *state.Snapshot) ([]agentv1.Explanation, error) {
				return explain.Explain(s, t, *f.network, *from, *to)
			})
		if err != nil {
			return err
		}
		return errors.Join(show(env.Out, f, answers, printExplanations), unexpected(answers, *expect))
	}
	return c
}

func unexpected(answers []agentv1.Explanation, expect string) error {
	for _, x := range answers {
		if expect != "" && x.Allowed != (expect == "allow") {
			return fmt.Errorf("%s to %s %s: expected %s", x.From.Name, x.To.Name, x.Port, expect)
		}
	}
	return nil
}

func printExplanations(out io.Writer, answers []agentv1.Explanation) error {
	var text strings.Builder
	for i, x := range answers {
		if i > 0 {
			text.WriteString("\n")
		}
		verdict := "ALLOWED"
		if !x.Allowed {
			verdict = "DENIED"
		}
		fmt.Fprintf(&text, "%s -> %s %s: %s\n", partyName(x.From), partyName(x.To), x.Port, verdict)
		printSide(&text, "egress of "+x.From.Name, x.Egress)
		if via := x.Via; via != nil {
			fmt.Fprintf(&text, "  by way of %s %s, the %s\n", partyName(via.Party), via.Port, via.Leads)
			printSide(&text, "ingress of "+via.Name, via.Ingress)
		}
		printSide(&text, "ingress of "+x.To.Name, x.Ingress)
		for _, n := range x.Notes {
			fmt.Fprintf(&text, "  note: %s\n", n)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func partyName(p agentv1.Party) string {
	if p.Address == "" {
		return p.Name
	}
	return fmt.Sprintf("%s (%s)", p.Name, p.Address)
}

func printSide(out *strings.Builder, title string, s agentv1.PolicySide) {
	words := map[string]string{
		"allow": "allowed", "deny": "DENIED by a deny rule", "deny-implicit": "DENIED by default: no rule allows it",
		"audit": "allowed under audit: it would be denied",
	}
	fmt.Fprintf(out, "  %s: %s\n", title, words[s.Verdict])
	prefix := "by"
	if s.Verdict == "deny-implicit" {
		prefix = "isolated by"
	}
	for _, r := range s.Passed {
		fmt.Fprintf(out, "    passed to the next tier by %s\n", r)
	}
	for _, r := range s.Rules {
		fmt.Fprintf(out, "    %s %s\n", prefix, r)
	}
	if s.Reason != "" {
		fmt.Fprintf(out, "    because %s\n", s.Reason)
	}
	for _, n := range s.Near {
		fmt.Fprintf(out, "    but %s\n", n)
	}
	if s.Staged != nil {
		fmt.Fprintf(out, "    with what is staged: %s\n", words[s.Staged.Verdict])
		for _, r := range s.Staged.Rules {
			fmt.Fprintf(out, "      by %s\n", r)
		}
	}
}
