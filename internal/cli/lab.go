package cli

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

func labCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "lab {up|down|status|kubectl|logs} [ARGUMENT...]",
		Short: "Run a whole Kubernetes cluster with Weftnet on this machine",
		Long: `lab runs a real three-node, dual-stack Kubernetes cluster on this machine, without Docker and without
a registry, whose network is Weftnet:
  up        bring it up; what is there already is kept
  down      take it down; nothing is left behind
  status    what runs
  kubectl   kubectl of that cluster
  logs      logs of its parts
It needs root. Its program, weft-lab, links Kubernetes itself and is built apart from this one by
'make lab' in a checkout. It is looked for in $WEFT_LAB, beside this program, in $WEFT_LAB_DIR/bin
(/var/tmp/weft-lab/bin unless set), and on the PATH. 'weft lab up --help' is answered by it.`,
		Example: `  weft lab up
  weft lab kubectl get pods -A -o wide
  weft lab down`,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
				return c.Help()
			}
			path, err := findLab(env)
			if err != nil {
				return err
			}
			if err := env.Exec(path, args); err != nil {
				return fmt.Errorf("run %s: %w", path, err)
			}
			return nil
		},
	}
}

// findLab finds weft-lab. A path in $WEFT_LAB must be right; the others are tried in turn.
func findLab(env *Environment) (string, error) {
	if path := env.Getenv("WEFT_LAB"); path != "" {
		found, err := env.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("$WEFT_LAB is %s: %w", path, err)
		}
		return found, nil
	}
	for _, path := range []string{
		filepath.Join(filepath.Dir(env.Self), "weft-lab"),
		filepath.Join(cmp.Or(env.Getenv("WEFT_LAB_DIR"), "/var/tmp/weft-lab"), "bin", "weft-lab"),
		"weft-lab",
	} {
		if found, err := env.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("weft-lab is not on this machine: run 'make lab' in a checkout of Weftnet, which builds it and brings the lab up")
}
