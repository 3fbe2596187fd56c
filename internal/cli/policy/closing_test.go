package policy

import (
	"strings"
	"testing"
)

const further = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: storage, namespace: shop}
spec: {config: '{"cniVersion": "0.3.1", "name": "storage", "type": "macvlan", "master": "ens192"}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: bridge, namespace: shop}
spec: {config: '{"cniVersion": "0.3.1", "name": "bridge", "type": "ptp"}'}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}, annotations: {k8s.v1.cni.cncf.io/networks: "storage, bridge"}}
spec: {containers: [{name: main}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}, annotations: {k8s.v1.cni.cncf.io/networks: storage}}
spec: {containers: [{name: main}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
`

func TestCheckCountsTheNICsThatWouldClose(t *testing.T) {
	out, err := run(t, further, nil, "check", "-q", "-f", "-")
	if err != nil {
		t.Fatal(err, out)
	}
	const want = `1 NIC would close with policy-networks: all. With policy-networks: audit flows tell what that would drop of it:
  shop/db net1 (shop/storage): closes in ingress by netpol shop/db
`
	if !strings.HasSuffix(out, want) {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	for what, change := range map[string]*strings.Replacer{
		"closed already":       strings.NewReplacer("name: storage, namespace: shop}", "name: storage, namespace: shop, annotations: {weftnet.io/policy-networks: all}}"),
		"of another network":   strings.NewReplacer("metadata: {name: db, namespace: shop}", "metadata: {name: db, namespace: shop, annotations: {k8s.v1.cni.cncf.io/policy-for: bridge}}"),
		"a policy of no words": strings.NewReplacer("metadata: {name: db, namespace: shop}", "metadata: {name: db, namespace: shop, annotations: {policy.weftnet.io/mode: stage}}"),
	} {
		if out, err := run(t, change.Replace(further), nil, "check", "-q", "-f", "-"); err != nil || strings.Contains(out, "would close") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}

func TestExplainAndEffectiveAnswerForANetwork(t *testing.T) {
	narrowed := strings.Replace(further, "metadata: {name: db, namespace: shop}", "metadata: {name: db, namespace: shop, annotations: {k8s.v1.cni.cncf.io/policy-for: storage}}", 1) + `
---
apiVersion: v1
kind: Pod
metadata: {name: spy, namespace: shop, labels: {app: spy}}
spec: {containers: [{name: main}]}
`
	for _, c := range []struct{ network, from, want string }{
		{"", "shop/spy", "ALLOWED"},
		{"shop/storage", "shop/spy", "DENIED"},
		{"ens192", "shop/spy", "DENIED"},
		{"shop/storage", "shop/web", "ALLOWED"},
		{"shop/storage", "192.168.100.9", "DENIED"},
		{"shop/bridge", "shop/spy", "ALLOWED"},
	} {
		out, err := run(t, narrowed, nil, "explain", "-f", "-", "--network", c.network, "--from", c.from, "--to", "shop/db:5432")
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("in %q from %s: %v\n%swant %s", c.network, c.from, err, out, c.want)
		}
	}
	if out, err := run(t, narrowed, nil, "effective", "-f", "-", "--network", "shop/storage", "shop/db"); err != nil || !strings.Contains(out, "by netpol shop/db") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(t, narrowed, nil, "effective", "-f", "-", "shop/db"); err != nil || strings.Contains(out, "by netpol shop/db") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := run(t, narrowed, nil, "effective", "-f", "-", "--network", "shop/storge", "shop/db"); err == nil {
		t.Error("a network that is not there has an answer")
	}
}
