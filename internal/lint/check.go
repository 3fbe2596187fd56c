package lint

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/lint/element"
	"weftnet.io/weftnet/internal/lint/lookalike"
	"weftnet.io/weftnet/internal/lint/schema"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table"
)

// Options are what is known beside the objects.
type Options struct {
	PodCIDRs  []netip.Prefix
	NodeCIDRs []netip.Prefix
	Cluster   string            // name; empty: default
	Running   []identity.Labels // workloads beside those of the objects
	World     *gap.World        // settings and objects of the cluster; nil: not known
}

// object is a policy as the checks see it.
type object struct {
	*manifest.Object
	row        table.PolicyObject
	rules      []element.Rule              // of CiliumNetworkPolicy and its clusterwide form
	kubernetes *networkingv1.NetworkPolicy // or this
	tiers      *v1alpha2.ClusterNetworkPolicy
	readable   bool // it has the types that the schema asks for
}

// checker collects findings about a set of objects.
type checker struct {
	Options
	world     gap.World
	objects   []*object
	workloads []identity.Labels
	onHost    []manifest.Workload // those on the host network
	machines  []identity.Labels   // nodes
	ports     map[string]bool     // names of container ports
	findings  []Finding
}

// checks are run on every policy that the reader of rules takes.
var checks = []func(*checker, *object){
	(*checker).namespace,
	(*checker).emptyElements,
	(*checker).policyTypes,
	(*checker).selectors,
	(*checker).keys,
	(*checker).denyOnly,
	(*checker).closes,
	(*checker).portNumbers,
	(*checker).addresses,
	(*checker).requests,
	(*checker).nodes,
	(*checker).priority,
}

// Check looks at all policies among the objects, which it takes together: as one cluster would have them. Problems are
// those that came with the objects.
func Check(objects []*manifest.Object, problems []manifest.Problem, options Options) []Finding {
	c := &checker{Options: options, ports: map[string]bool{}, world: gap.Default()}
	if c.World != nil {
		c.world = *c.World
	}
	c.Cluster = cmp.Or(c.Cluster, "default")
	c.workloads = slices.Clone(options.Running)
	for _, w := range manifest.Workloads(objects, c.Cluster, identity.Pod.Whole) {
		if w.HostNetwork {
			c.onHost = append(c.onHost, w)
		} else {
			c.workloads = append(c.workloads, w.Labels)
		}
		for _, p := range w.NamedPorts {
			c.ports[p.Name] = true
		}
	}
	c.machines = manifest.Nodes(objects, c.Cluster)
	for _, p := range problems {
		c.findings = append(c.findings, Finding{
			File: p.File, Line: p.Line, Column: p.Column, Object: nameOf(p.Object), Field: p.Field, Severity: Error, Check: "syntax", Does: p.Message,
		})
	}
	for _, o := range objects {
		if c.kind(o) {
			c.objects = append(c.objects, c.read(o))
		} else if k := kind.Find(o.APIVersion, o.Kind); k != nil && k.Is(kind.Lint) {
			c.other(k, &object{Object: o}, objects)
		}
	}
	slices.SortStableFunc(c.objects, func(a, b *object) int {
		p, q := a.At(""), b.At("")
		return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
	})
	c.same()
	for _, o := range c.objects {
		if o.readable {
			c.reader(o)
		}
		for _, check := range checks {
			if o.readable && o.row.Valid {
				check(c, o)
			}
		}
	}
	c.covered()
	return c.result()
}

// result is the findings in order, each position and each matter once: what the schema says precisely, the reader need not
// repeat, and what the reader has words for, the schema's patterns need not.
func (c *checker) result() []Finding {
	type position struct{ file, object, field string }
	at := func(f Finding) position { return position{fmt.Sprint(f.File, ":", f.Line), f.Object, f.Field} }
	precise, worded := map[position]bool{}, map[position]bool{}
	for _, f := range c.findings {
		precise[at(f)] = precise[at(f)] || f.Check == string(schema.Shape) || f.Check == string(schema.Unknown)
		worded[at(f)] = worded[at(f)] || f.Check == "rejected"
	}
	c.findings = slices.DeleteFunc(c.findings, func(f Finding) bool {
		return f.Check == "rejected" && precise[at(f)] || f.Check == string(schema.Format) && worded[at(f)]
	})
	slices.SortFunc(c.findings, compare)
	return slices.Compact(c.findings)
}

// add notes a finding about a field.
func (c *checker) add(o *object, severity Severity, check, field, does, meant, fix string) {
	p := o.At(field)
	c.findings = append(c.findings, Finding{
		File: p.File, Line: p.Line, Column: p.Column, Object: name(o.Object), Field: field,
		Severity: severity, Check: check, Does: does, Meant: meant, Fix: fix,
	})
}

func nameOf(o *manifest.Object) string {
	if o == nil {
		return ""
	}
	return name(o)
}

// name is that of messages about rules: cnp shop/web.
func name(o *manifest.Object) string {
	namespace := o.Namespace
	if k := kind.Named(o.Kind); namespace == "" && k != nil && k.IsPolicy() && k.Namespaced {
		namespace = metav1.NamespaceDefault
	}
	return policy.Origin{Kind: o.Kind, Namespace: namespace, Name: o.Name}.String()
}

func clusterScoped(name string) bool {
	k := kind.Named(name)
	return k != nil && !k.Namespaced
}

// kind tells whether an object is a policy, and notes one that only seems to be one.
func (c *checker) kind(m *manifest.Object) bool {
	v := lookalike.Of(m.APIVersion, m.Kind)
	severity := Error
	switch v.Is {
	case lookalike.Policy:
		return true
	case lookalike.Other:
		return false
	case lookalike.Foreign:
		severity = Warning
	}
	c.add(&object{Object: m}, severity, "kind", v.Field, v.Does, v.Meant, v.Fix)
	return false
}

// read holds an object against its schema and reads it. One whose types are wrong is not read further.
func (c *checker) read(m *manifest.Object) *object {
	o := &object{Object: m}
	c.shape(o)
	var err error
	switch m.Kind {
	case language.KindKubernetes:
		o.kubernetes = &networkingv1.NetworkPolicy{}
		if err = m.Decode(o.kubernetes); err == nil {
			o.row = kind.Policy(o.kubernetes)
		}
	case language.KindMultiNetwork:
		o.kubernetes = &networkingv1.NetworkPolicy{}
		p := kind.Named(m.Kind).New()
		if err = errors.Join(m.Decode(o.kubernetes), m.Decode(p)); err == nil {
			o.row = kind.Policy(p)
		}
	case language.KindClusterNetwork:
		o.tiers = &v1alpha2.ClusterNetworkPolicy{}
		if err = m.Decode(o.tiers); err == nil {
			o.row = kind.Policy(o.tiers)
		}
	case language.KindCilium:
		var p v2.CiliumNetworkPolicy
		if err = m.Decode(&p); err == nil {
			o.row, o.rules = kind.Policy(&p), element.Rules(p.Spec, p.Specs)
		}
	case language.KindClusterwide:
		var p v2.CiliumClusterwideNetworkPolicy
		if err = m.Decode(&p); err == nil {
			o.row, o.rules = kind.Policy(&p), element.Rules(p.Spec, p.Specs)
		}
	}
	o.readable = err == nil
	if err != nil && !c.refused(o) {
		c.add(o, Error, "schema", "", "it cannot be read: "+err.Error(), "", "")
	}
	return o
}

// shape holds an object against what the API server asks of its kind.
func (c *checker) shape(o *object) {
	for _, v := range schema.Check(o.Kind, o.JSON) {
		if v.Quote {
			v.Fix = "" // JSON has lost what was written
			if key, value, there := o.Written(v.Field); there {
				v.Fix = fmt.Sprintf("%s: %q", key, value)
			}
		}
		c.add(o, Error, string(v.Kind), v.Field, v.Does, v.Meant, v.Fix)
	}
}

// other looks at an object that is checked and is no policy.
func (c *checker) other(k *kind.Kind, o *object, all []*manifest.Object) {
	c.shape(o)
	decode := func(m *manifest.Object) (kind.Object, error) {
		into := k.New()
		err := m.Decode(into)
		if into.GetNamespace() == "" && k.Namespaced {
			into.SetNamespace(metav1.NamespaceDefault) // as kubectl does
		}
		return into, err
	}
	own, err := decode(o.Object)
	if err != nil {
		if !c.refused(o) {
			c.add(o, Error, "schema", "", "it cannot be read: "+err.Error(), "", "")
		}
		return
	}
	w := c.world
	if w.Others == nil {
		w.Others = func() (list []any) {
			for _, m := range all {
				if m != o.Object && kind.Find(m.APIVersion, m.Kind) == k {
					if one, err := decode(m); err == nil {
						list = append(list, one)
					}
				}
			}
			return list
		}
	}
	c.know(&w)
	gaps, _ := k.Gaps(own, w)
	c.pass(o, gaps)
}

// know adds what the options and the objects tell of a world, where it does not tell itself.
func (c *checker) know(w *gap.World) {
	if len(c.PodCIDRs) > 0 {
		w.PodCIDRs = func() []netip.Prefix { return c.PodCIDRs }
	}
	if w.OnHost == nil {
		w.OnHost = func(namespace string, of identity.Selector) string {
			for _, one := range c.onHost {
				if one.Namespace == namespace && of.Matches(one.Labels) {
					return one.Namespace + "/" + one.Name
				}
			}
			return ""
		}
	}
}

// refused tells whether there is an error about an object so far.
func (c *checker) refused(o *object) bool {
	return slices.ContainsFunc(c.findings, func(f Finding) bool {
		return f.Severity == Error && f.File == o.File && f.Object == name(o.Object)
	})
}

// Object checks a single policy that is at hand as a Go value, of this kind.
func Object(of string, object any, options Options) ([]Finding, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	fields["kind"], _ = json.Marshal(of)
	fields["apiVersion"], _ = json.Marshal(kind.Named(of).GroupVersion.String())
	if text, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	objects, problems := manifest.Read("", text)
	return Check(objects, problems, options), nil
}

// IsPolicy tells whether an object is of a kind that is checked.
func IsPolicy(o *manifest.Object) bool {
	return lookalike.Of(o.APIVersion, o.Kind).Is == lookalike.Policy
}
