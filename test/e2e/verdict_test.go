//go:build e2e

package e2e

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// deciding is a policy as flows name it.
type deciding struct{ Kind, Namespace, Name string }

func (d deciding) String() string {
	short := map[string]string{"CiliumNetworkPolicy": "cnp", "CiliumClusterwideNetworkPolicy": "ccnp", "NetworkPolicy": "netpol"}[d.Kind]
	if d.Namespace != "" {
		return short + " " + d.Namespace + "/" + d.Name
	}
	return short + " " + d.Name
}

// verdict is a flow of type policy-verdict, as weft observe writes it.
type verdict struct {
	Verdict string
	IP      struct{ Source, Destination string }
	L4      struct {
		TCP, UDP struct {
			Port uint16 `json:"destination_port"`
		}
		ICMPv4, ICMPv6 *struct{ Type uint32 }
	}
	EgressAllowedBy  []deciding `json:"egress_allowed_by"`
	IngressAllowedBy []deciding `json:"ingress_allowed_by"`
	EgressDeniedBy   []deciding `json:"egress_denied_by"`
	IngressDeniedBy  []deciding `json:"ingress_denied_by"`
}

func (v verdict) by() (names []string) {
	for _, d := range slices.Concat(v.EgressAllowedBy, v.IngressAllowedBy, v.EgressDeniedBy, v.IngressDeniedBy) {
		names = append(names, d.String())
	}
	return names
}

func (v verdict) port() string {
	switch {
	case v.L4.ICMPv4 != nil || v.L4.ICMPv6 != nil:
		return "icmp"
	case v.L4.UDP.Port != 0:
		return portText(v.L4.UDP.Port) + "/udp"
	}
	return portText(v.L4.TCP.Port)
}

func portText(n uint16) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// flowsName holds the verdicts that the agents have told of against the rows: each connection that a policy decided was
// decided so, and the policy is named.
func (c crowd) flowsName(t *testing.T, rows []row) {
	t.Helper()
	var seen []verdict
	for _, node := range []string{"node1", "node2", "node3"} { // not by kubectl exec: policies may keep the API server from a node
		text, err := lab(t, "", "node-exec", node, "--", filepath.Join(dir(), "bin/weft"), "observe", "--since", "2m", "--type", "policy-verdict", "-o", "json")
		if err != nil {
			t.FailNow()
		}
		for line := range strings.Lines(text) {
			var r struct{ Flow verdict }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			seen = append(seen, r.Flow)
		}
	}
	for _, d := range c.over(rows) {
		if d.by == "" {
			continue
		}
		var named []string
		for _, v := range seen {
			if v.IP.Destination == d.to.String() && v.port() == d.port && c.sent(d.from, v.IP.Source) && (v.Verdict == "DROPPED") == (d.verdict == deny) {
				named = append(named, v.by()...)
			}
		}
		if !slices.Contains(named, d.by) {
			t.Errorf("no flow says of %s that %s decides it; named are %q", d, d.by, named)
		}
	}
}

// sent tells whether an address is one that who dialled has. Of machines without a name here every address outside counts.
func (c crowd) sent(from, source string) bool {
	a, err := netip.ParseAddr(source)
	return err == nil && (len(c[from].addresses) == 0 || slices.Contains(c[from].addresses, a))
}

// explainAgrees asks weft policy explain of the same objects in a file, without a cluster.
func (c crowd) explainAgrees(t *testing.T, rows []row) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.json")
	text := kubectl(t, "", "get", "namespaces,nodes,ciliumnodes,pods,services,endpointslices,ciliumnetworkpolicies,ciliumclusterwidenetworkpolicies", "-A", "-o", "json")
	config := kubectl(t, "", "-n", "kube-system", "get", "configmap", "cilium-config", "-o", "json")
	if err := os.WriteFile(file, []byte(text+"\n---\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		end := c[r.to].name
		out := weft(t, "", "policy", "explain", "-o", "json", "-f", file, "--from", c[r.from].name, "--to", end+":"+r.port)
		var answers []struct {
			Allowed         bool
			Egress, Ingress struct{ Rules []string }
		}
		if err := json.NewDecoder(strings.NewReader(out)).Decode(&answers); err != nil || len(answers) != 1 {
			t.Errorf("%s to %s port %s: %s", r.from, r.to, r.port, out)
			continue
		}
		decides := r.by == "" || slices.ContainsFunc(slices.Concat(answers[0].Egress.Rules, answers[0].Ingress.Rules), func(rule string) bool {
			return rule == r.by || strings.HasPrefix(rule, r.by+" ")
		})
		if answers[0].Allowed != (r.verdict == allow) || !decides {
			t.Errorf("weft policy explain says otherwise of %s to %s port %s (%s by %q):\n%s", r.from, r.to, r.port, r.verdict, r.by, out)
		}
	}
}
