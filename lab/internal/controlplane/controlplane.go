// Package controlplane says how the control plane of a lab cluster is started: which flags each component gets, and where its
// files lie. It runs nothing; package kubernetes does, inside the weft-kube binary.
//
// etcd, API server, controller manager and scheduler are one process in the machine's root namespaces. The API server listens on the
// segment's bridge only, the others on loopback, all with certificates: no port is open to other machines or other users.
package controlplane

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weftnet.io/weftnet/lab/internal/topology"
)

// Ports on loopback that the control plane takes besides the API server's on the bridge.
const (
	EtcdClientPort        = 12379
	EtcdPeerPort          = 12380
	ControllerManagerPort = 10257
	SchedulerPort         = 10259
)

// Config is what `weft-kube control-plane FILE` reads.
type Config struct {
	Etcd              Etcd     `json:"etcd"`
	APIServer         []string `json:"apiServer"`
	ControllerManager []string `json:"controllerManager"`
	Scheduler         []string `json:"scheduler"`
	Kubeconfig        string   `json:"kubeconfig"` // to see when the API server is ready
}

// Etcd is the store: one member, no disk flushes, since the cluster is thrown away anyway.
type Etcd struct {
	Dir       string `json:"dir"`
	ClientURL string `json:"clientURL"`
	PeerURL   string `json:"peerURL"`
	CA        string `json:"ca"`
	Cert      string `json:"cert"`
	Key       string `json:"key"`
}

// New derives the configuration of a cluster whose files lie below run: run/pki, run/NAME.kubeconfig, run/etcd.
func New(c topology.Cluster, run string) Config {
	f := files{run}
	return Config{
		Etcd: Etcd{
			Dir:       filepath.Join(run, "etcd"),
			ClientURL: fmt.Sprintf("https://127.0.0.1:%d", EtcdClientPort),
			PeerURL:   fmt.Sprintf("http://127.0.0.1:%d", EtcdPeerPort),
			CA:        f.pki("ca.crt"), Cert: f.pki("etcd.crt"), Key: f.pki("etcd.key"),
		},
		APIServer:         apiServer(c, f),
		ControllerManager: controllerManager(c, f),
		Scheduler:         component(f, "kube-scheduler", SchedulerPort),
		Kubeconfig:        f.kubeconfig("admin"),
	}
}

type files struct{ run string }

func (f files) pki(name string) string        { return filepath.Join(f.run, "pki", name) }
func (f files) kubeconfig(name string) string { return filepath.Join(f.run, name+".kubeconfig") }

func apiServer(c topology.Cluster, f files) []string {
	return []string{
		"--etcd-servers=https://127.0.0.1:" + strconv.Itoa(EtcdClientPort),
		"--etcd-cafile=" + f.pki("ca.crt"),
		"--etcd-certfile=" + f.pki("apiserver.crt"),
		"--etcd-keyfile=" + f.pki("apiserver.key"),
		"--bind-address=" + c.APIServer().Addr().String(),
		"--advertise-address=" + c.APIServer().Addr().String(),
		"--secure-port=" + strconv.Itoa(int(c.APIServer().Port())),
		"--service-cluster-ip-range=" + topology.Join(c.ServiceCIDRs()),
		"--tls-cert-file=" + f.pki("apiserver.crt"),
		"--tls-private-key-file=" + f.pki("apiserver.key"),
		"--client-ca-file=" + f.pki("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + f.pki("sa.pub"),
		"--service-account-signing-key-file=" + f.pki("sa.key"),
		"--kubelet-client-certificate=" + f.pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + f.pki("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + f.pki("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + f.pki("ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + f.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + f.pki("front-proxy-client.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=lease",
		"--enable-aggregator-routing=true", // calls webhooks at their endpoints: nothing translates addresses of services here
	}
}

// component are the flags that controller manager and scheduler share: who they are and where they listen.
func component(f files, name string, port int) []string {
	return []string{
		"--kubeconfig=" + f.kubeconfig(name),
		"--authentication-kubeconfig=" + f.kubeconfig(name),
		"--authorization-kubeconfig=" + f.kubeconfig(name),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + f.pki(name+".crt"),
		"--tls-private-key-file=" + f.pki(name+".key"),
		"--client-ca-file=" + f.pki("ca.crt"),
		"--requestheader-client-ca-file=" + f.pki("ca.crt"),
		"--leader-elect=false",
	}
}

func controllerManager(c topology.Cluster, f files) []string {
	flags := append(component(f, "kube-controller-manager", ControllerManagerPort),
		"--root-ca-file="+f.pki("ca.crt"),
		"--service-account-private-key-file="+f.pki("sa.key"),
		"--cluster-signing-cert-file="+f.pki("ca.crt"),
		"--cluster-signing-key-file="+f.pki("ca.key"),
		"--use-service-account-credentials=true",
		"--kube-api-qps=300",
		"--kube-api-burst=500",
		"--flex-volume-plugin-dir="+filepath.Join(f.run, "volume-plugins"), // by default it would make a folder in /usr/libexec
		// node.spec.podCIDRs, for networks that take their pod ranges from there
		"--allocate-node-cidrs=true",
		"--cluster-cidr="+topology.Join(c.PodCIDRs()),
		"--service-cluster-ip-range="+topology.Join(c.ServiceCIDRs()),
	)
	masks := c.NodeMasks()
	if len(masks) == 1 {
		return append(flags, "--node-cidr-mask-size="+strconv.Itoa(masks[0]))
	}
	return append(flags, "--node-cidr-mask-size-ipv4="+strconv.Itoa(masks[0]), "--node-cidr-mask-size-ipv6="+strconv.Itoa(masks[1]))
}

// Save writes the configuration for weft-kube.
func (c Config) Save(path string) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o600)
}

// Load reads what Save wrote.
func Load(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read control plane configuration: %w", err)
	}
	var c Config
	if err := json.Unmarshal(b, &c); err != nil {
		return Config{}, fmt.Errorf("read control plane configuration %s: %w", path, err)
	}
	if !strings.HasPrefix(c.Etcd.ClientURL, "https://") {
		return Config{}, fmt.Errorf("control plane configuration %s: etcd.clientURL %q: want https", path, c.Etcd.ClientURL)
	}
	return c, nil
}
