// Package gap says what keeps a policy from being in force as it stands: the one computation behind the findings of agents,
// the conditions of objects and `weft policy check`.
//
// # The world it models
//
// A policy may be valid and do less than it says, or something else: a part of the language is not enforced yet, a setting is
// off, an object that it names is not there. What the reader of an object sees by itself comes with the object; the rest
// depends on the World, and changes with it:
//
//	spec.nodeSelector      NotEnabled   rules for nodes do nothing while setting enable-host-firewall is not true
//	spec.egress[0]         NotFound     there is no CiliumCIDRGroup partners, so it stands for no address
//
// # Invariants
//
//   - The same rules in the same World have the same gaps.
//   - Each gap names its field as people write it (spec.ingress[0], specs[1].egress[0]) and has a reason.
//   - Of what is not known (nil functions of the World) nothing is said.
//
// # Example
//
//	gaps := gap.Of(rules, gap.World{Config: config})
//	for _, g := range gaps {
//		fmt.Println(g.Reason, g) // NotEnabled spec.nodeSelector: rules for nodes do nothing …
//	}
package gap

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/settings/network"
)

// Reason says what kind of thing keeps a part of a policy from being in force. It is a reason of conditions.
type Reason string

// Reasons, those that weigh most first.
const (
	Invalid        Reason = "Invalid"        // the language does not allow it: nothing of the object is enforced
	NotImplemented Reason = "NotImplemented" // nothing enforces it yet
	NotEnabled     Reason = "NotEnabled"     // a setting is off, or says otherwise
	NotFound       Reason = "NotFound"       // an object that it names is not there, or a part of that one makes no sense
	Superseded     Reason = "Superseded"     // another object has what it asks for
	Staged         Reason = "Staged"         // people want to see first what it would do
	Audited        Reason = "Audited"        // … and have what it would deny pass
	Ignored        Reason = "Ignored"        // all of it is in force, and a part says nothing
)

// Reasons in order, those that weigh most first.
var Reasons = []Reason{Invalid, NotImplemented, NotEnabled, NotFound, Superseded, Staged, Audited, Ignored}

// Gap is one part of a policy that is not in force as it stands.
type Gap struct {
	Reason  Reason
	Field   string // spec.ingress[0].toPorts[1]
	Message string
}

// String has the field before the message.
func (g Gap) String() string { return g.Field + ": " + g.Message }

// Text is all of them in one line.
func Text(gaps []Gap) string {
	texts := make([]string, len(gaps))
	for i, g := range gaps {
		texts[i] = g.String()
	}
	return strings.Join(texts, "; ")
}

// World is what a policy depends on beside its own text.
type World struct {
	Config settings.Config
	// Group gives what is wrong with the CiliumCIDRGroup of a name, and whether there is one; nil: not known.
	Group func(name string) (problems []string, there bool)
	// Service tells whether there is one of this name; nil: not known.
	Service func(namespace, name string) bool
	// Headless tells whether a service that is there has no cluster address; nil: not known.
	Headless func(namespace, name string) bool
	// Network tells the number of the network that the NetworkAttachmentDefinition of this name leads to, namespace/name, and whether there is
	// one; nil: not known.
	Network func(name string) (number uint32, there bool)
	// PodCIDRs are the prefixes that pods have addresses of; nil: not known.
	PodCIDRs func() []netip.Prefix
	// OnHost names a pod of a namespace on the host network that a selector chooses, if there is one; nil: not known.
	OnHost func(namespace string, of identity.Selector) string
	// Others are the other objects of its kind; nil: not known.
	Others func() []any
	// Audited are the namespaces whose pods have nothing denied: what identity.Namespace says of each.
	Audited []identity.Labels
}

// NewWorld is a cluster with these settings, of whose objects nothing is known. get gives the value of a key, and whether it
// is set.
func NewWorld(get func(key string) (string, bool)) World {
	config, _ := settings.Parse(get)
	return World{Config: config}
}

// Default is a cluster in which nothing is set.
func Default() World { return NewWorld(func(string) (string, bool) { return "", false }) }

// Field is the field of a path inside an object, which leaves out a plain spec.
func Field(path string) string {
	if strings.HasPrefix(path, "specs[") {
		return path
	}
	return strings.TrimSuffix("spec."+path, ".")
}

// Of lists the gaps of rules that one object has.
func Of(rules []policy.Rule, w World) []Gap {
	f := finder{World: w}
	for _, r := range rules {
		f.rule(r)
		for _, t := range r.Terms() {
			f.term(t)
		}
	}
	f.modes(rules)
	return slices.CompactFunc(f.out, func(a, b Gap) bool { return a == b })
}

type finder struct {
	World
	out []Gap
}

func (f *finder) add(reason Reason, field, message string, args ...any) {
	f.out = append(f.out, Gap{reason, field, fmt.Sprintf(message, args...)})
}

// overlays are the numbers up to this: NICs of such networks are never open (table overlay).
const overlays = 0x7fff

// rule looks at the subject of a rule.
func (f *finder) rule(r policy.Rule) {
	if ForNodes(r) && !f.Config.HostFirewall {
		f.add(NotEnabled, Field(r.Origin.Path)+".nodeSelector", "rules for nodes do nothing while setting enable-host-firewall is not true")
	}
	const field = "metadata.annotations[k8s.v1.cni.cncf.io/policy-for]"
	wires := f.Network == nil && len(r.Networks) > 0
	for _, name := range r.Networks {
		if f.Network == nil {
			break
		}
		namespace, _, _ := strings.Cut(name, "/")
		number, there := f.Network(name)
		wires = wires || !there || number == 0 || number > overlays
		switch {
		case there && number == 0 && r.Origin.Namespace == "" && !f.Config.Networks.Trusts(namespace):
			f.add(NotEnabled, field, "%s leads to the pod network: a policy of the whole cluster holds there by definitions of kube-system and of the namespaces in setting network-global-namespaces alone; set that, or leave this name out", name)
		case !there:
			f.add(NotFound, field, "there is no NetworkAttachmentDefinition %s, so this policy is for no NIC by it; create it, or correct the name", name)
		}
	}
	if wires && f.Config.Networks.At("", "", "") == network.Primary {
		f.add(NotEnabled, field, "NICs of these networks are open while setting policy-networks is primary, unless annotation %s of a definition or a namespace says otherwise", network.PolicyAnnotation)
	}
}

func (f *finder) term(t policy.Term) {
	if t.Extended && !f.Config.Extended {
		f.add(NotEnabled, Field(t.Path), "it names a protocol without ports: while setting enable-extended-ip-protocols is not true, a rule that allows allows nothing, one that denies denies all ports")
	}
	for _, b := range t.Blocks {
		f.reference(b.Of, Field(t.Path))
	}
}

// reference says which objects that a policy names are not there.
func (f *finder) reference(of policy.Reference, field string) {
	switch {
	case of.Kind == policy.Nodes && !f.Config.NodeLabels:
		f.add(NotEnabled, field, "peers by labels of nodes choose no node while setting enable-node-selector-labels is not true")
	case of.Kind == policy.CIDRGroups && of.Name != "" && f.Group != nil:
		problems, there := f.Group(of.Name)
		if !there {
			f.add(NotFound, field, "there is no CiliumCIDRGroup %s, so it stands for no address; create it, or correct cidrGroupRef", of.Name)
		}
		for _, problem := range problems {
			f.add(NotFound, field, "CiliumCIDRGroup %s: %s", of.Name, problem)
		}
	case of.Kind == policy.Services && of.Name != "" && of.Namespace != "" && f.Service != nil && !f.Service(of.Namespace, of.Name):
		f.add(NotFound, field, "there is no service %s/%s, so it stands for no pod and no address; create it, or correct toServices", of.Namespace, of.Name)
	}
}

// modes says what holds for all policies of the cluster.
func (f *finder) modes(rules []policy.Rule) {
	if len(rules) == 0 {
		return
	}
	if f.Config.Enforcement == settings.EnforceNever {
		f.add(NotEnabled, "spec", "no policy is enforced while setting policy-enforcement-mode is never")
	}
	if f.Config.Audit {
		f.add(Audited, "spec", "what this policy would deny passes while setting policy-audit-mode is true, and flows show it with verdict AUDIT")
	}
	if names := f.audited(rules); len(names) > 0 {
		f.add(Audited, "spec", "what this policy would deny to pods of namespace %s, or deny them, passes while that has the annotation "+
			"policy.weftnet.io/mode: audit, and flows show it with verdict AUDIT", strings.Join(names, ", "))
	}
}

// audited names the audited namespaces of whose pods the rules may select some.
func (f *finder) audited(rules []policy.Rule) (names []string) {
	for _, namespace := range f.Audited {
		if slices.ContainsFunc(rules, func(r policy.Rule) bool { return !ForNodes(r) && r.Subject.Admits(namespace) }) {
			name, _ := namespace.Value(identity.SourceK8s + ":" + identity.LabelNamespace)
			names = append(names, name)
		}
	}
	return names
}

// ForNodes tells whether a rule is for nodes (nodeSelector), and not for workloads.
func ForNodes(r policy.Rule) bool {
	demands := func(key string) bool {
		return slices.ContainsFunc(r.Subject.Requirements(), func(q identity.Requirement) bool {
			return q.Key == key && (q.Operator == identity.Exists || q.Operator == identity.In)
		})
	}
	return demands(identity.SourceReserved+":"+identity.Host.Name()) && !demands(identity.SourceK8s+":"+identity.LabelNamespace)
}
