package language_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/goldentest"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/language/cilium"
	"weftnet.io/weftnet/internal/language/kubernetes"
	"weftnet.io/weftnet/internal/language/tiered"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

// read turns YAML documents into rows; objects that are no policies are left out.
func read(t *testing.T, text []byte) []table.PolicyObject {
	t.Helper()
	var rows []table.PolicyObject
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err == io.EOF {
			return rows
		} else if err != nil {
			t.Fatal(err)
		}
		var head struct{ Kind string }
		if len(raw) == 0 {
			continue
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			t.Fatal(err)
		}
		if k := kind.Named(head.Kind); k != nil && k.IsPolicy() {
			o := k.New()
			if err := json.Unmarshal(raw, o); err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
			rows = append(rows, kind.Policy(o))
		}
	}
}

func describe(rows []table.PolicyObject) string {
	var out strings.Builder
	for _, row := range rows {
		o := policy.Origin{Kind: row.Kind, Namespace: row.Namespace, Name: row.Name}
		fmt.Fprintf(&out, "%s: valid %v\n", o, row.Valid)
		for _, p := range row.Problems {
			fmt.Fprintf(&out, "  ! %s\n", p)
		}
		for _, r := range row.Rules {
			fmt.Fprintf(&out, "  %s\n    for %s\n", r.Origin, r.Subject)
			if r.Networks != nil {
				fmt.Fprintf(&out, "    in networks %q\n", r.Networks)
			}
			if r.Tier != policy.Normal {
				fmt.Fprintf(&out, "    in tier %s\n", r.Tier)
			}
			if r.Origin.Log != "" {
				fmt.Fprintf(&out, "    says %q in flows\n", r.Origin.Log)
			}
			if r.DefaultDenyIngress {
				fmt.Fprintf(&out, "    isolates ingress\n")
			}
			if r.DefaultDenyEgress {
				fmt.Fprintf(&out, "    isolates egress\n")
			}
			for _, section := range []struct {
				name  string
				terms []policy.Term
			}{{"in", r.Ingress}, {"out", r.Egress}} {
				for _, t := range section.terms {
					action := map[policy.Action]string{policy.ActionAccept: "allow", policy.ActionDeny: "deny", policy.ActionPass: "pass"}[t.Action]
					fmt.Fprintf(&out, "    %s %s %s: %v", action, section.name, t.Path, t.Ports)
					if t.Rank > 0 {
						fmt.Fprintf(&out, " rank MaxRank-%d", policy.MaxRank-t.Rank)
					}
					if t.Extended {
						fmt.Fprintf(&out, " extended")
					}
					if t.AnyPeer {
						fmt.Fprintf(&out, " anybody")
					}
					for _, s := range t.Peers {
						fmt.Fprintf(&out, "\n      %s", s)
					}
					for _, b := range t.Blocks {
						fmt.Fprintf(&out, "\n      addresses %s", b)
					}
					fmt.Fprintln(&out)
				}
			}
		}
	}
	return out.String()
}

func TestPoliciesReadAsTheGoldenFilesSay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			goldentest.Equal(t, "testdata/"+name+".txt", describe(read(t, text)))
		})
	}
}

func TestPoliciesOfUsersReadAsTheGoldenFileSays(t *testing.T) {
	folder := filepath.Join("..", "..", "test", "manifest", "policies")
	files, _ := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if len(files) == 0 {
		t.Fatalf("no policies in %s", folder)
	}
	var have strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&have, "# %s\n%s", filepath.Base(file), describe(read(t, text)))
	}
	goldentest.Equal(t, "testdata/users.txt", have.String())
}

func FuzzCilium(f *testing.F) {
	f.Add([]byte(`{"spec":{"endpointSelector":{},"ingress":[{}]}}`))
	f.Add([]byte(`{"specs":[{"nodeSelector":{},"egress":[{"toFQDNs":[{"matchName":"a"}],"toPorts":[{"ports":[{"port":"010","endPort":9,"protocol":"tcp"}],"rules":{"http":[{"path":"("}]}}]}]}]}`))
	f.Add([]byte(`{"metadata":{"namespace":"a"},"spec":{"endpointSelector":{"matchExpressions":[{"key":"","operator":"x"}]},"egressDeny":[{"toCIDRSet":[{"cidr":"10.0.0.0/8","except":["x"]}]}],"ingress":[{"icmps":[{"fields":[{"type":8}]}],"fromEntities":["all"]}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, read := range []func() (table.PolicyObject, error){
			func() (table.PolicyObject, error) {
				var p v2.CiliumNetworkPolicy
				err := json.Unmarshal(text, &p)
				return cilium.Policy(&p), err
			},
			func() (table.PolicyObject, error) {
				var p v2.CiliumClusterwideNetworkPolicy
				err := json.Unmarshal(text, &p)
				return cilium.ClusterwidePolicy(&p), err
			},
		} {
			if row, err := read(); err == nil {
				checkRow(t, row)
			}
		}
	})
}

func FuzzKubernetes(f *testing.F) {
	f.Add([]byte(`{"spec":{"podSelector":{},"ingress":[{}],"policyTypes":["Ingress","Egress"]}}`))
	f.Add([]byte(`{"spec":{"podSelector":{"matchLabels":{"a":"b"}},"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}},{}],"ports":[{"port":-1,"endPort":70000,"protocol":"X"},{"port":"dns"}]}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p networkingv1.NetworkPolicy
		if err := json.Unmarshal(text, &p); err == nil {
			checkRow(t, kubernetes.Policy(&p))
		}
	})
}

func FuzzTiered(f *testing.F) {
	f.Add([]byte(`{"spec":{"tier":"Admin","priority":1000,"subject":{"namespaces":{}},"ingress":[{"action":"Deny","from":[{}],"protocols":[{"tcp":{"destinationPort":{"number":80}}}]}]}}`))
	f.Add([]byte(`{"spec":{"tier":"Baseline","priority":-1,"subject":{"pods":{"namespaceSelector":{},"podSelector":{"matchExpressions":[{"key":"a","operator":"X"}]}}},"egress":[{"action":"Accept","to":[{"domainNames":["*.a.b"]},{"networks":["::/0","x"]},{"nodes":{}}],"protocols":[{"destinationNamedPort":"http"},{"udp":{"destinationPort":{"range":{"start":9,"end":3}}}},{"sctp":{}}]},{"action":"Pass","to":[]}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p v1alpha2.ClusterNetworkPolicy
		if err := json.Unmarshal(text, &p); err == nil {
			checkRow(t, tiered.Policy(&p))
		}
	})
}

// checkRow checks what holds for every row, and that the engine takes its rules.
func checkRow(t *testing.T, row table.PolicyObject) {
	if !row.Valid && (len(row.Rules) > 0 || len(row.Problems) == 0) {
		t.Fatalf("rejected, but with rules or without a problem: %+v", row)
	}
	for _, p := range row.Problems {
		if !strings.HasPrefix(p.Field, "spec") && !strings.HasPrefix(p.Field, "metadata") || p.Reason == "" {
			t.Fatalf("problem names no field: %s", p)
		}
	}
	policy.Compile(row.Rules, policy.Subject{}, policy.Options{}).Entries(noIdentities)
}

func noIdentities(func(identity.Number, identity.Labels) bool) {}
