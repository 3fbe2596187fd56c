package nettest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/spec"
)

// PodSpec is what a pod shall be.
type PodSpec = spec.Pod

// Pod is a network namespace that a CNI ADD has attached to a node.
type Pod struct {
	*netns.Station
	PodSpec PodSpec

	node      *Node
	container string
	netns     string // where the node finds its network namespace; empty: where this process has it
}

// AddPod makes a pod: its object, its network namespace, and its attachment by the CNI plugin. It returns when every
// node knows it.
func (n *Node) AddPod(ctx context.Context, s PodSpec) (*Pod, error) {
	p, err := n.PreparePod(s)
	if err != nil {
		return nil, err
	}
	if _, err := p.Add(); err != nil {
		return nil, err
	}
	if err := p.Runs(); err != nil {
		return nil, err
	}
	return p, n.cluster.Settle(ctx)
}

// PreparePod makes a pod's object and its network namespace, and does not attach it.
func (n *Node) PreparePod(s PodSpec) (*Pod, error) {
	if s.Namespace == "" {
		s.Namespace = corev1.NamespaceDefault
	}
	ns, err := n.Inside(n.Name + "/" + s.Name)
	if err != nil {
		return nil, err
	}
	c := n.cluster
	c.mu.Lock()
	c.uid++
	p := &Pod{Station: netns.New(n.Name+"/"+s.Name, ns), PodSpec: s, node: n, container: fmt.Sprintf("%s-%d", s.Name, c.uid)}
	c.mu.Unlock()
	n.mu.Lock()
	n.pods[s.Name] = p
	n.mu.Unlock()
	if len(n.Capabilities) > 0 {
		if err := p.show(); err != nil {
			return nil, err
		}
	}
	return p, c.change(func() error {
		if err := c.ensureNamespace(s.Namespace); err != nil {
			return err
		}
		return c.put(s.Object(n.Name))
	})
}

// Runs says that the pod runs, with the addresses that the last Add gave.
func (p *Pod) Runs() error {
	return p.node.cluster.change(func() error {
		o := p.PodSpec.Object(p.node.Name)
		o.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: podIPs(p.Station), Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		return p.node.cluster.put(o)
	})
}

// Label gives the pod other labels and returns when every node knows it by them.
func (p *Pod) Label(ctx context.Context, labels map[string]string) error {
	p.PodSpec.Labels = labels
	if err := p.Runs(); err != nil {
		return err
	}
	return p.node.cluster.Settle(ctx)
}

// Add makes the CNI ADD and gives the plugin's answer. It may be repeated.
func (p *Pod) Add() (string, error) {
	out, err := p.call("ADD")
	if err != nil {
		return "", err
	}
	return string(out), p.Attached(out)
}

// Attached notes the addresses that the answer to an ADD tells of.
func (p *Pod) Attached(out []byte) error {
	var result types100.Result
	if err := json.Unmarshal(out, &result); err != nil {
		return fmt.Errorf("CNI ADD of %s: %w: %s", p.Station.Name, err, out)
	}
	p.Addresses = nil
	for _, ip := range result.IPs {
		a, _ := netip.AddrFromSlice(ip.Address.IP)
		p.Addresses = append(p.Addresses, a.Unmap())
	}
	return nil
}

// Del makes the CNI DEL. It may be repeated.
func (p *Pod) Del() error {
	_, err := p.call("DEL")
	return err
}

// show mounts the pod's network namespace among the node's files, as a container runtime does: who has few capabilities
// may not look into the files of another process. The mount ends with the node's file systems.
func (p *Pod) show() error {
	dir, err := p.node.cluster.folder(p.node.Name + "/netns")
	if err != nil {
		return err
	}
	p.netns = dir + "/" + p.container
	if err := os.WriteFile(p.netns, nil, 0o600); err != nil {
		return err
	}
	if err := p.node.Do(func() error { return unix.Mount(p.Path(), p.netns, "", unix.MS_BIND, "") }); err != nil {
		return fmt.Errorf("show network namespace of %s to its node: %w", p.Station.Name, err)
	}
	return nil
}

// Command is a CNI call, not made yet. program is a plugin; empty: that in this binary.
func (p *Pod) Command(program, command string) (*exec.Cmd, error) {
	return p.prepare(program, command, p.inside())
}

func (p *Pod) prepare(program, command, netns string) (*exec.Cmd, error) {
	args := fmt.Sprintf("IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;K8S_POD_UID=%s", p.PodSpec.Namespace, p.PodSpec.Name, p.PodSpec.Annotations[corev1.MirrorPodAnnotationKey])
	return p.node.plugin(program, command, p.container, netns, args)
}

func (p *Pod) call(command string) ([]byte, error) { return p.run(command, p.inside()) }

// inside is how the node's runtime names the pod's network namespace.
func (p *Pod) inside() string { return cmp.Or(p.netns, p.Path()) }

func (p *Pod) run(command, netns string) ([]byte, error) {
	c, err := p.prepare("", command, netns)
	if err != nil {
		return nil, err
	}
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	if err = p.node.Namespace.Start(c); err == nil {
		err = c.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("CNI %s of %s on node %s: %w: %s%s", command, p.container, p.node.Name, err, out.Bytes(), stderr.Bytes())
	}
	return out.Bytes(), nil
}

// Remove ends the pod: DEL, its network namespace, its object.
func (p *Pod) Remove(ctx context.Context) error {
	if err := p.Del(); err != nil {
		return err
	}
	if err := p.Forget(); err != nil {
		return err
	}
	return p.node.cluster.Settle(ctx)
}

// Forget ends the pod's network namespace and its object, without a CNI call.
func (p *Pod) Forget() error {
	if p.netns != "" {
		if err := p.node.Do(func() error { return unix.Unmount(p.netns, unix.MNT_DETACH) }); err != nil {
			return err
		}
	}
	p.Close()
	n, c := p.node, p.node.cluster
	n.mu.Lock()
	delete(n.pods, p.PodSpec.Name)
	n.mu.Unlock()
	return c.change(func() error { c.remove(keyOf(p.PodSpec.Object(n.Name))); return nil })
}
