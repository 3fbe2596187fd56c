package cni

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/pace"
	"weftnet.io/weftnet/internal/nettest/process"
)

func TestMain(m *testing.M) {
	process.Main()
	os.Exit(m.Run())
}

// project are programs of the CNI project, built once.
var project = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "weft-cni-project")
	if err != nil {
		return "", err
	}
	const module = "github.com/containernetworking/cni/"
	if out, err := exec.Command("go", "build", "-o", dir+"/", module+"cnitool", module+"plugins/test/noop").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cnitool and noop: %w: %s", err, out)
	}
	return dir, nil
})

// scene is a node with an agent, and a runtime on it.
type scene struct {
	*testing.T
	*nettest.Node
	cluster *nettest.Cluster
	dir     string
	plugins []string // folders: ours, under both names, and the project's
	lib     *libcni.CNIConfig
	empty   string // what the node's kernel holds when there is no pod
}

func begin(t *testing.T) *scene {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	programs, err := project()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "weft") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c, err := nettest.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := &scene{T: t, cluster: c, dir: dir, plugins: []string{dir + "/plugins", programs}}
	if s.Node, err = c.AddNode("a", nil); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Mkdir(s.plugins[0], 0o755)
	}
	for _, name := range []string{"weft-cni", "cilium-cni"} {
		err = errors.Join(err, os.Symlink(self, filepath.Join(s.plugins[0], name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	// The plugin is this program once more, told so by its environment, which runtimes pass on.
	probe := s.pod("any")
	call, err := probe.Command("", "VERSION")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range call.Env {
		if role, ok := strings.CutPrefix(e, process.Environment+"="); ok {
			t.Setenv(process.Environment, role)
		}
	}
	s.lib = s.runtime("cache")
	s.settle()
	s.empty = s.kernel()
	return s
}

// runtime is one that remembers in a folder of its own.
func (s *scene) runtime(cache string) *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(s.plugins, filepath.Join(s.dir, cache), nil)
}

func (s *scene) settle() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), pace.Slow(30*time.Second))
	defer cancel()
	if err := s.cluster.Settle(ctx); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) kernel() string {
	s.Helper()
	text, err := s.Kernel(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return text
}

// nothing fails the test if the node's kernel holds more than without pods.
func (s *scene) nothing() {
	s.Helper()
	s.settle()
	if now := s.kernel(); now != s.empty {
		s.Errorf("left behind:\n%s\nwithout pods there is:\n%s", now, s.empty)
	}
}

// pod is an object of the cluster, and an empty network namespace.
func (s *scene) pod(name string) *nettest.Pod {
	s.Helper()
	p, err := s.PreparePod(nettest.PodSpec{Name: name})
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// list is a configuration as a runtime finds it in its folder. before and behind are further plugins, as JSON.
func (s *scene) list(version, plugin string, before, behind string) *libcni.NetworkConfigList {
	s.Helper()
	call, err := s.Pod("any").Command("", "VERSION")
	if err != nil {
		s.Fatal(err)
	}
	own := make([]byte, 4096)
	n, _ := call.Stdin.Read(own)
	_, rest, _ := strings.Cut(string(own[:n]), `"socket":`)
	one := fmt.Sprintf(`{"type":%q,"capabilities":{"ips":true,"mac":true},"socket":%s`, plugin, rest)
	text := fmt.Sprintf(`{"cniVersion":%q,"name":"net","plugins":[%s%s%s]}`, version, before, one, behind)
	list, err := libcni.NetworkConfFromBytes([]byte(text))
	if err != nil {
		s.Fatalf("%v: %s", err, text)
	}
	return list
}

// of is what a runtime says of a pod's container.
func of(p *nettest.Pod, device string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{
		ContainerID: "container-" + p.PodSpec.Name, NetNS: p.Path(), IfName: device,
		Args: [][2]string{{"IgnoreUnknown", "1"}, {"K8S_POD_NAMESPACE", p.PodSpec.Namespace}, {"K8S_POD_NAME", p.PodSpec.Name}},
	}
}

// add has it attached.
func (s *scene) add(list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) *types100.Result {
	s.Helper()
	r, err := s.lib.AddNetworkList(s.Context(), list, rt)
	if err != nil {
		s.Fatal(err)
	}
	if r.Version() != list.CNIVersion {
		s.Errorf("ADD of version %s answers in version %s", list.CNIVersion, r.Version())
	}
	now, err := types100.NewResultFromResult(r)
	if err != nil {
		s.Fatal(err)
	}
	return now
}

// addresses of an interface of a result, which must lie in a sandbox.
func (s *scene) addresses(r *types100.Result, device, sandbox string) (list []netip.Addr) {
	s.Helper()
	for _, ip := range r.IPs {
		if ip.Interface == nil || *ip.Interface < 0 || *ip.Interface >= len(r.Interfaces) {
			s.Fatalf("address %s points at no interface: %+v", ip.Address.String(), r)
		}
		if x := r.Interfaces[*ip.Interface]; x.Name == device && x.Sandbox == sandbox {
			a, _ := netip.AddrFromSlice(ip.Address.IP)
			list = append(list, a.Unmap())
		}
	}
	if len(list) == 0 {
		s.Fatalf("no address of %s in %s: %+v", device, sandbox, r)
	}
	return list
}

// code is that of a CNI error; 0: it is none.
func code(err error) uint {
	var e *types.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// versions are those that the plugin has.
var versions = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}
