package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"weftnet.io/weftnet/lab/internal/bridge"
	"weftnet.io/weftnet/lab/internal/chart"
	"weftnet.io/weftnet/lab/internal/kube"
	"weftnet.io/weftnet/lab/internal/namespace"
	"weftnet.io/weftnet/lab/internal/rootfs"
	"weftnet.io/weftnet/lab/internal/topology"
)

// installBridge waits until Kubernetes has given every node its pod ranges, and sets the bridge network up on them.
func (l *Lab) installBridge(ctx context.Context, t topology.Cluster, client *kube.Client) error {
	var nodes []bridge.Node
	for _, h := range t.All() {
		pid, err := l.NodePID(h.Name)
		if err != nil {
			return err
		}
		n := bridge.Node{Host: h, Root: NodeRoot(pid)}
		err = l.await(ctx, t, func(ctx context.Context) error {
			got, err := client.Typed.CoreV1().Nodes().Get(ctx, h.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if len(got.Spec.PodCIDRs) < len(t.PodCIDRs()) {
				return fmt.Errorf("%s has no pod ranges yet", h.Name)
			}
			n.PodCIDRs = nil
			for _, s := range got.Spec.PodCIDRs {
				p, err := netip.ParsePrefix(s)
				if err != nil {
					return fmt.Errorf("%s: spec.podCIDRs: %w", h.Name, err)
				}
				n.PodCIDRs = append(n.PodCIDRs, p)
			}
			return nil
		})
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	return bridge.Install(nodes, filepath.Join(l.Dir, "cni"))
}

// values are what the lab knows better than the chart.
func values(c Config, t topology.Cluster) chart.Values {
	onOff := func(f topology.Family) string {
		if t.Family == topology.Dual || t.Family == f {
			return "true"
		}
		return "false"
	}
	v := chart.Values{
		"image":    rootfs.Agent(rootfs.Repository, rootfs.Tag),
		"operator": chart.Values{"image": rootfs.Operator(rootfs.Repository, rootfs.Tag)},
		// The nodes share a machine, and each has a control group of its own.
		"cgroupRoot": topology.CgroupMount,
	}
	config := chart.Values{"enable-ipv4": onOff(topology.V4), "enable-ipv6": onOff(topology.V6), "cgroup-root": topology.CgroupMount}
	v["config"] = config
	if c.KubeProxy == "none" { // nothing translates the API server's service address on a node
		config["kube-proxy-replacement"] = "true"
		config["kube-proxy-replacement-healthz-bind-address"] = "0.0.0.0:10256" // where kube-proxy has it
		v["k8sServiceHost"], v["k8sServicePort"] = t.APIServer().Addr().String(), fmt.Sprint(t.APIServer().Port())
	}
	return v
}

// installChart renders the project's chart, applies it and waits for everything in it.
func (l *Lab) installChart(ctx context.Context, c Config, t topology.Cluster, client *kube.Client) error {
	if l.Source == "" {
		return errNoSource
	}
	v := values(c, t)
	if err := chart.Set(v, c.Set); err != nil {
		return err
	}
	objects, err := chart.Render(filepath.Join(l.Source, "deploy/chart"), "v1.36.3", v)
	if err != nil {
		return err
	}
	if err := l.pinImages(objects); err != nil {
		return err
	}
	if err := l.Progress.Do("apply the Weftnet chart", func() error { return client.Apply(ctx, objects...) }); err != nil {
		return err
	}
	for _, o := range objects {
		if o.GetKind() != "DaemonSet" && o.GetKind() != "Deployment" {
			continue
		}
		err := l.Progress.Do(kube.Name(o)+" runs", func() error {
			return l.await(ctx, t, func(ctx context.Context) error {
				return client.RolledOut(ctx, o.GetKind(), o.GetNamespace(), o.GetName())
			})
		})
		if err != nil {
			words, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return fmt.Errorf("%s does not run: %w%s", kube.Name(o), err, client.LastWords(words, o.GetKind(), o.GetNamespace(), o.GetName()))
		}
	}
	return l.routeToPods(ctx, t, client)
}

// routeToPods lets the machine reach every node's pods by that node. The control plane runs here, outside the cluster, and
// the API server connects to pods itself (the proxy sub-resources, webhooks).
func (l *Lab) routeToPods(ctx context.Context, t topology.Cluster, client *kube.Client) error {
	for _, h := range t.All() {
		var prefixes []netip.Prefix
		err := l.await(ctx, t, func(ctx context.Context) (err error) {
			prefixes, err = client.Prefixes(ctx, h.Name)
			if err == nil && len(prefixes) < len(t.PodCIDRs()) {
				err = fmt.Errorf("%s has no prefixes for its pods yet", h.Name)
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range prefixes {
			for _, gw := range h.IPs() {
				if gw.Is4() != p.Addr().Is4() {
					continue
				}
				if err := namespace.RouteVia("", p, gw); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// pinImages writes the digests of our images into the pod templates: the tag never changes, so only this makes Kubernetes replace
// pods when an image was built anew.
func (l *Lab) pinImages(objects []*unstructured.Unstructured) error {
	for _, o := range objects {
		file := ""
		switch o.GetKind() {
		case "DaemonSet":
			file = "weftnet-agent.tar"
		case "Deployment":
			file = "weftnet-operator.tar"
		default:
			continue
		}
		digest, err := l.digest(file)
		if err != nil {
			return err
		}
		if err := unstructured.SetNestedField(o.Object, digest, "spec", "template", "metadata", "annotations", "weftnet.io/image-digest"); err != nil {
			return err
		}
	}
	return nil
}
