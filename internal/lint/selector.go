package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/lint/cover"
	"weftnet.io/weftnet/internal/lint/element"
	"weftnet.io/weftnet/internal/lint/key"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
)

const keyNamespace = identity.SourceK8s + ":" + identity.LabelNamespace

// selectors notes those that find none among the workloads that are known, and those that cannot leave their namespace
// though what they look for seems to be in another.
func (c *checker) selectors(o *object) {
	for _, r := range o.row.Rules {
		field := gap.Field(r.Origin.Path) + ".endpointSelector"
		switch {
		case o.kubernetes != nil:
			field = "spec.podSelector"
		case o.tiers != nil:
			field = "spec.subject" // of all its rules; a finding that stands twice is told once
		}
		if gap.ForNodes(r) {
			if len(c.machines) > 0 && !slices.ContainsFunc(c.machines, r.Subject.Matches) {
				c.add(o, Warning, "selects-nothing", gap.Field(r.Origin.Path)+".nodeSelector", "no node here has these labels, so the rule is for none", "", "")
			}
			continue
		}
		if c.placed(o) && !reserved(r.Subject) && c.knows(r.Subject) && !c.finds(r.Subject) {
			c.add(o, Warning, "selects-nothing", field, "no workload here has these labels, so the policy is for none", c.elsewhere(r.Subject), "")
		}
	}
	for _, r := range o.rules {
		for _, e := range r.Elements() {
			for i := range e.Endpoints {
				field := fmt.Sprintf("%s.%sEndpoints[%d]", e.Field, e.Prefix, i)
				labels := key.Text(e.Endpoints[i].MatchLabels)
				if namesNamespace(e.Endpoints[i]) {
					labels = ""
				}
				s := peerSelector(o, r, e.Endpoints[i])
				c.peer(o, s, field, labels)
				c.podsOnly(o, s, e, i, field)
			}
		}
	}
	if o.kubernetes == nil {
		return
	}
	c.podKeys(o, &o.kubernetes.Spec.PodSelector, "spec.podSelector")
	for i, in := range o.kubernetes.Spec.Ingress {
		for j, p := range in.From {
			c.kubernetesPeer(o, p, fmt.Sprintf("spec.ingress[%d].from[%d]", i, j))
		}
	}
	for i, in := range o.kubernetes.Spec.Egress {
		for j, p := range in.To {
			c.kubernetesPeer(o, p, fmt.Sprintf("spec.egress[%d].to[%d]", i, j))
		}
	}
}

// keys notes those that no label has, and which look like names that the cluster gives.
func (c *checker) keys(o *object) {
	look := func(s *v2.LabelSelector, field string) {
		if s == nil {
			return
		}
		for name := range s.MatchLabels {
			c.key(o, name, field+".matchLabels."+name)
		}
		for i, e := range s.MatchExpressions {
			c.key(o, e.Key, fmt.Sprintf("%s.matchExpressions[%d].key", field, i))
		}
	}
	for _, r := range o.rules {
		look(r.EndpointSelector, r.Field+".endpointSelector")
		for _, e := range r.Elements() {
			for i := range e.Endpoints {
				look(&e.Endpoints[i], fmt.Sprintf("%s.%sEndpoints[%d]", e.Field, e.Prefix, i))
			}
		}
	}
}

// podKeys notes keys of a podSelector that no label of pods has.
func (c *checker) podKeys(o *object, s *metav1.LabelSelector, field string) {
	if s == nil {
		return
	}
	look := func(name, at string) {
		if name == corev1.LabelMetadataName || name == identity.LabelNamespace || strings.HasPrefix(name, identity.LabelNamespacePrefix) {
			c.add(o, Warning, "label-key", at, fmt.Sprintf("podSelector looks at labels of pods, and no pod has a label %s", name), "namespaceSelector, beside podSelector or in its place", "")
		}
	}
	for name := range s.MatchLabels {
		look(name, field+".matchLabels."+name)
	}
	for i, e := range s.MatchExpressions {
		look(e.Key, fmt.Sprintf("%s.matchExpressions[%d].key", field, i))
	}
}

func (c *checker) key(o *object, name, field string) {
	if does, meant := key.Doubt(name); does != "" {
		c.add(o, Warning, "label-key", field, does, meant, "")
	}
}

// podsOnly notes a selector that says only what peers are not: it chooses pods, where upstream has it choose nodes and the
// outside as well.
func (c *checker) podsOnly(o *object, s identity.Selector, e element.Element, i int, field string) {
	written := slices.ContainsFunc(e.Endpoints[i].MatchExpressions, func(r v2.LabelRequirement) bool {
		return strings.HasSuffix(r.Key, identity.LabelNamespace) && r.Operator == "Exists"
	})
	bound := identity.Requirement{Key: keyNamespace, Operator: identity.Exists}
	rest := slices.DeleteFunc(slices.Clone(s.Requirements()), func(r identity.Requirement) bool { return r.String() == bound.String() })
	if written || len(rest) == len(s.Requirements()) {
		return
	}
	loose := identity.NewSelector(rest...).For(c.someone())
	if !slices.ContainsFunc(identity.ReservedNumbers(), func(n identity.Number) bool { return loose.Matches(identity.Reserved(n)) }) {
		return
	}
	verb := map[bool]string{true: "denies", false: "allows"}[e.Deny]
	c.add(o, Warning, "pods-only", field, fmt.Sprintf("it says only what peers are not, and a selector of endpoints chooses pods: it %s no node and nothing outside the cluster (in Cilium it does)", verb),
		"", fmt.Sprintf("if they are meant, too: another element, with %sEntities that names them", e.Prefix))
}

// peerSelector is what the reader of rules makes of a selector of peers in a rule: of a policy with nothing but that.
func peerSelector(o *object, r element.Rule, s v2.LabelSelector) identity.Selector {
	alone := &v2.Rule{EndpointSelector: r.EndpointSelector, Ingress: []v2.IngressRule{{IngressPeer: v2.IngressPeer{FromEndpoints: []v2.LabelSelector{s}}}}}
	if alone.EndpointSelector == nil {
		alone.EndpointSelector = &v2.LabelSelector{}
	}
	meta := metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}
	row := kind.Policy(&v2.CiliumNetworkPolicy{ObjectMeta: meta, Spec: alone})
	if o.Kind == language.KindClusterwide {
		row = kind.Policy(&v2.CiliumClusterwideNetworkPolicy{ObjectMeta: meta, Spec: alone})
	}
	return firstPeer(row.Rules)
}

func firstPeer(rules []policy.Rule) identity.Selector {
	if len(rules) == 0 || len(rules[0].Ingress) == 0 || len(rules[0].Ingress[0].Peers) == 0 {
		return identity.Selector{}
	}
	return rules[0].Ingress[0].Peers[0]
}

func (c *checker) kubernetesPeer(o *object, p networkingv1.NetworkPolicyPeer, field string) {
	if p.PodSelector == nil || p.IPBlock != nil {
		return
	}
	c.podKeys(o, p.PodSelector, field+".podSelector")
	alone := o.kubernetes.DeepCopy()
	alone.Spec = networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{p}}}}
	labels := key.Text(p.PodSelector.MatchLabels)
	if p.NamespaceSelector != nil {
		labels = ""
	}
	c.peer(o, firstPeer(kind.Policy(alone).Rules), field, labels)
}

// namesNamespace tells whether a selector says itself which namespace it is about.
func namesNamespace(s v2.LabelSelector) bool {
	named := func(key string) bool { return strings.HasSuffix(key, identity.LabelNamespace) }
	return slices.ContainsFunc(slices.Collect(maps.Keys(s.MatchLabels)), named) ||
		slices.ContainsFunc(s.MatchExpressions, func(e v2.LabelRequirement) bool { return named(e.Key) })
}

// peer looks at one selector of peers. labels are those it asks for, as text; empty if it asks for none by value, or says
// itself which namespace it is about.
func (c *checker) peer(o *object, s identity.Selector, field, labels string) {
	if s.IsZero() || reserved(s) {
		return
	}
	s = s.For(c.someone())
	own, scoped := ownNamespace(s)
	if scoped && labels != "" && !c.placed(o) {
		return // which namespace that is, is not known
	}
	if c.finds(s) {
		return
	}
	if c.knows(s) || labels != "" && len(c.namespacesOf(s)) > 0 {
		meant := c.elsewhere(s)
		if fix := c.fixFor(o, s); fix != "" && labels != "" {
			c.add(o, Warning, "namespace-scope", field, fmt.Sprintf("without a namespace the selector stays in the policy's own, %s, where no workload has these labels", own), meant, fix)
			return
		}
		c.add(o, Warning, "selects-nothing", field, "no workload here has these labels, so the selector chooses no peer", meant, "")
		return
	}
	if !scoped || labels == "" {
		return
	}
	if there := c.subjectsIn(s, own); len(there) > 0 {
		c.add(o, Warning, "namespace-scope", field, fmt.Sprintf("without a namespace the selector stays in the policy's own, %s, and does not match pods of other namespaces; other policies here select %s in namespace %s, none in %s", own, labels, strings.Join(there, ", "), own),
			fmt.Sprintf("%s in namespace %s", labels, there[0]), scopeFix(o, there[0]))
	} else if meant := c.machineCalled(s); meant != "" {
		c.add(o, Warning, "namespace-scope", field, fmt.Sprintf("without a namespace the selector stays in the policy's own, %s, and does not match pods of other namespaces", own), meant, "")
	}
}

// machineCalled is the virtual machine that has a value which the selector asks for as its name; empty: there is none.
func (c *checker) machineCalled(s identity.Selector) (text string) {
	for _, l := range c.workloads {
		name, runs := l.Value(identity.SourceK8s + ":" + identity.LabelVMName)
		in, _ := l.Value(keyNamespace)
		is := fmt.Sprintf("virtual machine %s/%s, which has not this label", in, name)
		if runs && (text == "" || is < text) && slices.ContainsFunc(s.Requirements(), func(r identity.Requirement) bool { return len(r.Values) == 1 && r.Values[0] == name }) {
			text = is
		}
	}
	return text
}

func scopeFix(o *object, namespace string) string {
	if o.kubernetes != nil {
		return fmt.Sprintf("beside podSelector: namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}", namespace)
	}
	return fmt.Sprintf("add to matchLabels: %s: %s", keyNamespace, namespace)
}

// placed tells whether it is known which namespace an object is for.
func (c *checker) placed(o *object) bool { return o.Namespace != "" || clusterScoped(o.Kind) }

// reserved tells whether a selector asks for a reserved label, and so for an entity: workloads have none.
func reserved(s identity.Selector) bool {
	return slices.ContainsFunc(s.Requirements(), func(r identity.Requirement) bool {
		return strings.HasPrefix(r.Key, identity.SourceReserved+":") && (r.Operator == identity.Exists || r.Operator == identity.In)
	})
}

// someone is a workload of this cluster: whose labels "in the same cluster" is about.
func (c *checker) someone() identity.Labels {
	return identity.NewLabels(map[string]string{identity.SourceK8s + ":" + identity.LabelCluster: c.Cluster})
}

// knows tells whether workloads are known where a selector looks, with all labels it asks about: else nothing can be said.
func (c *checker) knows(s identity.Selector) bool {
	namespace, scoped := ownNamespace(s)
	return identity.Filter{}.Sees(s) && slices.ContainsFunc(c.workloads, func(l identity.Labels) bool {
		own, _ := l.Value(keyNamespace)
		return !scoped || own == namespace
	})
}

func (c *checker) finds(s identity.Selector) bool {
	return slices.ContainsFunc(c.workloads, s.For(c.someone()).Matches)
}

// ownNamespace is the one namespace that a selector is held to.
func ownNamespace(s identity.Selector) (string, bool) {
	for _, r := range s.Requirements() {
		if r.Key == keyNamespace && r.Operator == identity.In && len(r.Values) == 1 {
			return r.Values[0], true
		}
	}
	return "", false
}

// unscoped is a selector without its requirements on namespaces.
func unscoped(s identity.Selector) identity.Selector {
	return identity.NewSelector(slices.DeleteFunc(slices.Clone(s.Requirements()), func(r identity.Requirement) bool {
		return strings.HasSuffix(r.Key, ":"+identity.LabelNamespace)
	})...)
}

// namespacesOf lists where workloads are that a selector would find if it looked everywhere.
func (c *checker) namespacesOf(s identity.Selector) []string {
	found := map[string]bool{}
	anywhere := unscoped(s.For(c.someone()))
	for _, l := range c.workloads {
		if anywhere.Matches(l) {
			namespace, _ := l.Value(keyNamespace)
			found[namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (c *checker) elsewhere(s identity.Selector) string {
	if there := c.namespacesOf(s); len(there) > 0 {
		return "those in namespace " + strings.Join(there, ", ")
	}
	return c.machineCalled(s)
}

// fixFor is how to reach the one other namespace that has what the selector looks for.
func (c *checker) fixFor(o *object, s identity.Selector) string {
	there := c.namespacesOf(s)
	if _, scoped := ownNamespace(s); !scoped || len(there) == 0 {
		return ""
	}
	return scopeFix(o, there[0])
}

// subjectsIn lists the other namespaces in which a policy is for pods with the labels that the selector asks for; none if
// there is such a policy in its own.
func (c *checker) subjectsIn(s identity.Selector, own string) []string {
	wanted := unscoped(s)
	found := map[string]bool{}
	for _, o := range c.objects {
		for _, r := range o.row.Rules {
			namespace, scoped := ownNamespace(r.Subject)
			if !scoped || !cover.Implies(withCluster(unscoped(r.Subject), c.Cluster), wanted) {
				continue
			}
			if namespace == own {
				return nil
			}
			found[namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func withCluster(s identity.Selector, cluster string) identity.Selector {
	return identity.NewSelector(append(slices.Clone(s.Requirements()),
		identity.Requirement{Key: identity.SourceK8s + ":" + identity.LabelCluster, Operator: identity.In, Values: []string{cluster}})...)
}
