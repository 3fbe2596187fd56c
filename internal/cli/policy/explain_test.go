package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/goldentest"
)

// session types commands, with these files, and compares what a person sees with a golden file.
func session(t *testing.T, name, files string, lines ...string) {
	t.Helper()
	var text strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&text, "$ weft policy %s\n", line)
		words := strings.Fields(line)
		out, err := run(t, "", nil, append([]string{words[0], "-f", files}, words[1:]...)...)
		text.WriteString(out)
		if err != nil {
			fmt.Fprintln(&text, "error:", err)
		}
	}
	goldentest.Equal(t, "testdata/"+name, text.String())
}

func TestFilesAreExplained(t *testing.T) {
	session(t, "explain.txt", "testdata/shop",
		"explain --from shop/web --to shop/db:5432",
		"explain --from shop/web --to shop/database:15432",
		"explain --from shop/web --to 10.96.0.7:15432",
		"explain --from tools/batch --to shop/db:5432",
		"explain --from tools/batch --to shop/db:9050",
		"explain --from tools/batch --to shop/db:9100",
		"explain --from shop/web --to shop/db:icmp",
		"explain --from tools/batch --to shop/web:http",
		"explain --from host --to shop/db:5432",
		"explain --from tools/exporter --to shop/db:5432",
		"explain --from shop/web --to 192.0.2.1:53/udp",
		"explain --from 10.244.1.7 --to world:443",
		"explain --from tools/mailer --to 192.0.2.7:25",
		"explain --from tools/mailer --to 192.0.2.200:25",
		"explain --from tools/mailer --to 198.51.100.1:25",
		"explain --from shop/we --to shop/db:1",
		"explain --from shop/web --to shop/db",
		"explain --from shop/web --to shop/db:99999",
		"explain --from shop/web --to shop/db:nosuch",
		"explain --from shop/web --to shop/database:1",
		"explain --from shop --to shop/db:1",
	)
}

func TestWhatIsAuditedPassesAndWhatIsStagedIsForeseen(t *testing.T) {
	session(t, "modes.txt", "testdata/modes.yaml",
		"explain --from shop/web --to shop/db:5432",
		"explain --from shop/spy --to shop/db:5432",
		"explain --from shop/spy --to shop/api:80",
		"explain --from shop/web --to lab/any:80",
		"effective shop/db",
		"effective shop/api",
		"effective lab/any",
	)
}

func TestWhatIsEffectiveIsTheSumOfAllPolicies(t *testing.T) {
	session(t, "effective.txt", "testdata/shop",
		"effective shop/db",
		"effective shop/web",
		"effective tools/batch",
		"effective tools/mailer",
		"effective world",
	)
}

func TestNodesHavePoliciesAndAreRemoteToAllButTheirOwn(t *testing.T) {
	session(t, "nodes.txt", "testdata/nodes",
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
	)
}

func TestANodePortIsAnsweredByWhoServesIt(t *testing.T) {
	session(t, "doors.txt", "testdata/calls",
		"explain --from shop/cli --to node:two:31847",
		"explain --from tools/other --to node:two:31847",
		"explain --from shop/cli --to 192.168.7.1:31847",
		"explain --from shop/cli --to [fd07::1]:31847",
		"explain --from shop/cli --to host:31847",
		"explain --from shop/cli --to node:two:31848",
		"explain --from shop/cli --to node:two:31847/udp",
		"explain --from world --to node:two:31847",
		"explain --from node:one --to node:one:31847",
		"explain --from node:one --to node:two:31847",
		"explain --from shop/cli --to node:two:20080",
		"explain --from shop/cli --to [fd07::2]:20080",
		"explain --from shop/cli --to 192.168.7.2:80",
		"explain --from shop/cli --to 192.168.7.2:22",
		"explain --from shop/cli --to node:two:8088",
		"explain --from tools/other --to node:two:8088",
		"explain --from world --to node:two:8088",
		"explain --from tools/other --to node:one:8088",
		"explain --from shop/cli --to 10.96.0.9:80",
		"explain --from node:two --to shop/near:80",
		"explain --from node:two --to 10.96.0.10:80",
	)
}

// withSettings gives a folder with the files of testdata/calls and testdata/outside.yaml, and these settings more.
func withSettings(t *testing.T, more string) string {
	t.Helper()
	calls, err := os.ReadFile("testdata/calls/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	services, err := os.ReadFile("testdata/outside.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(calls), "\ndata: {", "\ndata: {"+more+", ", 1) + "---\n" + string(services)
	policies, err := filepath.Glob("testdata/calls/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	for _, file := range policies {
		content, err := os.ReadFile(file)
		if filepath.Base(file) == "cluster.yaml" {
			content = []byte(text)
		}
		if err := errors.Join(err, os.WriteFile(filepath.Join(to, filepath.Base(file)), content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestWithoutKubeProxyAClientIsItselfWhereItCalls(t *testing.T) {
	for name, more := range map[string]string{
		"outside-tunnel.txt": `kube-proxy-replacement: "true"`,
		"outside-native.txt": `kube-proxy-replacement: "true", routing-mode: native`,
		"outside-proxy.txt":  `routing-mode: native`, // kube-proxy is there
	} {
		session(t, name, withSettings(t, more),
			"explain --from shop/cli --to node:two:31847",
			"explain --from node:one --to node:two:31847",
			"explain --from 198.51.100.7 --to node:two:31849",
			"explain --from 198.51.100.7 --to node:one:31849",
			"explain --from 198.51.100.7 --to node:one:443",
			"explain --from node:one --to node:one:31849",
			"explain --from shop/cli --to node:two:20080",
			"explain --from shop/cli --to node:one:31848",
			"explain --from shop/cli --to node:two:31848",
			"explain --from 198.51.100.7 --to node:two:31848",
			"explain --from shop/cli --to node:two:8089",
			"explain --from shop/web --to node:two:8089",
			"explain --from 198.51.100.7 --to node:two:8089",
			"explain --from node:one --to node:two:8089",
			"explain --from 198.51.100.7 --to 203.0.113.12:443",
			"explain --from 198.51.100.7 --to 203.0.113.11:443",
			"explain --from 192.0.2.1 --to 203.0.113.11:443",
			"explain --from shop/cli --to 203.0.113.11:443",
			"explain --from 192.0.2.1 --to 10.96.0.12:443",
			"explain --from node:one --to 10.96.0.12:443",
		)
	}
}

func TestAPodReachesItselfAndNotItsTwin(t *testing.T) {
	session(t, "self.txt", "testdata/calls",
		"explain --from shop/cli --to shop/cli:5432",
		"explain --from fd10:1::5 --to shop/cli:icmp",
		"explain --from shop/web --to shop/web-2:8080",
		"explain --from shop/web --to shop/web:80",
		"explain --from shop/many --to shop/many:80",
		"effective shop/cli",
	)
}

func TestANameIsThePortOfThePodThatIsCalled(t *testing.T) {
	session(t, "names.txt", "testdata/names.yaml",
		"explain --from shop/cli --to shop/n1:web",
		"explain --from shop/cli --to shop/n1:9090",
		"explain --from shop/cli --to shop/n2:9090",
		"explain --from shop/cli --to shop/n3:8080",
		"effective shop/cli",
	)
}

func TestAnAddressAndAPortAreReadWhereTheyCanBeToldApart(t *testing.T) {
	session(t, "addresses.txt", "testdata/calls",
		"explain --from tools/other --to fd10:2::8:31000",
		"explain --from tools/other --to fd10:2::8:icmp",
		"explain --from tools/other --to fd10:2::8:http",
		"explain --from tools/other --to fd10:2:0:0:0:0:0:8:80",
		"explain --from fd10:1::6 --to fd10:2::8:80/udp",
		"explain --from fd10:1::6 --to fd10:2::8:80",
		"explain --from fd10:1::6 --to fd10:2::8",
		"explain --from tools/other --to node:fd07::2:22",
		"explain --from tools/other --to node:[fd07::2]:22",
		"explain --from tools/other --to shop/web:9000",
		"explain --from tools/other --to [fd10:2::8]:9000",
		"explain --from [fd10:1::6] --to shop/web:9000",
		"explain --from [fd10:1::6] --to 10.244.2.8:9000",
		"explain --from [fd10:1::6] --to shop/near:80",
	)
}

func TestMessagesOfAnyTypeCanBeAskedFor(t *testing.T) {
	session(t, "icmp.txt", "testdata/calls",
		"explain --from tools/other --to shop/web:icmp",
		"explain --from tools/other --to shop/web:icmp/13",
		"explain --from tools/other --to shop/web:icmp/0",
		"explain --from tools/other --to shop/web:icmpv6/128",
		"explain --from tools/other --to shop/web:icmp6",
		"explain --from tools/other --to [fd10:2::8]:icmp",
		"explain --from tools/other --to [fd10:2::8]:icmp/13",
		"explain --from tools/other --to 10.244.2.8:icmpv6/135",
		"explain --from tools/other --to shop/web:icmp/echo",
		"explain --from tools/other --to shop/web:icmp/256",
		"explain --from tools/other --to shop/web:80/icmp",
		"explain --from tools/other --to shop/web:tcp/9000",
		"explain --from tools/other --to shop/web",
	)
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
		if _, err := run(t, "", get, strings.Fields(line)...); !mistake.Is(err) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
