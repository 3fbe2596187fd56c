// Package closing counts the NICs beside the first that are open, and that policies would close with policy-networks: all.
//
// # The world it models
//
//	pod shop/db asks for shop/storage, which is macvlan; netpol shop/db isolates it in ingress; policy-networks is primary
//	->  shop/db net1 (shop/storage): closes in ingress by netpol shop/db
//
// # Invariants
//
//   - One object stands for all of its pods. What cannot be read counts for nothing: weft policy check says so elsewhere.
//
// # Example
//
//	if closing.Asked(objects) {
//		err = closing.Print(out, closing.Of(tables, snapshot, objects))
//	}
package closing

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/language/attachment"
	linted "weftnet.io/weftnet/internal/lint/network"
	"weftnet.io/weftnet/internal/manifest"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	settingsnetwork "weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

// NIC is one that is open now and that policies would close.
type NIC struct {
	Workload  string   `json:"workload"` // namespace/name
	Interface string   `json:"interface"`
	Network   string   `json:"network"`
	Closes    []string `json:"closes"` // ingress, egress
	Policies  []string `json:"policies"`
}

func (c NIC) String() string {
	return fmt.Sprintf("%s %s (%s): closes in %s by %s", c.Workload, c.Interface, c.Network, strings.Join(c.Closes, " and "), strings.Join(c.Policies, ", "))
}

// Asked tells whether a pod among objects asks for further networks.
func Asked(objects []*manifest.Object) bool {
	return slices.ContainsFunc(objects, func(o *manifest.Object) bool { return len(linted.Asks(o)) > 0 })
}

// Of finds them among objects that are taken for a cluster, whose tables these are.
func Of(t *table.Tables, s *state.Snapshot, objects []*manifest.Object) (list []NIC) {
	config := t.Config(s)
	filter, _ := identity.NewFilter(config.Labels)
	var rules []engine.Rule
	for p := range t.Policies.All(s) {
		rules = append(rules, p.Rules...)
	}
	for _, o := range objects {
		asks := linted.Asks(o)
		if len(asks) == 0 {
			continue
		}
		all := []*manifest.Object{o}
		for _, n := range objects {
			if n.Kind == "Namespace" {
				all = append(all, n)
			}
		}
		for _, w := range manifest.Workloads(all, cmp.Or(config.ClusterName, "default"), func(p identity.Pod) identity.Labels {
			labels, _ := identity.Identify(filter, p, policyinput.Asking(s, t))
			return labels
		}) {
			namespace, _ := t.Namespaces.One(s, state.Join(cmp.Or(o.Namespace, metav1.NamespaceDefault)))
			for _, q := range asks {
				if c := closes(t, s, q, w, namespace.NICs, config, rules); len(c.Closes) > 0 {
					list = append(list, c)
				}
			}
		}
	}
	return list
}

func closes(t *table.Tables, r state.Reader, q attachment.Request, w manifest.Workload, namespace string, config settings.Config, rules []engine.Rule) NIC {
	c := NIC{Workload: w.Namespace + "/" + w.Name, Interface: q.Interface, Network: q.Namespace + "/" + q.Name}
	row, known := network.Definitions.One(r, table.ObjectKey(q.Namespace, q.Name))
	d, gaps := attachment.Define(row.Namespace, row.Name, row.Config)
	if !known || len(gaps) > 0 || d.Main() == nil || !attachment.Enforceable(d.Main().Type) || config.Networks.At(row.Namespace, row.Policy, namespace) == settingsnetwork.All {
		return c
	}
	deny := map[engine.Direction]bool{}
	number, _ := policyinput.Number(r, t, row) // of a wire it is known
	for _, rule := range policyinput.In(r, t, rules, number) {
		if rule.Mode != engine.Enforced || !rule.Subject.Matches(w.Labels) || !rule.DefaultDenyIngress && !rule.DefaultDenyEgress {
			continue
		}
		deny[engine.Ingress] = deny[engine.Ingress] || rule.DefaultDenyIngress
		deny[engine.Egress] = deny[engine.Egress] || rule.DefaultDenyEgress
		if by := rule.Origin; !slices.Contains(c.Policies, by.String()) {
			by.Path = ""
			c.Policies = append(c.Policies, by.String())
		}
	}
	slices.Sort(c.Policies)
	c.Policies = slices.Compact(c.Policies)
	for _, direction := range []engine.Direction{engine.Ingress, engine.Egress} {
		if deny[direction] {
			c.Closes = append(c.Closes, direction.String())
		}
	}
	return c
}

// Print says how many NICs would close, and which.
func Print(out io.Writer, list []NIC) error {
	if len(list) == 0 {
		return nil
	}
	what, them := fmt.Sprintf("%d NICs", len(list)), "them"
	if len(list) == 1 {
		what, them = "1 NIC", "it"
	}
	text := fmt.Sprintf("%s would close with policy-networks: all. With policy-networks: audit flows tell what that would drop of %s:\n", what, them)
	for _, c := range list {
		text += "  " + c.String() + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}
