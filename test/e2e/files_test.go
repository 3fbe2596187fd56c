//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// scenario is a file of policies, who lives where it is applied, and what comes of it.
type scenario struct {
	file      string
	only      []string // names of the policies of the file that are applied; nil: all
	namespace string   // of policies that name none
	says      string
	pods      []workload
	nodes     bool // it has policies for nodes: node1 and node2 become control planes, as their policies call them
	rows      []row
	partly    []string // policies whose condition Enforced says what of them is not
}

// workload is a pod that serves all ports.
type workload struct{ name, labels, account, node string } // node: node1 if empty

// row is a connection. The ends are pods, kube-dns, node:NAME, apiserver, and outside, a host that belongs to no cluster.
type row struct {
	from, to, port string // 80, 53/udp, icmp
	verdict        string
	by             string // the policy that decides, or one of them; empty: none does
}

const (
	allow = "allow"
	deny  = "deny"
)

// policyFolder is where the files are.
const policyFolder = "../manifest/policies"

func TestEveryFileOfPoliciesDoesWhatItsLanguageSays(t *testing.T) {
	files, err := filepath.Glob(policyFolder + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is nothing to try: no files in %s (%v)", policyFolder, err)
	}
	for _, f := range files {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.file == filepath.Base(f) }) {
			t.Errorf("no scenario says what %s does", f)
		}
	}
	firewall := kubectl(t, "", "-n", "kube-system", "get", "configmap", "cilium-config", "-o", "jsonpath={.data.enable-host-firewall}")
	for _, s := range scenarios {
		t.Run(s.file, func(t *testing.T) {
			t.Log(s.says)
			if s.nodes && firewall != "true" {
				t.Skip("the lab has no policies for nodes: weft-lab up --set config.enable-host-firewall=true")
			}
			s.run(t)
		})
	}
}

func (s scenario) run(t *testing.T) {
	c := s.populate(t)
	for _, namespace := range s.namespaces() { // the demo, or an earlier trial, has left some
		kubectl(t, "", "-n", namespace, "delete", "cnp,netpol", "--all")
	}
	policies := s.policies(t)
	pick := func(verdict string) (rows []row) {
		for _, r := range s.rows {
			if verdict == "" || r.verdict == verdict {
				rows = append(rows, r)
			}
		}
		return rows
	}
	arrives := func(rows []row, want bool) func() (string, bool) {
		left := c.over(rows) // what has not gone as it should
		return func() (string, bool) {
			arrived := c.dial(t, left)
			left = slices.DeleteFunc(left, func(d dialled) bool { return arrived[d] == want })
			return fmt.Sprint(left), len(left) == 0
		}
	}
	eventually(t, "without policies all arrive", arrives(pick(""), true))
	kubectl(t, policies, "apply", "-f", "-")
	gone := false
	remove := func() {
		if !gone {
			gone = true
			cmd := exec.Command(filepath.Join(dir(), "bin/weft-lab"), "kubectl", "--", "delete", "--ignore-not-found", "-f", "-")
			cmd.Stdin = strings.NewReader(policies)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("delete the policies: %v: %s", err, out)
			}
		}
	}
	t.Cleanup(remove)
	eventually(t, "what is denied does not arrive", arrives(pick(deny), false))
	eventually(t, "what is allowed arrives", arrives(pick(allow), true))
	c.flowsName(t, s.rows)
	c.explainAgrees(t, s.rows)
	for _, name := range s.partly {
		namespace, name, _ := strings.Cut(name, "/")
		if said := kubectl(t, "", "-n", namespace, "get", "cnp", name, "-o", `jsonpath={.status.conditions[?(@.type=="Enforced")].status} {.status.conditions[?(@.type=="Enforced")].message}`); !strings.HasPrefix(said, "False ") {
			t.Errorf("the condition Enforced of %s does not tell what is not: %s", name, said)
		}
	}
	remove()
	eventually(t, "without the policies all arrive again", arrives(pick(""), true))
}

// namespaces are those of its pods.
func (s scenario) namespaces() (names []string) {
	for _, w := range s.pods {
		namespace, _, _ := strings.Cut(w.name, "/")
		names = append(names, namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// policies is the file as the API server is to have it: the policies that are asked for, each with a namespace.
func (s scenario) policies(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(policyFolder, s.file))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"create", "--dry-run=client", "-o", "json", "-f", "-"}
	if s.namespace != "" {
		args = append(args, "-n", s.namespace)
	}
	documents := kubectl(t, string(text), args...)
	var list []json.RawMessage
	for d := json.NewDecoder(strings.NewReader(documents)); d.More(); {
		var o struct {
			Kind     string
			Items    []json.RawMessage
			Metadata struct{ Name string }
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil || json.Unmarshal(raw, &o) != nil {
			t.Fatalf("%v: %s", err, documents)
		}
		if o.Kind == "List" {
			list = append(list, o.Items...)
		} else {
			list = append(list, raw)
		}
	}
	list = slices.DeleteFunc(list, func(raw json.RawMessage) bool {
		var o struct{ Metadata struct{ Name string } }
		return json.Unmarshal(raw, &o) != nil || s.only != nil && !slices.Contains(s.only, o.Metadata.Name)
	})
	out, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// end is one end of connections.
type end struct {
	name      string // as weft policy explain calls it
	pod       string // namespace/name, if it is one
	addresses []netip.Addr
}

// crowd is all that can be an end.
type crowd map[string]end

// populate makes namespaces and pods, and takes pods and labels of nodes away after the test.
func (s scenario) populate(t *testing.T) crowd {
	t.Helper()
	items := []any{}
	object := func(kind, namespace, name string, more map[string]any) {
		o := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name}}
		if namespace != "" {
			o["metadata"] = map[string]any{"name": name, "namespace": namespace}
		}
		for key, value := range more {
			o[key] = value
		}
		items = append(items, o)
	}
	c := crowd{}
	for _, w := range s.pods {
		namespace, name, _ := strings.Cut(w.name, "/")
		object("Namespace", "", namespace, nil)
		spec := map[string]any{"terminationGracePeriodSeconds": 0, "nodeName": "node1", "containers": []any{server()}}
		if w.node != "" {
			spec["nodeName"] = w.node
		}
		if w.account != "" {
			object("ServiceAccount", namespace, w.account, nil)
			spec["serviceAccountName"] = w.account
		}
		labels := map[string]string{}
		for pair := range strings.SplitSeq(w.labels, ",") {
			if key, value, ok := strings.Cut(pair, "="); ok {
				labels[key] = value
			}
		}
		object("Pod", namespace, name, map[string]any{"metadata": map[string]any{"name": name, "namespace": namespace, "labels": labels}, "spec": spec})
		c[w.name] = end{name: w.name, pod: w.name}
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, w := range s.pods {
			namespace, name, _ := strings.Cut(w.name, "/")
			kubectlAfter(t, "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--wait=false")
		}
		if s.nodes {
			kubectlAfter(t, "label", "node", "node1", "node2", "node-role.kubernetes.io/control-plane-")
		}
	})
	eventually(t, "the pods are there", func() (string, bool) { // those of the scenario before may still be going
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir(), "bin/weft-lab"), "kubectl", "--", "apply", "-f", "-")
		cmd.Stdin = strings.NewReader(string(text))
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	})
	for name, p := range c {
		namespace, pod, _ := strings.Cut(name, "/")
		kubectl(t, "", "-n", namespace, "wait", "--for=condition=Ready", "pod/"+pod, "--timeout=2m")
		p.addresses = podAddresses(t, namespace, pod)
		c[name] = p
	}
	if s.nodes {
		kubectl(t, "", "label", "--overwrite", "node", "node1", "node2", "node-role.kubernetes.io/control-plane=")
	}
	for _, node := range []string{"node1", "node2", "node3"} {
		c["node:"+node] = end{name: "node:" + node, addresses: nodeAddresses(t, node)}
	}
	dns := kubectl(t, "", "-n", "kube-system", "get", "pod", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].metadata.name}")
	c["kube-dns"] = end{name: "kube-system/" + dns, pod: "kube-system/" + dns, addresses: podAddresses(t, "kube-system", dns)}
	c["outside"] = end{name: "10.80.0.200"}
	c["apiserver"] = end{name: "10.80.0.1"}
	return c
}

func podAddresses(t *testing.T, namespace, pod string) (list []netip.Addr) {
	t.Helper()
	for text := range strings.FieldsSeq(kubectl(t, "", "-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.podIPs[*].ip}")) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

// server is a container that answers on every port.
func server() map[string]any {
	var env []any
	for port := range strings.FieldsSeq(everyPort) {
		env = append(env, map[string]any{"name": "SERVE_PORT_" + port, "value": "here"})
	}
	return map[string]any{"name": "main", "image": image, "args": []any{"porter"}, "env": env}
}

// dialled is a row over one family.
type dialled struct {
	row
	to netip.Addr
}

func (d dialled) String() string {
	return fmt.Sprintf("%s to %s (%s) port %s", d.from, d.row.to, d.to, d.port)
}

// over are rows over each family. The API server is the one of Service default/kubernetes, which has one family.
func (c crowd) over(rows []row) (list []dialled) {
	for _, r := range rows {
		for _, a := range c[r.to].addresses {
			if a.Is4() || r.from != "apiserver" {
				list = append(list, dialled{r, a})
			}
		}
	}
	return list
}

// dial makes connections, all at once, and tells which arrived: they were accepted, answered, or refused by who was dialled.
func (c crowd) dial(t *testing.T, list []dialled) map[dialled]bool {
	t.Helper()
	asked := map[string][]dialled{}
	for _, d := range list {
		asked[d.from] = append(asked[d.from], d)
	}
	out := map[dialled]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for from, list := range asked {
		all.Go(func() {
			text := c.sh(t, from, script(from, list))
			mu.Lock()
			defer mu.Unlock()
			for i, d := range list {
				out[d] = strings.Contains(text, fmt.Sprintf("[%d:0]", i)) || strings.Contains(text, fmt.Sprintf("[%d:1]REFUSED", i))
			}
		})
	}
	all.Wait()
	return out
}

// script dials and prints, of each connection, its number, the exit status of who tried, and what that one said.
func script(from string, list []dialled) string {
	agnhost := "/agnhost"
	if !strings.Contains(from, "/") {
		agnhost = filepath.Join(dir(), "bin/agnhost")
	}
	var text strings.Builder
	for i, d := range list {
		command := fmt.Sprintf("%s connect --timeout=1s %s 2>&1", agnhost, netip.AddrPortFrom(d.to, portNumber(d.port)))
		switch {
		case d.port == "icmp":
			command = fmt.Sprintf("ping -c 1 -W 1 %s >/dev/null", d.to)
		case strings.HasSuffix(d.port, "/udp"):
			command = fmt.Sprintf("dig +time=1 +tries=1 @%s kubernetes.default.svc.cluster.local >/dev/null", d.to)
		}
		fmt.Fprintf(&text, "(said=$(%s); echo \"[%d:$?]$said\") &\n", command, i)
	}
	return text.String() + "wait\n"
}

func portNumber(text string) (n uint16) {
	_, _ = fmt.Sscan(text, &n)
	return n
}

// sh runs a script where an end is.
func (c crowd) sh(t *testing.T, where, script string) string {
	t.Helper()
	var args []string
	switch node, isNode := strings.CutPrefix(where, "node:"); {
	case where == "apiserver": // it runs on this machine, and on no node
		out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		if err != nil {
			t.Errorf("sh: %v", err)
		}
		return string(out)
	case isNode || where == "outside":
		args = []string{"node-exec", node, "--", "sh", "-c", script}
	default:
		namespace, pod, _ := strings.Cut(c[where].pod, "/")
		args = []string{"kubectl", "--", "-n", namespace, "exec", pod, "--", "sh", "-c", script}
	}
	out, _ := lab(t, "", args...)
	return out
}
