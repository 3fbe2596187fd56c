package node

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"weftnet.io/weftnet/lab/internal/rootfs"
	"weftnet.io/weftnet/lab/internal/topology"
)

// Socket is containerd's, on the node.
const Socket = "/run/containerd/containerd.sock"

// containerdConfig runs the CRI plugin with the lab's runc. restrict_oom_score_adj keeps it working for a root without
// CAP_SYS_RESOURCE, as in many virtual machines and containers.
func (s Spec) containerdConfig() string {
	return fmt.Sprintf(`version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
disabled_plugins = ['io.containerd.snapshotter.v1.blockfile', 'io.containerd.snapshotter.v1.erofs', 'io.containerd.nri.v1.nri']

[grpc]
  address = '%s'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '%s'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/opt/cni/bin']
    conf_dir = '/etc/cni/net.d'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '%s'
      SystemdCgroup = false
`, Socket, rootfs.Pause, s.bin("runc"))
}

// kubeletConfig is JSON, which is YAML. Eviction and image collection are all but off: the lab's disk is the machine's, and a
// collected image could not be pulled again.
func (s Spec) kubeletConfig() ([]byte, error) {
	pki := func(name string) string { return s.run("pki/" + name) }
	return json.MarshalIndent(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": pki("ca.crt")},
		},
		"authorization":               map[string]any{"mode": "Webhook"},
		"tlsCertFile":                 pki(s.Name + ".crt"),
		"tlsPrivateKeyFile":           pki(s.Name + ".key"),
		"clusterDomain":               "cluster.local",
		"clusterDNS":                  s.DNS[:1],
		"containerRuntimeEndpoint":    "unix://" + Socket,
		"failCgroupV1":                false,
		"cgroupDriver":                "cgroupfs",
		"cgroupRoot":                  "/" + CgroupRoot(s.Name),
		"enforceNodeAllocatable":      []string{"pods"},
		"failSwapOn":                  false,
		"oomScoreAdj":                 0,
		"featureGates":                map[string]bool{"KubeletInUserNamespace": true}, // do not die of sysctls that cannot be written
		"resolvConf":                  "/etc/resolv.conf",
		"staticPodPath":               "/etc/kubernetes/manifests",
		"volumePluginDir":             "/var/lib/kubelet/volume-plugins",
		"imageGCHighThresholdPercent": 100,
		"imageMaximumGCAge":           "0s",
		"evictionHard": map[string]string{
			"memory.available": "50Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
			"imagefs.available": "0%", "imagefs.inodesFree": "0%",
		},
		"serializeImagePulls":       false,
		"nodeStatusUpdateFrequency": "5s",
	}, "", "  ")
}

// program is one component of the node and how to start it.
type program struct {
	name string
	path string
	args []string
}

// programs are started in this order; kubelet wants containerd's socket first.
func (s Spec) programs() (containerd program, others []program) {
	containerd = program{"containerd", s.bin("containerd"), []string{"--config", "/etc/containerd.toml", "--log-level", "info"}}
	others = []program{{"kubelet", s.bin("weft-kube"), []string{
		"kubelet", "--config=/etc/kubernetes/kubelet.json", "--kubeconfig=" + s.run(s.Name+".kubeconfig"),
		"--hostname-override=" + s.Name, "--node-ip=" + topology.Join(s.IPs), "--root-dir=/var/lib/kubelet", "--v=2",
	}}}
	if s.KubeProxy != "none" {
		others = append(others, program{"kube-proxy", s.bin("weft-kube"), []string{
			"kube-proxy", "--kubeconfig=" + s.run("kube-proxy.kubeconfig"), "--hostname-override=" + s.Name,
			"--proxy-mode=" + s.KubeProxy, "--cluster-cidr=" + s.PodCIDRs, "--oom-score-adj=0",
			// 0: leave the machine's conntrack sysctls alone
			"--conntrack-max-per-core=0", "--conntrack-min=0",
			"--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
		}})
	}
	return containerd, others
}

func (s Spec) writeConfig() error {
	if err := os.WriteFile("/etc/containerd.toml", []byte(s.containerdConfig()), 0o644); err != nil {
		return err
	}
	b, err := s.kubeletConfig()
	if err != nil {
		return err
	}
	return os.WriteFile("/etc/kubernetes/kubelet.json", b, 0o644)
}

// env is what the node's programs see: the lab's own programs before the machine's.
func (s Spec) env() []string {
	const system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	return []string{"PATH=" + strings.Join([]string{s.Lab + "/bin", system}, ":"), "HOME=/root"}
}
