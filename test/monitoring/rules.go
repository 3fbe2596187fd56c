package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"weftnet.io/weftnet/deploy"
)

//go:embed testdata
var testdata embed.FS

// pause is how long a rule waits before it fires.
var pause = regexp.MustCompile(`(?m)^(\s+for:) .*$`)

// testRules has promtool test all rules, and gives copies of them that fire at once.
func testRules(ctx context.Context, dir string) (hasty []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	ours, err := fs.ReadFile(deploy.Chart, "chart/monitoring/alerts.yaml")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"alerts.yaml": ours}
	for _, name := range []string{"team-alerts.yaml", "team_test.yaml", "alerts_test.yaml"} {
		if files[name], err = testdata.ReadFile("testdata/" + name); err != nil {
			return nil, err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml", "team-alerts.yaml"}, {"test", "rules", "alerts_test.yaml", "team_test.yaml"}} {
		c := exec.CommandContext(ctx, "promtool", args...)
		c.Dir, c.Stdout, c.Stderr = dir, os.Stdout, os.Stderr
		if err := c.Run(); errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%w: apt-get install --no-install-recommends prometheus", err)
		} else if err != nil {
			return nil, fmt.Errorf("%v: %w", c.Args, err)
		}
	}
	for _, name := range []string{"alerts.yaml", "team-alerts.yaml"} {
		at := filepath.Join(dir, "hasty-"+name)
		if err := os.WriteFile(at, pause.ReplaceAll(files[name], []byte("$1 0s")), 0o644); err != nil {
			return nil, err
		}
		hasty = append(hasty, at)
	}
	return hasty, nil
}
