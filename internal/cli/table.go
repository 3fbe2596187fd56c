package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
)

func tableCommand(env *Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "table [NAME]",
		Short: "Show the agent's state, table by table",
		Long: `table lists the tables of the agent of this node, or prints one.

Everything the agent knows, wants and has done is in tables: what it has read (pods, nodes, policies, …),
what follows from that (workloads, policy-sets, ipcache, …), and what became of it (statuses, findings). A
table that is not synced has not been read in full yet.`,
		Example: `  weft table
  weft table workloads
  weft table statuses | grep false`,
		Args: cobra.MaximumNArgs(1),
	}
	socket, output := socketFlag(c), outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		if len(args) == 0 {
			var list []agentv1.TableInfo
			if err := get(c.Context(), *socket, agentv1.PathTables, &list); err != nil {
				return err
			}
			if *output == "json" {
				return printJSON(env.Out, list)
			}
			return printTable(env.Out, infoTable(list))
		}
		var t agentv1.Table
		if err := get(c.Context(), *socket, agentv1.PathTables+"/"+url.PathEscape(args[0]), &t); err != nil {
			return err
		}
		if *output == "json" {
			return printJSON(env.Out, t)
		}
		if !t.Synced {
			fmt.Fprintf(env.Err, "table %s is not synced: rows may be missing\n", t.Name)
		}
		return printTable(env.Out, t)
	}
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var list []agentv1.TableInfo
		if len(args) > 0 || get(c.Context(), *socket, agentv1.PathTables, &list) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, t := range list {
			names = append(names, t.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

func infoTable(list []agentv1.TableInfo) agentv1.Table {
	t := agentv1.Table{Header: []string{"Table", "Rows", "Synced"}}
	for _, info := range list {
		t.Cells = append(t.Cells, []string{info.Name, fmt.Sprint(info.Rows), fmt.Sprint(info.Synced)})
	}
	return t
}

func printTable(out io.Writer, t agentv1.Table) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.Header}, t.Cells...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cell == "" {
				cell = "-"
			}
			cells[i] = strings.NewReplacer("\t", " ", "\n", " ").Replace(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}
