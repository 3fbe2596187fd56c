// Package rootfs is the cookbook of the lab's images: what lies where in each, and under which names a cluster asks for them.
//
//	pause, coredns          what every cluster runs
//	agnhost, busybox        what the official end-to-end tests and the demo run
//	weftnet/agent, /operator   the network itself
//
// Ingredients are programs that package component built (bin, cni) and Debian programs of the machine with their libraries.
package rootfs

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"weftnet.io/weftnet/lab/internal/component"
	"weftnet.io/weftnet/lab/internal/image"
)

// Names under which the images are known in the cluster.
const (
	Pause   = "registry.k8s.io/pause:3.10.2"
	Agnhost = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"
	CoreDNS = "registry.k8s.io/coredns/coredns:v1.14.7"
	Busybox = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1"
)

// Repository and Tag are those of Weftnet's own images in a lab.
const (
	Repository = "docker.io/weftnet"
	Tag        = "lab"
)

// Agent is the name of the agent's image.
func Agent(repository, tag string) string { return repository + "/agent:" + tag }

// Operator is the name of the operator's image.
func Operator(repository, tag string) string { return repository + "/operator:" + tag }

// Kitchen is where the ingredients lie.
type Kitchen struct {
	Bin     string // built programs
	CNI     string // built CNI plugins
	Busybox string // Debian's static busybox
	Version string // of Weftnet
	Porter  string // folder with agnhost's certificate for localhost, in the Kubernetes sources
}

// Recipe is one image to be written.
type Recipe struct {
	File   string // archive name
	Names  []string
	Config image.Config
	Tree   *image.Tree
}

var path = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

// Cluster are the images every lab needs, whatever its network.
func (k Kitchen) Cluster() ([]Recipe, error) {
	applets, err := k.applets()
	if err != nil {
		return nil, err
	}
	agnhost, err := k.agnhost(applets)
	if err != nil {
		return nil, err
	}
	return []Recipe{k.pause(), k.coredns(), agnhost, k.busybox(applets)}, nil
}

// Network are the images of Weftnet, each with a name per tag.
func (k Kitchen) Network(repository string, tags ...string) ([]Recipe, error) {
	applets, err := k.applets()
	if err != nil {
		return nil, err
	}
	agent := k.shell(applets)
	for _, p := range []string{"weft-agent", "weft-cni", "weft"} {
		agent.File("/usr/bin/"+p, filepath.Join(k.Bin, p), 0o755)
	}
	agent.Link("/usr/bin/hubble", "weft") // Hubble's client by name: weft knows how it is called
	for _, p := range component.PluginNames() {
		agent.File("/opt/cni/bin/"+p, filepath.Join(k.CNI, p), 0o755)
	}
	operator := image.NewTree()
	operator.File("/usr/bin/weft-operator", filepath.Join(k.Bin, "weft-operator"), 0o755)
	operator.File("/usr/bin/weft-relay", filepath.Join(k.Bin, "weft-relay"), 0o755)
	operator.Dir("/tmp", os.ModeSticky|0o777)
	recipe := func(part string, name func(repository, tag string) string, tree *image.Tree) Recipe {
		r := Recipe{File: "weftnet-" + part + ".tar", Tree: tree, Config: image.Config{
			Cmd: []string{"/usr/bin/weft-" + part}, Env: path,
			Labels: map[string]string{"org.opencontainers.image.title": "Weftnet " + part, "org.opencontainers.image.version": cmp.Or(k.Version, tags[0])},
		}}
		for _, tag := range tags {
			r.Names = append(r.Names, name(repository, tag))
		}
		return r
	}
	return []Recipe{recipe("agent", Agent, agent), recipe("operator", Operator, operator)}, nil
}

func (k Kitchen) pause() Recipe {
	t := image.NewTree()
	t.File("/pause", filepath.Join(k.Bin, "pause"), 0o755)
	return Recipe{
		File: "pause.tar", Names: []string{Pause, "registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:3.10"}, Tree: t,
		Config: image.Config{Entrypoint: []string{"/pause"}, User: "65535:65535"},
	}
}

func (k Kitchen) coredns() Recipe {
	t := image.NewTree()
	t.File("/coredns", filepath.Join(k.Bin, "coredns"), 0o755)
	return Recipe{File: "coredns.tar", Names: []string{CoreDNS}, Tree: t, Config: image.Config{Entrypoint: []string{"/coredns"}, WorkingDir: "/"}}
}

// applets asks busybox what it can be called.
func (k Kitchen) applets() ([]string, error) {
	out, err := exec.Command(k.Busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("list applets of %s: %w", k.Busybox, err)
	}
	return strings.Fields(string(out)), nil
}

// shell is a small system on busybox alone.
func (k Kitchen) shell(applets []string) *image.Tree {
	t := image.NewTree()
	t.File("/bin/busybox", k.Busybox, 0o755)
	for _, a := range applets {
		if a != "busybox" {
			t.Link("/bin/"+a, "busybox")
		}
	}
	users(t)
	t.Dir("/tmp", os.ModeSticky|0o777)
	t.Dir("/root", 0o700)
	return t
}

// users are those that the tests expect in an image.
func users(t *image.Tree) {
	t.Text("/etc/passwd", `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
user-defined-in-image:x:1000:1000::/home:/bin/sh
`)
	t.Text("/etc/group", `root:x:0:
nogroup:x:65534:
user-defined-in-image:x:1000:
group-defined-in-image:x:50000:user-defined-in-image
`)
}

func (k Kitchen) busybox(applets []string) Recipe {
	return Recipe{File: "busybox.tar", Names: []string{Busybox}, Tree: k.shell(applets), Config: image.Config{Cmd: []string{"sh"}, Env: path}}
}

// agnhost is the Swiss knife of the Kubernetes tests. They call curl, nc, dig and others in it, with the options of the real
// programs, so those come from Debian and busybox only fills in the rest. The shell is dash: busybox's would prefer its own nc and ip.
func (k Kitchen) agnhost(applets []string) (Recipe, error) {
	t := k.shell(applets)
	for name, host := range map[string]string{
		"/bin/sh": "/bin/dash", "/bin/bash": "/bin/bash", "/bin/ip": "/sbin/ip", "/usr/bin/curl": "/usr/bin/curl",
		"/usr/bin/wget": "/usr/bin/wget", // a static busybox that resolves a name loads the libraries of dig, and crashes
		"/usr/bin/nc":   "/usr/bin/nc.openbsd", "/usr/bin/dig": "/usr/bin/dig", "/usr/bin/ss": "/usr/bin/ss",
		"/usr/bin/iperf": "/usr/bin/iperf", "/usr/bin/getent": "/usr/bin/getent",
	} {
		if err := program(t, name, host); err != nil {
			return Recipe{}, err
		}
		// the same command must not be found as an applet first
		if alias := "/bin/" + filepath.Base(name); alias != name && t.Has(alias) {
			t.Link(alias, name)
		}
	}
	t.Link("/bin/ash", "sh")
	// glibc loads these by name when it resolves, so no file lists them as needed.
	for _, lib := range []string{"libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"} {
		if host, err := findLibrary(lib); err == nil {
			t.File(host, host, 0o755)
		}
	}
	t.Text("/etc/nsswitch.conf", "hosts: files dns\n")
	t.File("/agnhost", filepath.Join(k.Bin, "agnhost"), 0o755)
	t.Link("/agnhost-2", "agnhost")
	t.File("/coredns", filepath.Join(k.Bin, "coredns"), 0o755) // a server of names of a test's own
	t.File("/localhost.crt", filepath.Join(k.Porter, "localhost.crt"), 0o644)
	t.File("/localhost.key", filepath.Join(k.Porter, "localhost.key"), 0o644)
	for _, d := range []string{"/uploads", "/proc", "/sys", "/dev", "/usr/local/bin", "/usr/sbin", "/sbin"} {
		t.Dir(d, 0o755)
	}
	t.Dir("/var/tmp", os.ModeSticky|0o777)
	ports := map[string]struct{}{"80/tcp": {}, "8080/tcp": {}, "8081/tcp": {}, "9376/tcp": {}, "5000/tcp": {}}
	return Recipe{
		File: "agnhost.tar", Tree: t,
		Names: []string{
			Agnhost, "registry.k8s.io/e2e-test-images/agnhost:2.55", "registry.k8s.io/e2e-test-images/agnhost:2.45",
			"registry.k8s.io/e2e-test-images/glibc-dns-testing:2.0.0",
		},
		Config: image.Config{Entrypoint: []string{"/agnhost"}, Cmd: []string{"pause"}, Env: path, ExposedPorts: ports},
	}, nil
}
