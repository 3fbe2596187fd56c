// Package demo shows on a running lab what a network policy does, and checks that it does exactly that.
//
// It runs an application from examples/, dials every port of every tier from inside every other tier's pod, prints the matrix,
// applies the policy, prints the matrix again, and names for each connection that closed the dropped flow and the policy behind it.
// What must stay open is written in the example's open.txt; any other outcome is an error. Nothing waits for a fixed time: the demo
// dials until the outcome is right, or gives up after a deadline and says which dials disagree.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"weftnet.io/weftnet/lab/internal/cluster"
	"weftnet.io/weftnet/lab/internal/kube"
)

const (
	readyTimeout  = 3 * time.Minute
	settleTimeout = time.Minute
	dialTimeout   = 3 * time.Second
	probeTimeout  = time.Second // of the dials that only look whether it is time to dial them all
)

// Demo is one run on one lab.
type Demo struct {
	Lab     *cluster.Lab
	Example string // folder with app.yaml, policy.yaml and open.txt
	Out     io.Writer

	client *kube.Client
	ways   []Way
	peers  []Peer
}

// Run does it all.
func (d *Demo) Run(ctx context.Context) error {
	config, err := d.Lab.Config()
	if err != nil {
		return err
	}
	if d.client, err = d.Lab.Client(); err != nil {
		return err
	}
	app, err := d.load("app.yaml")
	if err != nil {
		return err
	}
	policy, err := d.load("policy.yaml")
	if err != nil {
		return err
	}
	openText, err := os.ReadFile(filepath.Join(d.Example, "open.txt"))
	if err != nil {
		return err
	}
	open, err := parseOpen(string(openText))
	if err != nil {
		return fmt.Errorf("open.txt: %w", err)
	}
	d.ways = waysOf(config.Family)

	err = d.Lab.Progress.Do("run the application "+filepath.Base(d.Example), func() error {
		if err := d.client.Delete(ctx, policy...); err != nil {
			return err
		}
		if err := d.client.Apply(ctx, app...); err != nil {
			return err
		}
		return d.awaitPeers(ctx, app)
	})
	if err != nil {
		return err
	}
	if err := d.round(ctx, "Before the policy: everybody reaches everybody", nil); err != nil {
		return err
	}
	if config.Network != cluster.NetworkWeft {
		fmt.Fprintf(d.Out, "\nThe network %q enforces no policy; the demo ends here.\n", config.Network)
		return nil
	}
	if err := d.client.Apply(ctx, policy...); err != nil {
		return err
	}
	if err := d.round(ctx, "After the policy", open); err != nil {
		return err
	}
	return d.explain(ctx, open)
}

func (d *Demo) load(name string) ([]*unstructured.Unstructured, error) {
	b, err := os.ReadFile(filepath.Join(d.Example, name))
	if err != nil {
		return nil, err
	}
	objects, err := kube.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return objects, nil
}

func waysOf(family string) []Way {
	var out []Way
	for _, service := range []bool{false, true} {
		if family != "v6" {
			out = append(out, Way{Service: service})
		}
		if family != "v4" {
			out = append(out, Way{Service: service, V6: true})
		}
	}
	return out
}

// awaitPeers waits until every Deployment runs and finds its pod and service.
func (d *Demo) awaitPeers(ctx context.Context, app []*unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, o := range app {
		if o.GetKind() != "Deployment" {
			continue
		}
		for {
			err := d.client.RolledOut(ctx, o.GetKind(), o.GetNamespace(), o.GetName())
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not run after %s: %w", kube.Name(o), readyTimeout, err)
			case <-time.After(200 * time.Millisecond):
			}
		}
		p, err := d.peer(ctx, o.GetNamespace(), o.GetName())
		if err != nil {
			return err
		}
		d.peers = append(d.peers, p)
	}
	return nil
}

// peer reads a tier's service and the pod behind it.
func (d *Demo) peer(ctx context.Context, ns, name string) (Peer, error) {
	p := Peer{Tier: name, Namespace: ns}
	s, err := d.client.Typed.CoreV1().Services(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return Peer{}, err
	}
	for _, port := range s.Spec.Ports {
		p.Ports = append(p.Ports, strconv.Itoa(int(port.Port)))
	}
	if p.Service, err = parseAddrs(s.Spec.ClusterIPs); err != nil {
		return Peer{}, fmt.Errorf("service %s/%s: spec.clusterIPs: %w", ns, name, err)
	}
	selector := metav1.FormatLabelSelector(metav1.SetAsLabelSelector(s.Spec.Selector))
	pods, err := d.client.Typed.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return Peer{}, err
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil || kube.Waiting(&pod) != "" {
			continue
		}
		p.Pod, p.UID, p.Node = pod.Name, string(pod.UID), pod.Spec.NodeName
		var ips []string
		for _, ip := range pod.Status.PodIPs {
			ips = append(ips, ip.IP)
		}
		if p.PodIPs, err = parseAddrs(ips); err != nil {
			return Peer{}, fmt.Errorf("pod %s/%s: status.podIPs: %w", ns, pod.Name, err)
		}
		return p, nil
	}
	return Peer{}, fmt.Errorf("service %s/%s selects no ready pod", ns, name)
}

func parseAddrs(texts []string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, s := range texts {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// round waits until reality agrees with open, dials everything once more with patience, prints that, and judges it.
func (d *Demo) round(ctx context.Context, title string, open map[Connection]bool) error {
	begin := time.Now()
	if err := d.settle(ctx, open); err != nil {
		return err
	}
	settled := time.Since(begin)
	m, err := dialAll(ctx, d.peers, d.ways, dialTimeout, everything)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "\n%s (in effect after %.1f s)\n\n", title, settled.Seconds())
	m.Print(d.Out, d.ways)
	if u := m.unknown(open); len(u) > 0 {
		return fmt.Errorf("open.txt names connections that the application does not have: %s", strings.Join(u, ", "))
	}
	if diff := m.Differences(open); len(diff) > 0 {
		return fmt.Errorf("%d dials have the wrong outcome:\n  %s", len(diff), strings.Join(diff, "\n  "))
	}
	return nil
}

func everything(Connection) bool { return true }

// settle dials only what still disagrees, until nothing does or the deadline is over; the judgement is the caller's.
func (d *Demo) settle(ctx context.Context, open map[Connection]bool) error {
	wrong := everything
	for deadline := time.Now().Add(settleTimeout); time.Now().Before(deadline); {
		m, err := dialAll(ctx, d.peers, d.ways, probeTimeout, wrong)
		if err != nil {
			return err
		}
		left := map[Connection]bool{}
		for c, results := range m {
			if len((Matrix{c: results}).Differences(open)) > 0 {
				left[c] = true
			}
		}
		if len(left) == 0 {
			return nil
		}
		wrong = func(c Connection) bool { return left[c] }
	}
	return nil
}

// explain prints, for each connection that the policy closed, the flow that was dropped and the policy that decided.
func (d *Demo) explain(ctx context.Context, open map[Connection]bool) error {
	fmt.Fprint(d.Out, "\nWhy each of them is closed, from the flow log of the nodes\n\n")
	var missing []string
	for deadline := time.Now().Add(settleTimeout); ; {
		flows, err := d.flows(ctx)
		if err != nil {
			return err
		}
		var lines []string
		lines, missing = d.match(flows, open)
		if len(missing) == 0 || time.Now().After(deadline) {
			fmt.Fprintln(d.Out, strings.Join(lines, "\n"))
			break
		}
		// Old flows may have left the ring: make new ones.
		if _, err := dialAll(ctx, d.peers, d.ways, probeTimeout, func(c Connection) bool { return slices.Contains(missing, c.String()) }); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no dropped flow that names a policy was recorded for: %s", strings.Join(missing, ", "))
	}
	return nil
}

// match finds a flow for each closed connection.
func (d *Demo) match(flows []flow, open map[Connection]bool) (lines, missing []string) {
	for _, from := range d.peers {
		for _, to := range d.peers {
			for _, port := range to.Ports {
				c := Connection{from.Tier, to.Tier, port}
				if from.Tier == to.Tier || open[c] {
					continue
				}
				i := slices.IndexFunc(flows, func(f flow) bool { return f.denies(from, to, port) && len(f.deciders()) > 0 })
				if i < 0 {
					missing = append(missing, c.String())
					continue
				}
				lines = append(lines, flows[i].describe(c))
			}
		}
	}
	return lines, missing
}

// flows asks every node that runs a peer, as a person would.
func (d *Demo) flows(ctx context.Context) ([]flow, error) {
	var nodes []string
	for _, p := range d.peers {
		if !slices.Contains(nodes, p.Node) {
			nodes = append(nodes, p.Node)
		}
	}
	var all []flow
	for _, n := range nodes {
		var out, errout bytes.Buffer
		argv := []string{d.Lab.Bin("weft"), "observe", "--last", "2000", "--verdict", "DROPPED", "-o", "json"}
		if err := d.Lab.Exec(ctx, n, argv, strings.NewReader(""), &out, &errout); err != nil {
			return nil, fmt.Errorf("weft observe on %s: %w: %s", n, errors.New(strings.TrimSpace(errout.String())), err)
		}
		flows, err := parseFlows(out.Bytes())
		if err != nil {
			return nil, fmt.Errorf("weft observe on %s: %w", n, err)
		}
		all = append(all, flows...)
	}
	return all, nil
}
