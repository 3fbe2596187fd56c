package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
)

func statusCommand(env *Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the state of this node's agent, and which of its configuration is in force",
		Long: `status shows what the agent of this node says of itself.

Components are the parts of the agent that can fail by themselves. Protections are what keeps
attackers out: whether the configuration asks for each, and whether it is active. Settings lists every
key of ConfigMap kube-system/cilium-config as
  effective          it does what it says
  not implemented    it is known, and this value does nothing here yet; the note says what happens instead
  unknown            no key of this version: a spelling mistake, or a key of another version
  invalid            its value makes no sense; the default is in use

status fails while a protection that the configuration asks for is not active, while a component has
failed, and while the agent is not ready to connect pods.`,
		Example: `  weft status
  weft status --brief
  weft status -o json | jq '.settings[] | select(.state != "effective")'`,
		Args: cobra.NoArgs,
	}
	socket, output := socketFlag(c), outputFlag(c)
	brief := c.Flags().Bool("brief", false, "leave out what is well: effective settings, healthy components, counts")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		var s agentv1.NodeStatus
		if err := get(c.Context(), *socket, agentv1.PathNodeStatus, &s); err != nil {
			return err
		}
		show := func() error { return printStatus(env.Out, s, env.Now(), *brief) }
		if *output == "json" {
			show = func() error { return printJSON(env.Out, s) }
		}
		if err := show(); err != nil {
			return err
		}
		return judge(s)
	}
	return c
}

// judge is the error of a status that is not well, its gravest part first.
func judge(s agentv1.NodeStatus) error {
	var problems []error
	for _, p := range s.Unprotected() {
		problems = append(problems, fmt.Errorf("%s is requested (%s) and NOT ACTIVE%s", p.Name, cmp.Or(p.By, "by default"), note(p.Note)))
	}
	for _, c := range s.Components {
		if c.Health == agentv1.HealthFailed {
			problems = append(problems, fmt.Errorf("%s has failed%s", c.Name, note(c.Message)))
		}
	}
	if !s.Ready {
		problems = append(problems, errors.New("the agent is not ready: pods that start on this node wait for it"))
	}
	return errors.Join(problems...)
}

func note(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func printStatus(out io.Writer, s agentv1.NodeStatus, now time.Time, brief bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	ready := "ready"
	if !s.Ready {
		ready = "NOT READY"
	}
	fmt.Fprintf(w, "Agent\t%s\t%s on %s, cluster %s, up %s\n", ready, cmp.Or(s.Version, "of no version"), s.Node, s.Cluster, uptime(s.Started, now))
	section := func(title string, rows [][]string) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(w, "\n%s\n", title)
		for _, row := range rows {
			fmt.Fprintf(w, "  %s\n", strings.TrimRight(strings.Join(row, "\t"), "\t"))
		}
	}
	var components, protections, counts, settings [][]string
	for _, c := range s.Components {
		if !brief || c.Health != agentv1.HealthOK {
			components = append(components, []string{c.Name, string(c.Health), c.Message})
		}
	}
	for _, p := range s.Protections {
		protections = append(protections, []string{p.Name, protectionText(p), p.By, p.Note})
	}
	for _, n := range s.Counts {
		if !brief {
			counts = append(counts, []string{n.Name, fmt.Sprint(n.Value)})
		}
	}
	for _, setting := range sorted(s.Settings) {
		if !brief || setting.State != agentv1.SettingEffective {
			settings = append(settings, []string{setting.Name, oneLine(setting.Value), string(setting.State), setting.Note})
		}
	}
	section("Components", components)
	section("Protections", protections)
	section("Counts", counts)
	section("Settings", settings)
	return w.Flush()
}

func protectionText(p agentv1.Protection) string {
	switch {
	case p.Active:
		return "active"
	case p.Requested:
		return "NOT ACTIVE"
	}
	return "not requested"
}

// sorted puts what needs attention first: invalid, unknown, not implemented, then the rest, each by name.
func sorted(list []agentv1.Setting) []agentv1.Setting {
	order := []agentv1.SettingState{agentv1.SettingInvalid, agentv1.SettingUnknown, agentv1.SettingNotImplemented}
	rank := func(s agentv1.Setting) int {
		if i := slices.Index(order, s.State); i >= 0 {
			return i
		}
		return len(order)
	}
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b agentv1.Setting) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// oneLine makes a value of several lines fit a table.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	if text == "" {
		return `""`
	}
	return text
}

func uptime(started, now time.Time) string {
	if started.IsZero() {
		return "for an unknown time"
	}
	return now.Sub(started).Truncate(time.Second).String()
}
