package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"weftnet.io/weftnet/internal/nettest"
)

// soak is one kind of fault.
type soak struct {
	name   string
	about  string
	rounds int           // that make it worth its name
	lasts  time.Duration // … or how long; 0: it has rounds
	do     func(ctx context.Context, b *bed) error
}

var soaks = []soak{
	{"restart", "agents are replaced and crash under load, with VXLAN and natively", 100, 0, restarts},
	{"kill", "an agent is killed at random points of ADDs and DELs", 200, 0, kills},
	{"mode", "nodes change between VXLAN and native routing under load", 25, 0, modes},
	{"upgrade", "agents of an earlier commit become these under load, with VXLAN and natively", 2, 0, upgrades},
	{"churn", "services, endpoints, policies and agents change under load on all paths", 0, 30 * time.Minute, churns},
	{"claims", "agents are killed while they give addresses of one range", 0, 5 * time.Minute, claims},
}

func find(name string) (soak, bool) {
	for _, s := range soaks {
		if s.name == name {
			return s, true
		}
	}
	return soak{}, false
}

// bed is what a soak works with.
type bed struct {
	*rand.Rand
	rounds int
	lasts  time.Duration
	former string // program whose agents are replaced; empty: this one
	api    string // kubeconfig of the API server of claims; empty: one in memory
	out    io.Writer
	dir    string
}

func (s soak) run(ctx context.Context, seed uint64, rounds int, lasts time.Duration, former, api string, out io.Writer) error {
	if rounds > 0 && s.rounds == 0 || lasts > 0 && s.lasts == 0 {
		return errors.New("-rounds is for soaks that have rounds, -for is for the others")
	}
	if former != "" && s.name != "upgrade" {
		return errors.New("-former is for upgrade")
	}
	if api != "" && s.name != "claims" {
		return errors.New("-kubeconfig is for claims")
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root: makes network namespaces")
	}
	dir, err := os.MkdirTemp("", "weft") // a socket's path is short
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bed{rand.New(rand.NewPCG(seed, 0)), cmp.Or(rounds, s.rounds), cmp.Or(lasts, s.lasts), former, api, out, dir}
	b.printf("soak %s: seed %d, %s", s.name, seed, s.size(b.rounds, b.lasts))
	began := time.Now()
	if err := s.do(ctx, b); err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	b.printf("soak %s: all well after %v", s.name, time.Since(began).Round(time.Second))
	return nil
}

// size tells how much of it there is.
func (s soak) size(rounds int, lasts time.Duration) string {
	if s.lasts > 0 {
		return lasts.String()
	}
	return fmt.Sprint(rounds, " rounds")
}

func (b *bed) printf(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }

// cluster makes a cluster in a folder of its own.
func (b *bed) cluster(name string) (*nettest.Cluster, error) {
	dir := b.dir + "/" + name
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return nettest.New(dir)
}

// patience is how long a step may take on a machine that is busy.
const patience = 2 * time.Minute

// native are the keys for routing without a tunnel.
var native = map[string]string{
	"routing-mode": "native", "auto-direct-node-routes": "true",
	"ipv4-native-routing-cidr": "10.244.0.0/16", "ipv6-native-routing-cidr": "fd00:244::/48",
}
