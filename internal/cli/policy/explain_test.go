package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
)

func TestFilesAreExplained(t *testing.T) {
	var text strings.Builder
	for _, line := range []string{
		"--from shop/web --to shop/db:5432",
		"--from shop/web --to shop/database:15432",
		"--from shop/web --to 10.96.0.7:15432",
		"--from tools/batch --to shop/db:5432",
		"--from tools/batch --to shop/db:9050",
		"--from tools/batch --to shop/db:9100",
		"--from shop/web --to shop/db:icmp",
		"--from tools/batch --to shop/web:http",
		"--from host --to shop/db:5432",
		"--from tools/exporter --to shop/db:5432",
		"--from shop/web --to 192.0.2.1:53/udp",
		"--from 10.244.1.7 --to world:443",
		"--from tools/mailer --to 192.0.2.7:25",
		"--from tools/mailer --to 192.0.2.200:25",
		"--from tools/mailer --to 198.51.100.1:25",
		"--from shop/we --to shop/db:1",
		"--from shop/web --to shop/db",
		"--from shop/web --to shop/db:99999",
		"--from shop/web --to shop/db:nosuch",
		"--from shop/web --to shop/database:1",
		"--from shop --to shop/db:1",
	} {
		fmt.Fprintf(&text, "$ weft policy explain %s\n", line)
		out, err := run(t, "", nil, append([]string{"explain", "-f", "testdata/shop"}, strings.Fields(line)...)...)
		text.WriteString(out)
		if err != nil {
			fmt.Fprintln(&text, "error:", err)
		}
	}
	golden(t, "explain.txt", text.String())
}

func TestWhatIsAuditedPassesAndWhatIsStagedIsForeseen(t *testing.T) {
	var text strings.Builder
	for _, line := range []string{
		"--from shop/web --to shop/db:5432",
		"--from shop/spy --to shop/db:5432",
		"--from shop/spy --to shop/api:80",
		"--from shop/web --to lab/any:80",
	} {
		fmt.Fprintf(&text, "$ weft policy explain %s\n", line)
		out, err := run(t, "", nil, append([]string{"explain", "-f", "testdata/modes.yaml"}, strings.Fields(line)...)...)
		text.WriteString(out)
		if err != nil {
			fmt.Fprintln(&text, "error:", err)
		}
	}
	golden(t, "modes.txt", text.String())
}

func TestWhatIsEffectiveIsTheSumOfAllPolicies(t *testing.T) {
	var text strings.Builder
	for _, name := range []string{"shop/db", "shop/web", "tools/batch", "tools/mailer", "world"} {
		fmt.Fprintf(&text, "$ weft policy effective %s\n", name)
		out, err := run(t, "", nil, "effective", "-f", "testdata/shop", name)
		text.WriteString(out)
		if err != nil {
			fmt.Fprintln(&text, "error:", err)
		}
	}
	golden(t, "effective.txt", text.String())
}

func TestNodesHavePoliciesAndAreRemoteToAllButTheirOwn(t *testing.T) {
	var text strings.Builder
	for _, line := range []string{
		"explain --from tools/metrics --to node:worker:10250",
		"explain --from tools/metrics --to node:control:10250",
		"explain --from shop/web --to node:control:10250",
		"explain --from tools/exporter --to node:control:10250",
		"explain --from tools/exporter --to node:control:icmp",
		"explain --from node:control --to tools/exporter:22",
		"explain --from node:worker --to node:control:22",
		"explain --from node:control --to node:worker:4240",
		"explain --from node:control --to node:worker:8472/udp",
		"explain --from world --to node:worker:67/udp",
		"explain --from node:worker --to node:worker:22",
		"explain --from node:worker --to shop/web:80",
		"explain --from node:control --to shop/web:80",
		"explain --from host --to shop/web:81",
		"explain --from 192.168.7.2 --to 192.0.2.1:443",
		"explain --from host --to 192.0.2.1:443",
		"explain --from remote-node --to shop/web:80",
		"explain --from tools/metrics --to node:wrker:22",
		"explain --from tools/metrics --to node:worker",
		"effective node:worker",
		"effective tools/exporter",
		"effective host",
	} {
		fmt.Fprintf(&text, "$ weft policy %s\n", line)
		words := strings.Fields(line)
		out, err := run(t, "", nil, append([]string{words[0], "-f", "testdata/nodes"}, words[1:]...)...)
		text.WriteString(out)
		if err != nil {
			fmt.Fprintln(&text, "error:", err)
		}
	}
	golden(t, "nodes.txt", text.String())
}

func TestTheAgentIsAskedUnlessThereAreFiles(t *testing.T) {
	asked := ""
	get := func(_ context.Context, socket, path string, into any) error {
		asked = socket + " " + path
		answer := any([]agentv1.Explanation{{From: agentv1.Party{Name: "a/b"}, To: agentv1.Party{Name: "c/d", Address: "10.0.0.1"}, Port: "tcp/80", Egress: agentv1.PolicySide{Verdict: "allow"}, Ingress: agentv1.PolicySide{Verdict: "deny", Rules: []string{"cnp c/x"}}}})
		if strings.HasPrefix(path, agentv1.PathEffective) {
			answer = agentv1.Effective{Of: agentv1.Party{Name: "a/b"}}
		}
		text, err := json.Marshal(answer)
		return errors.Join(err, json.Unmarshal(text, into))
	}
	out, err := run(t, "", get, "explain", "--from", "a/b", "--to", "c/d:80", "--socket", "/s", "--expect", "deny")
	if want := "a/b -> c/d (10.0.0.1) tcp/80: DENIED\n  egress of a/b: allowed\n  ingress of c/d: DENIED by a deny rule\n    by cnp c/x\n"; err != nil || out != want {
		t.Error(err, out)
	}
	if asked != "/s /v1/policy/explain?from=a%2Fb&to=c%2Fd%3A80" {
		t.Error(asked)
	}
	if _, err = run(t, "", get, "explain", "--from", "a/b", "--to", "c/d:80", "--expect", "allow"); err == nil || err.Error() != "a/b to c/d tcp/80: expected allow" {
		t.Error(err)
	}
	if _, err = run(t, "", get, "effective", "a/b", "-o", "json"); err != nil || !strings.HasSuffix(asked, " /v1/policy/effective?of=a%2Fb") {
		t.Error(err, asked)
	}
	for _, line := range []string{"explain", "explain --from a/b", "explain --from a --to b --expect no", "effective", "effective a b"} {
		if _, err := run(t, "", get, strings.Fields(line)...); !isUsage(err) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
