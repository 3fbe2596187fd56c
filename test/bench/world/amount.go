package world

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
)

// Amount is how much there is of what a packet between two pods with label app=a could have to do with.
type Amount struct {
	Name       string
	policies   int // that select the pods, each for a port of its own
	rules      int // of the first
	identities int // that the first lets in, beside the pods
	changes    int // of these identities, per second
}

// Amounts are those to compare; the first has ten of each kind, and so has the second.
func Amounts() []Amount {
	return []Amount{
		{"10 policies", 10, 10, 10, 0},
		{"10 policies, again", 10, 10, 10, 0},
		{"1,000 policies", 1000, 10, 10, 0},
		{"10,000 policies", 10_000, 10, 10, 0},
		{"1,000 rules", 10, 1000, 10, 0},
		{"10,000 rules", 10, 10_000, 10, 0},
		{"1,000 identities", 10, 10, 1000, 0},
		{"10,000 identities", 10, 10, 10_000, 0},
		{"100 identity changes/s", 10, 10, 1000, 100},
	}
}

// Fill puts all that in a cluster, and lets it change until stop is called.
func (a Amount) Fill(ctx context.Context, c *nettest.Cluster) (stop func(), err error) {
	var objects []runtime.Object
	for i := range a.identities {
		objects = append(objects, identityOf(i, 0))
	}
	var list []json.RawMessage
	for i := range a.policies {
		rules := []string{rule("a", fmt.Sprint(20_000+i), "")}
		if i == 0 {
			rules = []string{rule("a", "1", `, "endPort": 65535`), rule("crowd", "80", "")}
			for j := range a.rules {
				rules = append(rules, rule("a", fmt.Sprint(30_000+j), ""))
			}
		}
		list = append(list, json.RawMessage(fmt.Sprintf(`{"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "amount-%d", "namespace": "default"},
			"spec": {"endpointSelector": {"matchLabels": {"app": "a"}}, "ingress": [%s], "egress": [{"toEndpoints": [{"matchLabels": {"app": "a"}}]}]}}`, i, strings.Join(rules, ", "))))
	}
	policies, err := process.Decode(list)
	if err != nil {
		return nil, err
	}
	if err := c.Put(append(objects, policies...)...); err != nil {
		return nil, err
	}
	if err := c.Settle(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var churn sync.WaitGroup
	if a.changes > 0 {
		churn.Go(func() { a.churn(ctx, c) })
	}
	return func() { cancel(); churn.Wait() }, nil
}

func rule(app, port, end string) string {
	return fmt.Sprintf(`{"fromEndpoints": [{"matchLabels": {"app": %q}}], "toPorts": [{"ports": [{"port": %q, "protocol": "TCP"%s}]}]}`, app, port, end)
}

// identityOf is an identity of the crowd, in a version.
func identityOf(i, version int) *v2.CiliumIdentity {
	o := &v2.CiliumIdentity{SecurityLabels: map[string]string{
		"k8s:app": "crowd", "k8s:number": fmt.Sprint(i), "k8s:version": fmt.Sprint(version), "k8s:io.kubernetes.pod.namespace": "default",
		"k8s:io.cilium.k8s.policy.cluster": "default",
	}}
	o.Name = fmt.Sprint(firstIdentity + i + version%2*others) // another number than that before
	return o
}

// others is how far the numbers of a version are from those of the other.
const others = 20_000

// churn lets one identity after the other go and another come.
func (a Amount) churn(ctx context.Context, c *nettest.Cluster) {
	tick := time.NewTicker(time.Second / time.Duration(a.changes))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := c.Put(identityOf(i%a.identities, 1+i/a.identities)); err != nil {
				return // the cluster has ended
			}
		}
	}
}

// Script is rules of nftables for what comes in: connections that are open, and then n rules of which the last lets the
// client in.
func Script(n int) string {
	var b strings.Builder
	b.WriteString("table ip pods {\nchain input {\ntype filter hook input priority filter; policy drop;\nct state established,related accept\n")
	for i := range n - 1 {
		fmt.Fprintf(&b, "ip saddr 10.200.%d.%d tcp dport %d accept\n", i>>8&255, i&255, 20_000+i)
	}
	b.WriteString("tcp dport 1-65535 accept\n}\n}\n")
	return b.String()
}
