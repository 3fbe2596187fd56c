package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/lab/internal/controlplane"
	"weftnet.io/weftnet/lab/internal/kube"
	"weftnet.io/weftnet/lab/internal/machine"
	"weftnet.io/weftnet/lab/internal/namespace"
	"weftnet.io/weftnet/lab/internal/node"
	"weftnet.io/weftnet/lab/internal/pki"
	"weftnet.io/weftnet/lab/internal/process"
	"weftnet.io/weftnet/lab/internal/topology"
)

// Up makes a cluster of this shape exist and run what is in the source tree now.
func (l *Lab) Up(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	t, err := c.topology()
	if err != nil {
		return err
	}
	release, err := lock()
	if err != nil {
		return err
	}
	defer release()
	if o := owner(); o != "" && o != l.Dir && l.groups.Exists(topology.CgroupName) {
		return fmt.Errorf("a lab is up in %s: one machine holds one lab; run `weft-lab down` first", o)
	}
	if err := l.Build(ctx, c.Network); err != nil {
		return err
	}
	if l.reusable(c, t) {
		l.Progress.Note("a cluster of this shape is up: bring it up to date")
	} else {
		if err := l.start(ctx, c, t); err != nil {
			return err
		}
	}
	if err := l.saveConfig(c); err != nil {
		return err
	}
	client, err := l.Client()
	if err != nil {
		return err
	}
	return l.deploy(ctx, c, t, client)
}

// reusable reports whether a whole cluster is up that c can be deployed on.
func (l *Lab) reusable(c Config, t topology.Cluster) bool {
	have, err := l.Config()
	return err == nil && have.sameMachines(c) && l.health(t, false) == nil
}

// start brings up control plane and nodes from nothing, and loads the images.
func (l *Lab) start(ctx context.Context, c Config, t topology.Cluster) error {
	_, err := os.Stat(filepath.Join(l.Dir, "run"))
	links, namespaces, lerr := namespace.Leftovers()
	if err == nil || lerr != nil || len(links)+len(namespaces) > 0 || l.groups.Exists(topology.CgroupName) {
		l.Progress.Note("clean up what an earlier lab has left")
		if err := l.sweep(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(l.Run("log"), 0o755); err != nil {
		return err
	}
	if err := l.claim(); err != nil {
		return err
	}
	if err := l.Progress.Do("network, certificates and cgroups", func() error { return l.prepare(t) }); err != nil {
		return err
	}
	if err := l.Progress.Do("start control plane and "+strconv.Itoa(t.Nodes)+" nodes", func() error { return l.launch(c, t) }); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return l.Progress.Do("API server is ready", func() error { return l.await(gctx, t, l.apiReady) })
	})
	g.Go(func() error {
		return l.Progress.Do("load images into the nodes", func() error { return l.loadImages(gctx, t, l.images(c.Network)) })
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return l.Progress.Do("all nodes have registered", func() error {
		client, err := l.Client()
		if err != nil {
			return err
		}
		return l.await(ctx, t, func(ctx context.Context) error { return client.NodesRegistered(ctx, t.Nodes) })
	})
}

// prepare makes all that processes need before they start.
func (l *Lab) prepare(t topology.Cluster) error {
	loopback := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	err := machine.PortsFree(loopback(controlplane.EtcdClientPort), loopback(controlplane.EtcdPeerPort),
		loopback(controlplane.ControllerManagerPort), loopback(controlplane.SchedulerPort))
	if err != nil {
		return err
	}
	if err := l.raiseWatchLimit(); err != nil {
		return err
	}
	authority, err := pki.Create(l.Run("pki"))
	if err != nil {
		return err
	}
	for _, id := range pki.Identities(t) {
		if err := authority.Issue(id); err != nil {
			return err
		}
		if id.User == "kube-apiserver" || id.Name == "etcd" {
			continue
		}
		if err := pki.Kubeconfig(l.Run(id.Name+".kubeconfig"), l.Run("pki"), id.Name, "https://"+t.APIServer().String()); err != nil {
			return err
		}
	}
	if err := l.groups.Create(topology.CgroupName + "/" + controlPlane); err != nil {
		return err
	}
	if err := namespace.EnsureBridge(topology.Bridge, t.Gateway()); err != nil {
		return err
	}
	for _, h := range t.All() {
		if err := l.groups.Create(node.CgroupSystem(h.Name)); err != nil {
			return err
		}
		if err := attach(h, t.Gateway()...); err != nil {
			return err
		}
	}
	return attach(t.Outside())
}

func attach(h topology.Host, via ...netip.Prefix) error {
	if err := namespace.Create(h.Namespace); err != nil {
		return err
	}
	for _, u := range h.Uplinks {
		if err := namespace.Uplink(h, u); err != nil {
			return err
		}
	}
	return namespace.Connect(h, topology.Bridge, via)
}

// launch starts the processes; it does not wait for them.
func (l *Lab) launch(c Config, t topology.Cluster) error {
	config := l.Run("control-plane.json")
	if err := controlplane.New(t, filepath.Join(l.Dir, "run")).Save(config); err != nil {
		return err
	}
	err := l.launchOne(process.Spec{
		Name: controlPlane, Path: l.Bin("weft-kube"), Args: []string{controlPlane, config}, Log: l.Run("log/control-plane.log"),
		Cgroup: filepath.Join(l.groups.Unified, topology.CgroupName, controlPlane),
	})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for i, h := range t.All() {
		spec := node.NewSpec(t, i+1, c.KubeProxy, l.Dir)
		path, err := spec.Save()
		if err != nil {
			return err
		}
		err = namespace.InNetwork(filepath.Join(namespace.Dir, h.Namespace), func() error {
			return l.launchOne(process.Spec{
				Name: h.Name, Path: self, Args: []string{"node-init", path}, Log: spec.Log(""), Cgroup: l.NodeCgroup(h.Name),
				Clone: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID,
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) launchOne(s process.Spec) error {
	r, err := process.Start(s)
	if err != nil {
		return err
	}
	return r.Save(l.pidFile(s.Name))
}

// apiReady asks whether the API server serves and has made the service account every pod needs.
func (l *Lab) apiReady(ctx context.Context) error {
	client, err := l.Client()
	if err != nil {
		return err
	}
	return client.Serves(ctx)
}

// loadImages puts image archives into every node's containerd, all nodes at once.
func (l *Lab) loadImages(ctx context.Context, t topology.Cluster, files []string) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, h := range t.All() {
		g.Go(func() error {
			pid, err := l.NodePID(h.Name)
			if err != nil {
				return l.health(t, true)
			}
			// The socket is reached through the node's root, and the path of a socket has at most 107 bytes.
			socket := NodeRoot(pid) + node.Socket
			if err := l.await(ctx, t, func(context.Context) error { return dial(socket) }); err != nil {
				return fmt.Errorf("containerd of %s: %w", h.Name, err)
			}
			for _, f := range files {
				if err := l.loadImage(ctx, h.Name, socket, f); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func dial(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	return c.Close()
}

// loadImage loads one archive unless the node has exactly this one.
func (l *Lab) loadImage(ctx context.Context, nodeName, socket, file string) error {
	digest, err := l.digest(file)
	if err != nil {
		return err
	}
	mark := l.Run(nodeName + "/image-" + file)
	if have, err := os.ReadFile(mark); err == nil && string(have) == digest {
		return nil
	}
	cmd := exec.CommandContext(ctx, l.Bin("ctr"), "--address", socket, "--namespace", "k8s.io", "images", "import", "--local", l.imageFile(file))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("load %s into %s: %w: %s", file, nodeName, err, strings.TrimSpace(string(out)))
	}
	return os.WriteFile(mark, []byte(digest), 0o644)
}

// deploy brings the network and what every cluster has, and waits until all of it works.
func (l *Lab) deploy(ctx context.Context, c Config, t topology.Cluster, client *kube.Client) error {
	if err := l.loadImages(ctx, t, l.images(c.Network)); err != nil {
		return err
	}
	if c.Network == NetworkNone {
		l.Progress.Note("no network: bring one with CNI configuration in /etc/cni/net.d and plugins in /opt/cni/bin of each node")
		return nil
	}
	dns, err := dnsObjects(t)
	if err != nil {
		return err
	}
	if err := client.Apply(ctx, dns...); err != nil { // before the network, whose Deployments may ask it for names
		return err
	}
	switch c.Network {
	case NetworkBridge:
		if err := l.Progress.Do("install the bridge network", func() error { return l.installBridge(ctx, t, client) }); err != nil {
			return err
		}
	case NetworkWeft:
		if err := l.installChart(ctx, c, t, client); err != nil {
			return err
		}
	}
	err = l.Progress.Do("all nodes are Ready", func() error { return l.await(ctx, t, client.NodesReady) })
	if err != nil {
		return err
	}
	return l.Progress.Do("cluster DNS works", func() error {
		return l.await(ctx, t, func(ctx context.Context) error {
			return client.RolledOut(ctx, "Deployment", "kube-system", "coredns")
		})
	})
}

var errNoSource = errors.New("the chart is in the sources, and there are none here: run inside a checkout of Weftnet, or give --source")
