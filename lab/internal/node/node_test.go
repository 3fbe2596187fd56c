package node

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"weftnet.io/weftnet/lab/internal/topology"
)

func spec(t *testing.T) Spec {
	t.Helper()
	return NewSpec(topology.Cluster{Nodes: 2, Family: topology.Dual}, 2, "nftables", t.TempDir())
}

func TestASpecSurvivesTheFileSystem(t *testing.T) {
	s := spec(t)
	path, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	got, err := LoadSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "node2" || topology.Join(got.IPs) != "10.80.0.12,fd00:80::12" || len(got.Peers) != 4 {
		t.Errorf("got %+v", got)
	}
}

func TestKubeletKeepsToTheNodesCgroup(t *testing.T) {
	b, err := spec(t).kubeletConfig()
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if c["cgroupRoot"] != "/weftlab/node2" || c["cgroupDriver"] != "cgroupfs" {
		t.Errorf("cgroupRoot %v, driver %v", c["cgroupRoot"], c["cgroupDriver"])
	}
}

func TestANodeWithoutKubeProxyRunsNone(t *testing.T) {
	s := spec(t)
	s.KubeProxy = "none"
	if _, others := s.programs(); len(others) != 1 {
		t.Errorf("programs: %+v", others)
	}
	s.KubeProxy = "iptables"
	_, others := s.programs()
	if len(others) != 2 || !strings.Contains(strings.Join(others[1].args, " "), "--proxy-mode=iptables") {
		t.Errorf("programs: %+v", others)
	}
}

func TestAnEndedComponentIsRemembered(t *testing.T) {
	dir := t.TempDir()
	want := State{Components: map[string]Component{"containerd": {Starts: 1}, "kubelet": {Starts: 2, LastExit: describe(syscall.WaitStatus(1 << 8))}}}
	if err := want.save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := LoadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if name, exit, ok := got.Failed(); !ok || name != "kubelet" || exit != "exit status 1" {
		t.Errorf("failed: %s %s %v", name, exit, ok)
	}
	if empty, err := LoadState(filepath.Join(dir, "none")); err != nil || len(empty.Components) != 0 {
		t.Errorf("a node that never started: %+v, %v", empty, err)
	}
}
