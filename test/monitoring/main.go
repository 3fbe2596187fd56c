// Monitoring looks whether what a monitoring system is given works: the rules of deploy/chart/monitoring, those that a platform team brings
// with it, and the dashboards, against a Prometheus that scrapes real agents. It needs root, and Debian's prometheus.
//
//	go run ./test/monitoring [-for 90s]
//
// Rules are tested by promtool, hours of theirs in no time; then one alert of each file fires for a reason that is real: calls that
// policies deny, and an agent that is gone. While nodes (network namespaces, package nettest) carry traffic of all kinds, every query of every
// panel, every variable, and every window of a rate is asked (package walk): one without an answer fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"weftnet.io/weftnet/deploy"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/test/monitoring/walk"
)

// scrape is how often Prometheus asks; Grafana's windows of a rate are four times that, or more.
const scrape = 2 * time.Second

var windows = []string{"8s", "1m"}

func main() {
	process.Main()
	lasts := flag.Duration("for", 60*time.Second, "how long there is traffic before the dashboards are asked")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *lasts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, lasts time.Duration) error {
	dir, err := os.MkdirTemp("", "weft") // a socket's path is short
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rules, err := testRules(ctx, filepath.Join(dir, "rules"))
	if err != nil {
		return err
	}
	c, err := nettest.New(filepath.Join(dir, "lab"))
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := newScene(ctx, c)
	if err != nil {
		return err
	}
	p, err := startPrometheus(filepath.Join(dir, "prometheus"), rules, s.a, s.b)
	if err != nil {
		return err
	}
	defer p.stop()
	traffic, end := context.WithTimeout(ctx, lasts)
	defer end()
	calm := make(chan error, 1)
	go func() { calm <- s.traffic(traffic, ctx) }()
	if err := p.await(ctx, "NetworkPolicyViolation", "a:9962"); err != nil {
		return err
	}
	fmt.Println("NetworkPolicyViolation fires for calls that a policy denies")
	<-traffic.Done()
	if err := boards(ctx, p); err != nil {
		return err
	}
	if err := <-calm; err != nil {
		return err
	}
	s.b.Kill()
	for _, alert := range []string{"CiliumAgentDown", "CiliumAgentUnreachable"} {
		if err := p.await(ctx, alert, "b:9962"); err != nil {
			return err
		}
		fmt.Println(alert, "fires for an agent that is gone")
	}
	return nil
}

// boards asks all that dashboards ask.
func boards(ctx context.Context, p *prometheus) error {
	const dir = "chart/monitoring/dashboards"
	files, err := fs.ReadDir(deploy.Chart, dir)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("find dashboards: %w", errors.Join(err, fs.ErrNotExist))
	}
	var empty []string
	for _, f := range files {
		text, err := fs.ReadFile(deploy.Chart, path.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		none, queries, err := walk.Dashboard(ctx, text, p, windows)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d queries, %d without an answer\n", f.Name(), queries, len(none))
		for _, e := range none {
			empty = append(empty, e.String())
		}
	}
	if len(empty) > 0 {
		return errors.New(strings.Join(empty, "\n"))
	}
	return nil
}
