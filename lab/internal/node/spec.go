// Package node is one node of the lab: a handful of namespaces that look to Kubernetes like a machine.
//
// The network namespace is made beforehand; mount, host name, IPC and process namespaces are born with PID 1, which is this very
// program under the name `weft-lab node-init`. PID 1 builds a root file system in memory, shows the machine's programs in it, and
// leaves the machine's mounts behind entirely:
//
//	/usr, /bin, …, /etc               the machine's; changes stay in memory
//	/var/lib/{kubelet,containerd}, /var/log, /opt/cni   the node's own, on disk below the lab directory
//	/run, /tmp, the rest              the node's own, in memory
//	/sys/fs/bpf                       a bpffs of its own: two nodes never see each other's pins
//	/sys/fs/cgroup                    the machine's; the node keeps to weftlab/NODE
//	/run/cilium/cgroupv2              weftlab/NODE: a program that is attached there sees the node's processes alone
//
// So nothing a node or its pods do to "their machine" reaches the real one, and when PID 1 dies the kernel takes the whole node
// down with it: processes, mounts, everything.
package node

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"weftnet.io/weftnet/lab/internal/topology"
)

// Spec is what PID 1 reads to know which node it is.
type Spec struct {
	Name      string       `json:"name"`
	IPs       []netip.Addr `json:"ips"`
	PodCIDRs  string       `json:"podCIDRs"`
	DNS       []netip.Addr `json:"dns"`
	Peers     []string     `json:"peers"`     // lines of /etc/hosts
	KubeProxy string       `json:"kubeProxy"` // nftables, iptables or none
	Lab       string       `json:"lab"`       // the lab directory: bin/, run/
}

// NewSpec describes node n of a cluster whose files lie in lab.
func NewSpec(c topology.Cluster, n int, kubeProxy, lab string) Spec {
	h := c.Node(n)
	s := Spec{Name: h.Name, IPs: h.IPs(), PodCIDRs: topology.Join(c.PodCIDRs()), DNS: c.DNS(), KubeProxy: kubeProxy, Lab: lab}
	for _, p := range c.All() {
		for _, ip := range p.IPs() {
			s.Peers = append(s.Peers, ip.String()+" "+p.Name)
		}
	}
	return s
}

func (s Spec) bin(name string) string { return filepath.Join(s.Lab, "bin", name) }
func (s Spec) run(name string) string { return filepath.Join(s.Lab, "run", name) }

// Dir holds what of the node is on disk.
func (s Spec) Dir() string { return s.run(s.Name) }

// Log is the log file of one component, or of PID 1 itself for the empty name.
func (s Spec) Log(component string) string {
	if component == "" {
		return s.run("log/" + s.Name + ".log")
	}
	return s.run("log/" + s.Name + "-" + component + ".log")
}

// Save writes the spec into the node's folder and returns its path.
func (s Spec) Save() (string, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir(), "spec.json")
	if err := os.MkdirAll(s.Dir(), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, append(b, '\n'), 0o644)
}

// LoadSpec reads what Save wrote.
func LoadSpec(path string) (Spec, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, fmt.Errorf("read node spec: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return Spec{}, fmt.Errorf("read node spec %s: %w", path, err)
	}
	return s, nil
}

// State is what PID 1 tells about its components.
type State struct {
	Components map[string]Component `json:"components"`
}

// Component is the life of one program on the node.
type Component struct {
	Starts   int    `json:"starts"`
	LastExit string `json:"lastExit,omitempty"` // how it ended the last time, empty if it never did
}

// Failed names a component that has ended at least once, with how it ended.
func (s State) Failed() (name, exit string, ok bool) {
	for n, c := range s.Components {
		if c.LastExit != "" {
			return n, c.LastExit, true
		}
	}
	return "", "", false
}

// LoadState reads a node's state; a node that has not written any yet has an empty one.
func LoadState(dir string) (State, error) {
	b, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if os.IsNotExist(err) {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	var s State
	return s, json.Unmarshal(b, &s)
}

func (s State) save(dir string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "state.json")
	if err := os.WriteFile(path+".tmp", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
