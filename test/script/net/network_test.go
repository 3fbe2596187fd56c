package net

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/netns"
)

// networkCommands are about further NICs of pods.
var networkCommands = map[string]command{"standard": standard, "uplink": uplink, "networks": networks, "nic": nic, "told": told, "inside": in, "multus": multus, "meta": meta, "delegates": delegates, "said": said}

// standardPlugins are the standard CNI plugins, built once.
//
// A machine without Go gets them built: WEFT_STANDARD_PLUGINS names their folder.
var standardPlugins = sync.OnceValues(func() (string, error) {
	if built := os.Getenv("WEFT_STANDARD_PLUGINS"); built != "" {
		return built, nil
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "weft-test-plugins")
	const plugins = "github.com/containernetworking/plugins/plugins/"
	c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/")
	for _, name := range []string{
		"main/bridge", "main/dummy", "main/host-device", "main/ipvlan", "main/macvlan", "main/ptp", "main/tap", "main/vlan",
		"meta/sbr", "meta/tuning", "meta/vrf", "ipam/host-local", "ipam/static",
	} {
		c.Args = append(c.Args, plugins+name)
	}
	c.Dir, c.Env = filepath.Join(root, "lab", "components", "cni"), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the standard CNI plugins: %w\n%s", err, out)
	}
	return dir, nil
})

// standard puts the standard CNI plugins on nodes, as the agent's image has them.
func standard(l *line) error {
	dir, err := standardPlugins()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		return err
	}
	for _, name := range l.args {
		n, err := l.node(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(n.Plugins(), 0o755); err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Symlink(f, filepath.Join(n.Plugins(), filepath.Base(f))); err != nil {
				return err
			}
		}
	}
	return nil
}

// uplink gives nodes a further device of a name, all on one switch of that name.
func uplink(l *line) error {
	var nodes []*netns.Namespace
	for _, name := range l.args[1:] {
		n, err := l.node(name)
		if err != nil {
			return err
		}
		nodes = append(nodes, n.Namespace)
	}
	return l.Wire().Uplink(l.arg(0), nodes...)
}

// asks notes which networks a pod asks for.
func asks(s *nettest.PodSpec, text string) { annotate(s, cncfv1.NetworksAnnotation, text) }

// mirrors makes it a static pod, which the runtime knows by this UID.
func mirrors(s *nettest.PodSpec, uid string) { annotate(s, corev1.MirrorPodAnnotationKey, uid) }

func annotate(s *nettest.PodSpec, key, text string) {
	all := map[string]string{key: text}
	for k, v := range s.Annotations {
		if k != key {
			all[k] = v
		}
	}
	s.Annotations = all
}

// networks changes what a pod that runs asks for. What follows from it is not waited for.
func networks(l *line) error {
	p, err := l.pod(l.raw[0])
	if err != nil {
		return err
	}
	asks(&p.PodSpec, strings.Join(l.raw[1:], " "))
	return p.Runs()
}

// nic prints the addresses of a NIC of a pod and puts them into the environment.
func nic(l *line) error {
	node, name, _ := strings.Cut(l.arg(0), "/")
	n, err := l.node(node)
	if err != nil {
		return err
	}
	found := false
	for table, column := range map[string]int{"attachments": 3, "interfaces-made": 4, "interfaces-found": 4} {
		t, err := n.Table(l.ctx, table)
		if err != nil {
			return err
		}
		for _, row := range t.Cells {
			if _, pod, _ := strings.Cut(row[2], "/"); pod != name || row[1] != l.arg(1) {
				continue
			}
			found = true
			for _, text := range strings.FieldsFunc(row[column], func(r rune) bool { return r == ',' || r == ' ' }) {
				address, _, _ := strings.Cut(text, "/")
				a, err := netip.ParseAddr(address)
				if err != nil {
					return err
				}
				family := "6"
				if a.Is4() {
					family = "4"
				}
				l.ts.Setenv(name+"_"+l.arg(1)+"_"+family, a.String())
				if err := l.printf("%s\n", text); err != nil {
					return err
				}
			}
		}
	}
	if !found {
		return fmt.Errorf("%s has no NIC %s", l.arg(0), l.arg(1))
	}
	return nil
}

// told waits until a table of a node's agent has a row in which this stands, and prints it.
func told(l *line) error {
	n, err := l.node(l.raw[0])
	if err != nil {
		return err
	}
	want, err := regexp.Compile(cmp.Or(strings.Join(l.raw[2:], " "), "."))
	if err != nil {
		return err
	}
	for {
		t, err := n.Table(l.ctx, l.raw[1])
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, os.ErrNotExist) { // it has not begun to listen
			return err
		}
		for _, row := range t.Cells {
			if text := strings.Join(row, "  "); want.MatchString(text) {
				return l.printf("%s\n", text)
			}
		}
		select {
		case <-l.ctx.Done():
			return fmt.Errorf("table %s of node %s has no row with %q", l.raw[1], l.raw[0], want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
