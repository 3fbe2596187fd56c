//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A burst is many policies at once.
const burst = 250

func TestManyPoliciesAtOnceAreInForceOnEveryNode(t *testing.T) {
	nodes := strings.Fields(kubectl(t, "", "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"))
	for _, node := range nodes {
		name := "burst-" + node
		kubectl(t, fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"labels":{"app":"burst"}},"spec":{"nodeName":%q,"terminationGracePeriodSeconds":0,
			"tolerations":[{"operator":"Exists"}],"containers":[{"name":"main","image":%q,"args":["pause"]}]}}`, name, node, image), "apply", "-f", "-")
		t.Cleanup(func() { kubectlAfter(t, "delete", "pod", name, "--ignore-not-found") })
	}
	kubectl(t, "", "wait", "--for=condition=Ready", "pod", "-l", "app=burst", "--timeout=2m")
	var policies strings.Builder
	for i := range burst {
		fmt.Fprintf(&policies, `{"apiVersion":"cilium.io/v2","kind":"CiliumNetworkPolicy","metadata":{"name":"burst-%d","labels":{"of":"burst"}},"spec":{
			"endpointSelector":{"matchLabels":{"app":"burst"}},"ingress":[{"fromEndpoints":[{"matchLabels":{"app":"burst"}}],"toPorts":[{"ports":[{"port":"%d","protocol":"TCP"}]}]}]}}`+"\n", i, 2*i+1)
	}
	t.Cleanup(func() { kubectlAfter(t, "delete", "cnp", "-l", "of=burst", "--wait=false") })
	began := time.Now()
	kubectl(t, policies.String(), "create", "-f", "-")
	answered := time.Now()
	for _, node := range nodes {
		eventually(t, node+" has all of them in force", func() (string, bool) {
			out, err := lab(t, "", "node-exec", node, "--", "weft", "table", "set-statuses")
			if err != nil {
				return err.Error(), false
			}
			for line := range strings.Lines(out) {
				// Ports of which no two can be written as one are an entry each.
				if cells := strings.Fields(line); len(cells) > 3 && count(cells[len(cells)-2]) >= burst {
					return line, true
				}
			}
			return out, false
		})
		t.Logf("%s: %v after the API server's last answer, asked one node after the other; it took %v to create them", node, time.Since(answered).Round(time.Millisecond), answered.Sub(began).Round(time.Millisecond))
	}
}

func count(cell string) (n int) {
	_, _ = fmt.Sscan(cell, &n) // the header is no number
	return n
}
