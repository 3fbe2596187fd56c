// Package release makes what a cluster of one's own is installed with: images of agent and operator, and a chart that
// names them, all of one version. It needs no Docker and no registry.
//
//	weftnet-agent.tar, weftnet-operator.tar   OCI archives: ctr images import takes them, and every registry by weft-push
//	weftnet-chart.tgz                         the chart in deploy/chart with this version and these images
//
// The lab uses the same recipes (package rootfs) under names of its own.
//
//	r := release.Release{Source: ".", Out: "dist", Version: "v1.2.3", Registry: "registry.example/weftnet"}
//	err := r.Make(ctx, progress)
package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"weftnet.io/weftnet/lab/internal/component"
	"weftnet.io/weftnet/lab/internal/image"
	"weftnet.io/weftnet/lab/internal/progress"
	"weftnet.io/weftnet/lab/internal/rootfs"
)

// Untagged is the version that a chart from a checkout asks for; archives carry it as a second name.
const Untagged = "dev"

// ChartFile is the packed chart.
const ChartFile = "weftnet-chart.tgz"

// Release is what is made, and where.
type Release struct {
	Source   string // the repository
	Out      string // folder of the results; what is built on the way is kept below
	Version  string // of programs, images and chart; empty: what Git calls the sources
	Registry string // where images are pushed: registry and path; empty: nowhere
}

// tag is what a registry takes as the tag of an image (OCI distribution-spec).
var tag = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// Make builds, writes, packs and, if a registry is named, pushes.
func (r Release) Make(ctx context.Context, p *progress.Printer) error {
	version := cmp.Or(r.Version, component.Version(ctx, r.Source))
	if !tag.MatchString(version) {
		return fmt.Errorf("version %q cannot be the tag of an image: it may have letters, digits, dots, dashes and underscores", version)
	}
	recipes, err := r.recipes(ctx, p, version)
	if err != nil {
		return err
	}
	for _, recipe := range recipes {
		file := filepath.Join(r.Out, recipe.File)
		if _, err := image.Write(file, recipe.Tree, recipe.Config, recipe.Names...); err != nil {
			return err
		}
		p.Note("%s: %s", file, recipe.Names[0])
	}
	chart := filepath.Join(r.Out, ChartFile)
	if err := packChart(filepath.Join(r.Source, "deploy/chart"), chart, version, r.Registry); err != nil {
		return err
	}
	p.Note("%s: chart of version %s", chart, version)
	if r.Registry == "" {
		p.Note("on each node: ctr -n k8s.io images import FILE; then: helm install weftnet %s --namespace kube-system", chart)
		return nil
	}
	for _, recipe := range recipes {
		if err := r.push(ctx, p, recipe); err != nil {
			return err
		}
	}
	p.Note("now: helm install weftnet %s --namespace kube-system", chart)
	return nil
}

// recipes builds the programs that go into the images.
func (r Release) recipes(ctx context.Context, p *progress.Printer, version string) ([]rootfs.Recipe, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, errors.New("there is no busybox, which the agent's image has for its shell: run tools/setup as root, or install package busybox-static")
	}
	b := component.Builder{Source: r.Source, Dir: filepath.Join(r.Out, "build")}
	builds := []component.Build{component.Plugins()}
	if r.Registry != "" {
		builds = append(builds, component.Push())
	}
	for _, c := range builds {
		if fresh, err := b.Fresh(c); err != nil {
			return nil, err
		} else if fresh {
			continue
		}
		if err := p.Do("build "+c.Name, func() error { return b.Make(ctx, c) }); err != nil {
			return nil, err
		}
	}
	if err := p.Do("build Weftnet "+version, func() error { return b.MakeNetwork(ctx, version) }); err != nil {
		return nil, err
	}
	kitchen := rootfs.Kitchen{Bin: filepath.Join(b.Dir, "bin"), CNI: filepath.Join(b.Dir, "cni"), Busybox: busybox, Version: version}
	if r.Registry != "" {
		return kitchen.Network(strings.TrimSuffix(r.Registry, "/"), version)
	}
	return kitchen.Network(rootfs.Repository, version, Untagged)
}

func (r Release) push(ctx context.Context, p *progress.Printer, recipe rootfs.Recipe) error {
	return p.Do("push "+recipe.Names[0], func() error {
		cmd := exec.CommandContext(ctx, filepath.Join(r.Out, "build/bin/weft-push"), filepath.Join(r.Out, recipe.File), recipe.Names[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}
