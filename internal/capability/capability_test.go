package capability_test

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/yaml"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/deploy"
	"weftnet.io/weftnet/internal/capability"
	"weftnet.io/weftnet/internal/cli"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/table"
)

var update = flag.Bool("update", false, "write README's list anew")

// state is that of the rows that name something, by the list that names it. Rows of two states are an error.
func states(t *testing.T, list func(capability.Capability) []string) map[string]capability.State {
	t.Helper()
	out := map[string]capability.State{}
	for _, c := range capability.Table {
		for _, name := range list(c) {
			if before, twice := out[name]; twice && before != c.State {
				t.Errorf("%s %s and is %s", name, before, c.State)
			}
			out[name] = c.State
		}
	}
	return out
}

func TestReadmeTellsWhatTheTableHas(t *testing.T) {
	const file, begin, end = "../../README.md", "<!-- written by go test ./internal/capability -update -->\n", "<!-- to here -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s lacks %q or %q", file, begin, end)
	}
	want := capability.README()
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if have != want {
		t.Errorf("README.md has not what the table renders (go test ./internal/capability -update writes it):\n%s", want)
	}
}

func TestKeysAreInForceOrNotAsTheTableSays(t *testing.T) {
	keys := states(t, func(c capability.Capability) []string { return c.Keys })
	for key, state := range keys {
		name, value, _ := strings.Cut(key, "=")
		line := settings.Report(map[string]string{name: value})[0]
		want := map[capability.State]settings.State{capability.Works: settings.Effective, capability.Accepted: settings.NotImplemented}[state]
		if line.State != want {
			t.Errorf("the table says that %s %s, and settings that it is %s", key, state, line.State)
		}
	}
	for _, k := range settings.Keys() {
		named := slices.ContainsFunc(capability.Table, func(c capability.Capability) bool {
			return slices.ContainsFunc(c.Keys, func(key string) bool { return strings.HasPrefix(key, k.Name+"=") })
		})
		if k.Protection && !named {
			t.Errorf("key %s asks for protection, and the table does not name it", k.Name)
		}
	}
}

// A person who migrates finds each key that does something in one place.
func TestTheCompatibilityPageNamesEveryKeyThatIsInForce(t *testing.T) {
	page := section(t, "compatibility.md", "Configuration")
	for _, k := range settings.Keys() {
		line := settings.Report(map[string]string{k.Name: k.Default})[0]
		if line.State == settings.Effective && !strings.Contains(page, "`"+k.Name+"`") {
			t.Errorf("key %s is in force, and docs/compatibility.md does not name it", k.Name)
		}
	}
}

// sample is a policy of a kind whose spec needs a field.
type sample struct{ kind, spec string }

// samples has one for each field that can be absent without the others of its kind.
var samples = map[string]sample{
	"endpointSelector":  {"CiliumNetworkPolicy", `{endpointSelector: {matchLabels: {a: b}}, ingress: [{}]}`},
	"nodeSelector":      {"CiliumClusterwideNetworkPolicy", `{nodeSelector: {}, ingress: [{fromEntities: [world]}]}`},
	"ingress":           {"CiliumNetworkPolicy", `{endpointSelector: {}, ingress: [{}]}`},
	"egress":            {"CiliumNetworkPolicy", `{endpointSelector: {}, egress: [{}]}`},
	"ingressDeny":       {"CiliumNetworkPolicy", `{endpointSelector: {}, ingressDeny: [{fromEntities: [world]}]}`},
	"egressDeny":        {"CiliumNetworkPolicy", `{endpointSelector: {}, egressDeny: [{toEntities: [world]}]}`},
	"enableDefaultDeny": {"CiliumNetworkPolicy", `{endpointSelector: {}, enableDefaultDeny: {ingress: false}, ingress: [{}]}`},
	"labels":            {"CiliumNetworkPolicy", `{endpointSelector: {}, labels: [{key: a, value: b}], ingress: [{}]}`},
	"description":       {"CiliumNetworkPolicy", `{endpointSelector: {}, description: why, ingress: [{}]}`},
	"log":               {"CiliumNetworkPolicy", `{endpointSelector: {}, log: {value: a}, ingress: [{}]}`},

	"fromEndpoints": in(`fromEndpoints: [{matchLabels: {a: b}}]`),
	"fromRequires":  in(`fromEndpoints: [{}], fromRequires: [{matchLabels: {a: b}}]`),
	"fromCIDR":      in(`fromCIDR: [192.0.2.0/24]`),
	"fromCIDRSet":   in(`fromCIDRSet: [{cidr: 192.0.2.0/24}]`),
	"fromEntities":  in(`fromEntities: [world]`),
	"fromGroups":    in(`fromGroups: [{aws: {region: r}}]`),
	"fromNodes":     in(`fromNodes: [{}]`),
	"toEndpoints":   out(`toEndpoints: [{matchLabels: {a: b}}]`),
	"toRequires":    out(`toEndpoints: [{}], toRequires: [{matchLabels: {a: b}}]`),
	"toCIDR":        out(`toCIDR: ["2001:db8::/32"]`),
	"toCIDRSet":     out(`toCIDRSet: [{cidr: 192.0.2.0/24}]`),
	"toEntities":    out(`toEntities: [world]`),
	"toServices":    out(`toServices: [{k8sService: {serviceName: db, namespace: shop}}]`),
	"toGroups":      out(`toGroups: [{aws: {region: r}}]`),
	"toNodes":       out(`toNodes: [{}]`),
	"toFQDNs":       out(`toFQDNs: [{matchName: example.com}]`),

	"cidr":              out(`toCIDRSet: [{cidr: 192.0.2.0/24}]`),
	"cidrGroupRef":      out(`toCIDRSet: [{cidrGroupRef: g}]`),
	"cidrGroupSelector": out(`toCIDRSet: [{cidrGroupSelector: {matchLabels: {a: b}}}]`),
	"except":            out(`toCIDRSet: [{cidr: 192.0.2.0/24, except: [192.0.2.128/25]}]`),

	"toPorts":        in(`toPorts: [{ports: [{port: "80", protocol: TCP}]}]`),
	"icmps":          in(`icmps: [{fields: [{type: 8, family: IPv4}]}]`),
	"authentication": in(`fromEndpoints: [{}], authentication: {mode: required}`),
	"ports":          in(`toPorts: [{ports: [{port: "80", endPort: 90, protocol: TCP}]}]`),
	"rules":          in(`toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {}}]`),
	"terminatingTLS": in(`toPorts: [{ports: [{port: "443", protocol: TCP}], terminatingTLS: {secret: {name: s}}}]`),
	"originatingTLS": in(`toPorts: [{ports: [{port: "443", protocol: TCP}], originatingTLS: {secret: {name: s}}}]`),
	"serverNames":    in(`toPorts: [{ports: [{port: "443", protocol: TCP}], serverNames: [example.com]}]`),
	"listener":       out(`toPorts: [{ports: [{port: "80", protocol: TCP}], listener: {name: l, envoyConfig: {name: c}}}]`),
	"http":           in(`toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET}]}}]`),
	"kafka":          in(`toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {kafka: [{topic: t}]}}]`),
	"l7proto":        in(`toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {l7proto: p, l7: [{}]}}]`),
	"l7":             in(`toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {l7proto: p, l7: [{a: b}]}}]`),
	"dns":            out(`toPorts: [{ports: [{port: "53", protocol: UDP}], rules: {dns: [{matchPattern: "*"}]}}]`),
	"port":           in(`toPorts: [{ports: [{port: http, protocol: TCP}]}]`),
	"endPort":        {"NetworkPolicy", `{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 90}]}]}`},
	"protocol":       {"NetworkPolicy", `{podSelector: {}, ingress: [{ports: [{protocol: SCTP}]}]}`},

	"podSelector":       {"NetworkPolicy", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {a: b}}}]}]}`},
	"namespaceSelector": {"NetworkPolicy", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`},
	"ipBlock":           {"NetworkPolicy", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.1/32]}}]}]}`},
	"policyTypes":       {"NetworkPolicy", `{podSelector: {}, policyTypes: [Egress]}`},
	"from":              {"NetworkPolicy", `{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`},
	"to":                {"NetworkPolicy", `{podSelector: {}, egress: [{to: [{podSelector: {}}]}], policyTypes: [Egress]}`},

	"tier":        tiered(`{networks: [192.0.2.0/24]}`),
	"priority":    tiered(`{networks: [192.0.2.0/24]}`),
	"subject":     tiered(`{networks: [192.0.2.0/24]}`),
	"action":      tiered(`{networks: [192.0.2.0/24]}`),
	"protocols":   tiered(`{networks: [192.0.2.0/24]}`),
	"name":        tiered(`{networks: [192.0.2.0/24]}`),
	"networks":    tiered(`{networks: [192.0.2.0/24]}`),
	"namespaces":  tiered(`{namespaces: {}}`),
	"pods":        tiered(`{pods: {namespaceSelector: {}, podSelector: {}}}`),
	"nodes":       tiered(`{nodes: {}}`),
	"domainNames": tiered(`{domainNames: [example.com]}`),
}

func in(element string) sample {
	return sample{"CiliumNetworkPolicy", `{endpointSelector: {}, ingress: [{` + element + `}]}`}
}

func out(element string) sample {
	return sample{"CiliumNetworkPolicy", `{endpointSelector: {}, egress: [{` + element + `}]}`}
}

func tiered(peer string) sample {
	return sample{"ClusterNetworkPolicy", `{tier: Admin, priority: 7, subject: {namespaces: {}}, egress: [{name: r, action: Accept, to: [` + peer +
		`], protocols: [{tcp: {destinationPort: {number: 80}}}]}]}`}
}

// read reads a sample as agents and operator do.
func (s sample) read(t *testing.T) table.PolicyObject {
	t.Helper()
	text := []byte("metadata: {name: p, namespace: shop}\nspec: " + s.spec)
	strict := func(object any) {
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if k := kind.Named(s.kind); k != nil && k.IsPolicy() {
		o := k.New()
		strict(o)
		return kind.Policy(o)
	}
	t.Fatalf("no kind %s", s.kind)
	panic("unreachable")
}

func TestFieldsOfPoliciesAreReadAsTheTableSays(t *testing.T) {
	fields := states(t, func(c capability.Capability) []string { return c.Fields })
	for _, name := range languages() {
		if fields[name] == 0 {
			t.Errorf("policies have a field %s, and the table does not name it", name)
		}
	}
	for name, state := range fields {
		s, ok := samples[name]
		if !ok || !slices.Contains(languages(), name) {
			t.Errorf("field %s of the table has no sample, or is in no policy", name)
			continue
		}
		o := s.read(t)
		switch {
		case !o.Valid:
			t.Errorf("the sample of %s is not valid: %v", name, o.Problems)
		case state == capability.Works && len(o.Problems) > 0:
			t.Errorf("the table says that %s works, and its reader: %v", name, o.Problems)
		case state == capability.Accepted && !strings.Contains(gap.Text(o.Problems), name):
			t.Errorf("the table says that %s is not in force, and its reader: %v", name, o.Problems)
		}
	}
}

// languages lists the fields of all policy languages down to ports and peers, by their last name.
func languages() (names []string) {
	for _, shape := range []any{
		v2.Rule{},
		v2.IngressRule{},
		v2.EgressRule{},
		v2.CIDRRule{},
		v2.PortRule{},
		v2.L7Rules{},
		v2.PortProtocol{},
		networkingv1.NetworkPolicySpec{},
		networkingv1.NetworkPolicyIngressRule{},
		networkingv1.NetworkPolicyEgressRule{},
		networkingv1.NetworkPolicyPeer{},
		networkingv1.IPBlock{},
		networkingv1.NetworkPolicyPort{},
		v1alpha2.ClusterNetworkPolicySpec{},
		v1alpha2.ClusterNetworkPolicySubject{},
		v1alpha2.ClusterNetworkPolicyIngressRule{},
		v1alpha2.ClusterNetworkPolicyEgressRule{},
		v1alpha2.ClusterNetworkPolicyIngressPeer{},
		v1alpha2.ClusterNetworkPolicyEgressPeer{},
	} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(shape)) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestKindsAreInTheChartAsTheTableSays(t *testing.T) {
	kinds := states(t, func(c capability.Capability) []string { return c.Kinds })
	crds, err := deploy.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, text := range crds {
		var crd struct {
			Spec struct{ Names struct{ Kind string } }
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		have[crd.Spec.Names.Kind] = true
		if kinds[crd.Spec.Names.Kind] == 0 {
			t.Errorf("the chart has kind %s, and the table does not name it", crd.Spec.Names.Kind)
		}
	}
	for kind, state := range kinds {
		if have[kind] != (state != capability.Absent) {
			t.Errorf("the table says that %s is %s, and in the chart it is: %v", kind, state, have[kind])
		}
	}
}

var command = regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`)

// help is what weft prints of a command.
func help(t *testing.T, args ...string) string {
	t.Helper()
	var text, problems bytes.Buffer
	env := cli.System()
	env.Out, env.Err, env.Terminal = &text, &problems, false
	if code := cli.Run(context.Background(), env, append(args, "--help")); code != 0 {
		t.Fatalf("weft %s --help: %d %s", strings.Join(args, " "), code, &problems)
	}
	return text.String()
}

func TestCommandsAreThoseOfTheTable(t *testing.T) {
	commands := states(t, func(c capability.Capability) []string { return c.Commands })
	have := map[string]bool{}
	for _, m := range command.FindAllStringSubmatch(help(t), -1) {
		switch name := m[1]; name {
		case "help", "completion":
		case "net", "policy", "service", "uninstall":
			if name == "uninstall" { // the others do nothing by themselves
				have[name] = true
			}
			for _, m := range command.FindAllStringSubmatch(help(t, name), -1) {
				have[name+" "+m[1]] = true
			}
		default:
			have[name] = true
		}
	}
	for name := range have {
		if commands[name] != capability.Works {
			t.Errorf("weft has command %s, and the table does not name it", name)
		}
	}
	for name := range commands {
		if !have[name] {
			t.Errorf("the table names command %s, which weft has not", name)
		}
	}
}

func TestScriptsOfTheTableExist(t *testing.T) {
	have := map[string]bool{}
	err := filepath.WalkDir("../../test/script", func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".txtar"); ok {
			have[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range capability.Table {
		for _, name := range c.Scripts {
			if !have[name] {
				t.Errorf("%s is shown by script %s, which does not exist", c.Topic, name)
			}
		}
		if c.State == 0 || c.Topic == "" || c.Text == "" {
			t.Errorf("a row without state, topic or text: %+v", c)
		}
	}
}
