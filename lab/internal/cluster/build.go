package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"weftnet.io/weftnet/lab/internal/component"
	"weftnet.io/weftnet/lab/internal/image"
	"weftnet.io/weftnet/lab/internal/machine"
	"weftnet.io/weftnet/lab/internal/rootfs"
)

func (l *Lab) builder() component.Builder { return component.Builder{Source: l.Source, Dir: l.Dir} }

// stale lists the builds whose outputs are missing or older than their inputs. Without sources, what exists is good enough.
func (l *Lab) stale(builds []component.Build) ([]component.Build, error) {
	var out []component.Build
	for _, c := range builds {
		if l.Source == "" {
			for _, o := range c.Outputs {
				if _, err := os.Stat(filepath.Join(l.Dir, c.Folder, o)); err != nil {
					return nil, fmt.Errorf("%s is not built and there are no sources here: run inside a checkout of Weftnet, or give --source", c.Name)
				}
			}
			continue
		}
		fresh, err := l.builder().Fresh(c)
		if err != nil {
			return nil, err
		}
		if !fresh {
			out = append(out, c)
		}
	}
	return out, nil
}

func (l *Lab) makeAll(ctx context.Context, builds []component.Build) error {
	for _, c := range builds {
		if err := l.Progress.Do("build "+c.Name, func() error { return l.builder().Make(ctx, c) }); err != nil {
			return err
		}
	}
	return nil
}

// Build makes the programs and images of a cluster with this network.
func (l *Lab) Build(ctx context.Context, network string) error {
	stale, err := l.stale(component.Cluster())
	if err != nil {
		return err
	}
	if err := machine.Check(l.Dir, len(stale) == 0); err != nil {
		return err
	}
	if wait := component.Expect(stale, runtime.NumCPU()).Round(time.Minute); wait > 0 {
		l.Progress.Note("%d programs are built from source: about %d minutes on %d cores, this once", len(stale), int(wait.Minutes()), runtime.NumCPU())
	}
	if err := l.makeAll(ctx, stale); err != nil {
		return err
	}
	if err := l.link("kubectl", "weft-kube"); err != nil {
		return err
	}
	if l.Source != "" {
		kubernetes, err := l.builder().ModuleDir(ctx, "k8s.io/kubernetes")
		if err != nil {
			return err
		}
		if err := l.builder().MakePause(ctx, kubernetes); err != nil {
			return err
		}
		if err := l.writeClusterImages(kubernetes); err != nil {
			return err
		}
	}
	if network != NetworkWeft {
		return nil
	}
	if l.Source != "" {
		if err := l.Progress.Do("build Weftnet", func() error { return l.builder().MakeNetwork(ctx, component.Version(ctx, l.Source)) }); err != nil {
			return err
		}
	}
	recipes, err := l.kitchen("").Network(rootfs.Repository, rootfs.Tag)
	if err != nil {
		return err
	}
	return l.writeImages(recipes)
}

// BuildConformance makes the official end-to-end tests.
func (l *Lab) BuildConformance(ctx context.Context) error {
	stale, err := l.stale(component.Conformance())
	if err != nil {
		return err
	}
	return l.makeAll(ctx, stale)
}

func (l *Lab) link(name, target string) error {
	if have, err := os.Readlink(l.Bin(name)); err == nil && have == target {
		return nil
	}
	tmp := l.Bin("." + name)
	if err := errors.Join(os.RemoveAll(tmp), os.Symlink(target, tmp)); err != nil {
		return err
	}
	return os.Rename(tmp, l.Bin(name))
}

func (l *Lab) kitchen(kubernetes string) rootfs.Kitchen {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		busybox = "/bin/busybox"
	}
	return rootfs.Kitchen{
		Bin: filepath.Join(l.Dir, "bin"), CNI: filepath.Join(l.Dir, "cni"), Busybox: busybox,
		Porter: filepath.Join(kubernetes, "test/images/agnhost/porter"),
	}
}

func (l *Lab) writeClusterImages(kubernetes string) error {
	recipes, err := l.kitchen(kubernetes).Cluster()
	if err != nil {
		return err
	}
	return l.writeImages(recipes)
}

func (l *Lab) imageFile(name string) string { return filepath.Join(l.Dir, "images", name) }

// writeImages writes those whose ingredients changed. Beside each archive lies what it was made from, its names, and its digest.
func (l *Lab) writeImages(recipes []rootfs.Recipe) error {
	for _, r := range recipes {
		file := l.imageFile(r.File)
		print, err := r.Tree.Fingerprint()
		if err != nil {
			return err
		}
		print += " " + strings.Join(r.Names, " ")
		if have, err := os.ReadFile(file + ".made"); err == nil && string(have) == print {
			if _, err := os.Stat(file); err == nil {
				continue
			}
		}
		err = l.Progress.Do("write image "+r.Names[0], func() error {
			digest, err := image.Write(file, r.Tree, r.Config, r.Names...)
			if err != nil {
				return err
			}
			if err := os.WriteFile(file+".digest", []byte(digest), 0o644); err != nil {
				return err
			}
			return os.WriteFile(file+".made", []byte(print), 0o644)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// images lists the archives a cluster with this network needs.
func (l *Lab) images(network string) []string {
	files := []string{"pause.tar", "coredns.tar", "agnhost.tar", "busybox.tar"}
	if network == NetworkWeft {
		files = append(files, "weftnet-agent.tar", "weftnet-operator.tar")
	}
	return files
}

// digest of an image that writeImages has written.
func (l *Lab) digest(file string) (string, error) {
	b, err := os.ReadFile(l.imageFile(file) + ".digest")
	return string(b), err
}
