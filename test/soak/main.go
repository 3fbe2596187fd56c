// Soak lets things fail that fail in the life of a cluster, again and again, at moments that a seed chooses, and looks
// whether anything was lost or left behind. It needs root.
//
//	go run ./test/soak NAME [-seed N] [-rounds N] [-for DURATION] [-former PROGRAM] [-kubeconfig FILE]
//
// Nodes are network namespaces with real agents, pods are attached by real CNI calls (package nettest). Each soak prints
// its seed first: with the same seed it makes the same choices, as far as the machine's own timing lets it.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"weftnet.io/weftnet/internal/nettest/claim"
	"weftnet.io/weftnet/internal/nettest/follow"
	"weftnet.io/weftnet/internal/nettest/process"
)

func main() {
	process.Main()
	follow.Main()
	claim.Main()
	name, args := "", os.Args[1:]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	seed := flags.Uint64("seed", 0, "of all choices; 0: a random one")
	rounds := flags.Int("rounds", 0, "how often; 0: as many as make the soak worth its name")
	lasts := flags.Duration("for", 0, "how long, of soaks without rounds; 0: as long as makes the soak worth its name")
	former := flags.String("former", "", "soak of an earlier commit, whose agents are replaced; empty: this one. make upgrade COMMIT=… builds it")
	api := flags.String("kubeconfig", "", "of a cluster with Weftnet, whose API server claims use; empty: one in memory")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: soak NAME [-seed N] [-rounds N] [-for DURATION] [-former PROGRAM] [-kubeconfig FILE]\n\nNAME is one of")
		for _, s := range soaks {
			fmt.Fprintf(flags.Output(), "  %-12s %s (%s)\n", s.name, s.about, s.size(s.rounds, s.lasts))
		}
		flags.PrintDefaults()
	}
	_ = flags.Parse(args) // exits by itself
	s, ok := find(name)
	if !ok {
		flags.Usage()
		os.Exit(2)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := s.run(ctx, *seed, *rounds, *lasts, *former, *api, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak", name+":", err)
		os.Exit(1)
	}
}
