// Package component builds from source every program a lab cluster runs.
//
// Kubernetes, containerd, runc, the CNI plugins and CoreDNS want different versions of the same libraries, so each comes from a Go
// module of its own that pins everything (lab/go.mod and lab/components/*/go.mod); nothing is downloaded but Go modules. Programs of
// this repository come from its main module.
//
// Third-party programs change only when their module files or build flags do. A stamp beside the outputs records a digest of exactly
// those inputs, and a build whose stamp matches is skipped without even asking the Go tool: that is what makes a second
// `make test` quick. Programs of this repository are always handed to the Go tool, whose own cache is exact.
package component

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Build is one call of the Go tool or the C compiler, and what comes out.
type Build struct {
	Name    string   // for the progress line and the stamp
	Module  string   // folder below lab/
	Targets []string // packages
	Test    bool     // go test -c
	Tags    string
	LDFlags string
	Cgo     bool
	Folder  string   // below the lab directory: bin or cni
	Outputs []string // file names in Folder, one per target
	Inputs  []string // files and folders below lab/ that decide the outcome, besides the module files
	Seconds int      // about, with nothing cached, on two cores
}

const kubernetesVersion = "v1.36.3"

func kubernetesFlags() string {
	const v = "k8s.io/component-base/version."
	return "-s -w -X " + v + "gitVersion=" + kubernetesVersion + " -X " + v + "gitMajor=1 -X " + v + "gitMinor=36 -X " + v +
		"gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=" + kubernetesVersion
}

// Cluster lists the builds a cluster needs, the longest first.
func Cluster() []Build {
	const containerd = "github.com/containerd/containerd/v2/cmd/"
	return []Build{
		{
			Name: "Kubernetes " + kubernetesVersion, Module: ".", Targets: []string{"./cmd/weft-kube"}, LDFlags: kubernetesFlags(),
			Folder: "bin", Outputs: []string{"weft-kube"}, Inputs: []string{"cmd/weft-kube", "internal/kubernetes", "internal/controlplane", "internal/topology"},
			Seconds: 600,
		},
		{
			Name: "containerd", Module: "components/containerd", Tags: "no_btrfs no_devmapper no_zfs", LDFlags: "-s -w", Folder: "bin",
			Targets: []string{containerd + "containerd", containerd + "ctr", containerd + "containerd-shim-runc-v2"},
			Outputs: []string{"containerd", "ctr", "containerd-shim-runc-v2"}, Seconds: 150,
		},
		{
			Name: "CoreDNS", Module: "components/coredns", Targets: []string{"github.com/coredns/coredns"}, LDFlags: "-s -w",
			Folder: "bin", Outputs: []string{"coredns"}, Seconds: 240,
		},
		{
			Name: "runc", Module: "components/runc", Targets: []string{"github.com/opencontainers/runc"}, Tags: "seccomp", LDFlags: "-s -w",
			Cgo: true, Folder: "bin", Outputs: []string{"runc"}, Seconds: 30,
		},
		Plugins(),
		{
			Name: "agnhost", Module: ".", Targets: []string{"k8s.io/kubernetes/test/images/agnhost"}, LDFlags: "-s -w",
			Folder: "bin", Outputs: []string{"agnhost"}, Seconds: 60,
		},
	}
}

// plugins are the standard CNI plugins, by their place in the module that has them.
var plugins = []string{
	"main/bridge", "main/dummy", "main/host-device", "main/ipvlan", "main/loopback", "main/macvlan", "main/ptp", "main/tap", "main/vlan",
	"meta/bandwidth", "meta/firewall", "meta/portmap", "meta/sbr", "meta/tuning", "meta/vrf", "ipam/host-local", "ipam/static",
}

// PluginNames are the names of their programs.
func PluginNames() (names []string) {
	for _, p := range plugins {
		names = append(names, path.Base(p))
	}
	return names
}

// Plugins are the standard CNI plugins: the image of the agent has all of them, since they make further NICs of pods.
func Plugins() Build {
	b := Build{Name: "CNI plugins", Module: "components/cni", LDFlags: "-s -w", Folder: "cni", Outputs: PluginNames(), Seconds: 60}
	for _, p := range plugins {
		b.Targets = append(b.Targets, "github.com/containernetworking/plugins/plugins/"+p)
	}
	return b
}

// Push takes image archives to registries.
func Push() Build {
	return Build{
		Name: "weft-push", Module: "components/push", Targets: []string{"."}, LDFlags: "-s -w",
		Folder: "bin", Outputs: []string{"weft-push"}, Inputs: []string{"components/push"},
	}
}

// Conformance lists what only the official end-to-end tests need.
func Conformance() []Build {
	return []Build{
		{
			Name: "Kubernetes end-to-end tests", Module: ".", Targets: []string{"k8s.io/kubernetes/test/e2e"}, Test: true, LDFlags: kubernetesFlags(),
			Folder: "bin", Outputs: []string{"e2e.test"},
		},
		{Name: "ginkgo", Module: ".", Targets: []string{"github.com/onsi/ginkgo/v2/ginkgo"}, Folder: "bin", Outputs: []string{"ginkgo"}},
	}
}

// Expect is about how long builds take on a machine with so many cores. They keep no more than eight busy.
func Expect(builds []Build, cores int) time.Duration {
	total := 0
	for _, b := range builds {
		total += b.Seconds
	}
	return time.Duration(total) * time.Second * 2 / time.Duration(min(max(cores, 1), 8))
}

// Builder carries out builds: sources below Lab, results below Dir.
type Builder struct {
	Source string // root of the repository
	Dir    string // the lab directory
}

func (b Builder) lab() string { return filepath.Join(b.Source, "lab") }

func (b Builder) stamp(name string) string {
	return filepath.Join(b.Dir, "stamp", strings.ReplaceAll(strings.ToLower(name), " ", "-"))
}

// Fresh reports whether the outputs exist and were made from the present inputs.
func (b Builder) Fresh(c Build) (bool, error) {
	want, err := b.digest(c)
	if err != nil {
		return false, err
	}
	got, err := os.ReadFile(b.stamp(c.Name))
	if err != nil || string(got) != want {
		return false, nil //nolint:nilerr // no stamp: not built
	}
	for _, o := range c.Outputs {
		if _, err := os.Stat(filepath.Join(b.Dir, c.Folder, o)); err != nil {
			return false, nil //nolint:nilerr // gone: not built
		}
	}
	return true, nil
}

// digest covers everything that decides the outcome.
func (b Builder) digest(c Build) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH, c.Targets, c.Test, c.Tags, c.LDFlags, c.Cgo)
	inputs := []string{filepath.Join(c.Module, "go.mod"), filepath.Join(c.Module, "go.sum")}
	for _, in := range append(inputs, c.Inputs...) {
		err := filepath.WalkDir(filepath.Join(b.lab(), in), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") {
				return err
			}
			content, err := os.ReadFile(p)
			fmt.Fprintf(h, "%s %x\n", d.Name(), sha256.Sum256(content))
			return err
		})
		if err != nil {
			return "", fmt.Errorf("build %s: %w", c.Name, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Make carries out one build and stamps it.
func (b Builder) Make(ctx context.Context, c Build) error {
	digest, err := b.digest(c)
	if err != nil {
		return err
	}
	out := filepath.Join(b.Dir, c.Folder)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("build %s: %w", c.Name, err)
	}
	for i, target := range c.Targets {
		args := []string{"build"}
		if c.Test {
			args = []string{"test", "-c"}
		}
		tmp := filepath.Join(out, "."+c.Outputs[i]+".new")
		args = append(args, "-buildvcs=false", "-ldflags="+c.LDFlags, "-tags="+c.Tags, "-o", tmp, target)
		if err := b.run(ctx, filepath.Join(b.lab(), c.Module), c.Cgo, "go", args...); err != nil {
			return fmt.Errorf("build %s: %w", c.Name, err)
		}
		// A running program keeps the file it was started from.
		if err := os.Rename(tmp, filepath.Join(out, c.Outputs[i])); err != nil {
			return fmt.Errorf("build %s: %w", c.Name, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(b.stamp(c.Name)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(b.stamp(c.Name), []byte(digest), 0o644)
}

// programs of this repository that go into images or are of use beside a running lab.
var programs = []string{"weft-agent", "weft-cni", "weft", "weft-operator", "weft-relay"}

// Version is that of a checkout, as Git describes it; dev without Git.
func Version(ctx context.Context, source string) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty")
	cmd.Dir = source
	out, err := cmd.Output()
	if version := strings.TrimSpace(string(out)); err == nil && version != "" {
		return version
	}
	return "dev"
}

// MakeNetwork builds Weftnet's own programs into bin, and tells them their version.
func (b Builder) MakeNetwork(ctx context.Context, version string) error {
	flags := "-ldflags=-s -w -X weftnet.io/weftnet/internal/version.linked=" + version
	args := []string{"build", "-buildvcs=false", "-trimpath", flags, "-o", filepath.Join(b.Dir, "bin") + "/"}
	var missing []string
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(b.Source, "cmd", p)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, "cmd/"+p)
		}
		args = append(args, "./cmd/"+p)
	}
	if len(missing) > 0 {
		return fmt.Errorf("build Weftnet: %s has no %s", b.Source, strings.Join(missing, ", "))
	}
	if err := b.run(ctx, b.Source, false, "go", args...); err != nil {
		return fmt.Errorf("build Weftnet: %w", err)
	}
	return nil
}

// MakePause compiles the program that holds a pod's namespaces: a page of C in the Kubernetes sources.
func (b Builder) MakePause(ctx context.Context, kubernetes string) error {
	out := filepath.Join(b.Dir, "bin", "pause")
	if _, err := os.Stat(out); err == nil {
		return nil
	}
	src := filepath.Join(kubernetes, "build/pause/linux/pause.c")
	return b.run(ctx, b.lab(), true, "gcc", "-Os", "-static", "-DVERSION=3.10.2", "-o", out, src)
}

// ModuleDir is the folder of a module in the Go module cache, downloaded if need be.
func (b Builder) ModuleDir(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = b.lab()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// run calls a build tool. The tool is killed when this process dies, so that a crashed `up` leaves no compiler behind.
func (b Builder) run(ctx context.Context, dir string, cgo bool, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cgoValue := "CGO_ENABLED=0"
	if cgo {
		cgoValue = "CGO_ENABLED=1"
	}
	cmd.Env = append(os.Environ(), cgoValue, "GOWORK=off")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	runtime.LockOSThread() // the death signal follows the thread, which must outlive the tool
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(output.String(), 30))
	}
	return nil
}

func tail(s string, n int) string {
	lines := slices.Collect(strings.Lines(s))
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
