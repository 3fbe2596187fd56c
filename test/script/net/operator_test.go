package net

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/operator"
)

const operatorRole = "WEFT_NET_OPERATOR"

// operatorMain is weft-operator, if this process was started as one, and then never returns.
func operatorMain() {
	if os.Getenv(operatorRole) == "" {
		return
	}
	c := operator.Command("test")
	if err := c.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// operates starts an operator on node a and gives what kills it.
func (s *served) operates(name string) (kill func(), log *bytes.Buffer) {
	path, err := os.Executable()
	s.must("find this program", err)
	c := exec.Command(path, "--kubeconfig", s.a.Kubeconfig, "--namespace", "kube-system", "--operator-api-serve-addr", "", "--operator-prometheus-serve-addr", "")
	c.Env = append(os.Environ(), operatorRole+"=1", "POD_NAME="+name)
	log = &bytes.Buffer{}
	c.Stderr = log
	s.must("start the operator", s.a.Namespace.Start(c))
	kill = func() { _ = c.Process.Kill(); _ = c.Wait() } // it may have been killed already
	s.Cleanup(func() {
		kill()
		if s.Failed() {
			s.Logf("operator %s said:\n%s", name, log)
		}
	})
	return kill, log
}

// join makes a node without pod prefixes.
func (s *served) join(name string, number int) *nettest.Node {
	s.gate.Put("/api/v1/nodes/"+name, &corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("172.30.0.%d", number)}, {Type: corev1.NodeInternalIP, Address: fmt.Sprintf("fd30::%d", number)},
	}}})
	return s.node(name)
}

func (s *served) prefixes(node string) []string {
	var o v2.CiliumNode
	s.gate.Get("/apis/cilium.io/v2/ciliumnodes/"+node, &o)
	return o.Spec.IPAM.PodCIDRs
}

func TestNodesGoOnWithoutAnOperatorAndNewOnesWaitForTheNext(t *testing.T) {
	s := newServed(t)
	s.gate.Serve(v2.LoadBalancerIPPoolResource, v2.BandwidthPolicyResource)
	s.gate.Put("/api/v1/namespaces/kube-system/configmaps/cilium-config", &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "cilium-config"}, Data: map[string]string{
			"enable-ipv4": "true", "enable-ipv6": "true", "cluster-pool-ipv4-cidr": "10.244.0.0/16", "cluster-pool-ipv6-cidr": "fd00:244::/48", "cluster-pool-ipv6-mask-size": "64",
		},
	})
	kill, _ := s.operates("first")
	c := s.join("c", 3)
	s.await("the operator gives c its prefixes", func() bool { return len(s.prefixes("c")) == 2 })
	late := s.pod(c, "web2")
	kill()

	// pods of identities that no pod had before, on nodes that have their prefixes
	fresh := s.pod(s.b, "fresh")
	s.must("serve", late.Serve(80))
	_, err := fresh.Dial(t.Context(), "tcp", netip.AddrPortFrom(late.Addresses[0], 80), 0, 0)
	s.must("dial without an operator", err)
	s.await("policy holds", func() bool { return s.reaches(s.web, glimpse) && !s.reaches(fresh, glimpse) })

	d := s.join("d", 4)
	labels := map[string]string{"app": "waits"}
	s.gate.Put("/api/v1/namespaces/default/pods/waits", &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{NodeName: "d", Containers: []corev1.Container{{Name: "main"}}},
	})
	waits, err := d.PreparePod(nettest.PodSpec{Name: "waits", Labels: labels})
	s.must("pod waits", err)
	if _, err := waits.Add(); err == nil || !strings.Contains(err.Error(), "node d has no IPv4 pod CIDR yet") {
		t.Errorf("ADD on a node without prefixes: %v", err)
	}

	_, log := s.operates("second") // waits for the Lease of the first to run out
	s.await("the next operator gives d its prefixes", func() bool { return len(s.prefixes("d")) == 2 })
	s.await("ADD on d", func() bool { _, err := waits.Add(); return err == nil })
	for _, n := range []string{"a", "b", "c"} {
		if len(s.prefixes(n)) != 2 {
			t.Errorf("node %s has prefixes %v\n%s", n, s.prefixes(n), log)
		}
	}
}
