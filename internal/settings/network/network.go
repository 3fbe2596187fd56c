// Package network has the keys about further networks of pods.
//
// # The world it models
//
// A pod names NetworkAttachmentDefinitions, of its own namespace or, unless namespaces are isolated, of any other:
//
//	network-namespace-isolation=true  network-global-namespaces=infra
//	pod shop/web   shop/storage: yes   infra/management: yes   prod/vlan-100: no
//
// The names of the keys are Weftnet's own: upstream they are fields namespaceIsolation and globalNamespaces of Multus' configuration file.
//
// # Invariants
//
//   - Without isolation every namespace reaches every other, and names any wire.
//
// # Example
//
//	if !config.Networks.Reaches("shop", "prod") { … }
package network

import (
	"cmp"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/settings/key"
)

// Concern is what the keys are about.
const Concern key.Concern = "networks"

// Networks says which definitions pods may use.
type Networks struct {
	Isolation bool          // those of the pod's own namespace only
	Global    []string      // … and of these namespaces
	Hold      time.Duration // for which a node without the API server counts on addresses that may move; 0: for ever
	Keep      time.Duration // for which a StatefulSet's pod that it was scaled down by keeps its addresses; 0: for ever
	Policy    string        // at which NICs of a pod policy is enforced: Primary, Audit, All
	Conflicts string        // how thoroughly is asked whether a NIC's address is taken: Off, Probe, Whole
}

// Values of policy-networks.
const (
	Primary = "primary"
	Audit   = "audit" // what policy would drop at further NICs is told, and passes
	All     = "all"
)

// Values of network-conflict-detection.
const (
	Off   = "off"
	Probe = "probe"
	Whole = "rfc5227"
)

// PolicyAnnotation of a NetworkAttachmentDefinition, or of the pods' namespace, has such a value in place of the key's.
const PolicyAnnotation = "weftnet.io/policy-networks"

// At says how policy is enforced at a further NIC. said is what its definition has as annotation, of is the namespace of that, pods what the
// namespace of the NIC's pod has; empty: nothing. What is no value means All: what was to be closed is not left open for a typing error.
func (n Networks) At(of, said, pods string) string {
	value := cmp.Or(pods, n.Policy, Primary)
	if said != "" && n.Counts(of, said, pods) {
		value = said
	}
	if value != Primary && value != Audit {
		return All
	}
	return value
}

// Counts tells whether a definition's annotation has a say. A namespace is the cluster's to annotate, and so is a definition of the namespaces that
// the cluster trusts: these may open what the key closes. Any other is written by users of its namespace, and may only close.
func (n Networks) Counts(of, said, pods string) bool {
	return n.Trusts(of) || closes(said) >= closes(cmp.Or(pods, n.Policy, Primary))
}

// closes orders values: more closes more.
func closes(value string) int {
	switch value {
	case Primary:
		return 0
	case Audit:
		return 1
	}
	return 2
}

// Reaches tells whether pods of a namespace may use definitions of another.
func (n Networks) Reaches(pod, definition string) bool {
	return !n.Isolation || pod == definition || slices.Contains(n.Global, definition)
}

// Names tells whether definitions of a namespace may name the wire that they lead to: who may write one in any namespace could otherwise claim
// addresses on the wires of others.
func (n Networks) Names(definition string) bool {
	return !n.Isolation || slices.Contains(n.Global, definition)
}

// Trusts tells whether definitions of a namespace may say what is the cluster's to say: who may write one in any other namespace is not to lead
// policies of the whole cluster to the pods' first NICs, since such a policy selects pods of all namespaces, nor to open further NICs that are closed.
func (n Networks) Trusts(definition string) bool {
	return definition == "kube-system" || slices.Contains(n.Global, definition)
}

// Keys are those of further networks.
var Keys = []key.Of[Networks]{
	{
		Name: "policy-networks", Default: Primary, Concern: Concern, Holds: key.AtOnce, Syntax: Primary + "|" + Audit + "|" + All,
		Text: "at which NICs of a pod its policies are enforced: at its first one and others in the pod network alone (primary), or also at those that share an uplink, which is guarded then (all); with audit what their policies would drop passes, and flows tell of it. Annotation `weftnet.io/policy-networks` of a namespace has another value for NICs of its pods; that of a NetworkAttachmentDefinition has one that closes more for NICs by it, or, in kube-system and `network-global-namespaces`, any",
		Read: key.Text(func(c *Networks) *string { return &c.Policy }),
	},
	{
		Name: "network-conflict-detection", Default: Probe, Concern: Concern, Holds: key.NewAttachments, Syntax: Probe + "|" + Whole + "|" + Off,
		Text: "how thoroughly is asked on the wire of a further NIC whether its address is taken, before it is used: once, for 20 ms (probe), as RFC 5227 says, for 4 to 7 s (rfc5227), or not (off)",
		Read: key.Text(func(c *Networks) *string { return &c.Conflicts }),
	},
	{
		Name: "network-namespace-isolation", Default: "false", Concern: Concern, Holds: key.NewAttachments, Syntax: key.Boolean,
		Text: "pods get NICs by NetworkAttachmentDefinitions of their own namespace only, and of those in `network-global-namespaces`",
		Read: key.Flag(func(c *Networks) *bool { return &c.Isolation }),
	},
	{
		Name: "network-address-hold", Default: "40s", Concern: Concern, Holds: key.AtOnce, Syntax: key.Life,
		Text: "NICs whose addresses may move to another node (`ipam` of type weft, of StatefulSets and virtual machines, and IPAMClaims) are silent while their node has had no word from the API server for this long, and other nodes take such addresses over no earlier; 0s: they never are, and the addresses move when their NICs are gone",
		Read: func(r *key.Reader, c *Networks, name string) { c.Hold = r.Life(name) },
	},
	{
		Name: "network-sticky-retention", Default: "24h", Concern: Concern, Holds: key.AtOnce, Syntax: key.Life,
		Text: "a pod of a StatefulSet keeps its addresses in further networks (StickyAddress, and the IPAMClaim that the operator has made) for at least this long after the StatefulSet was scaled down by it; 0s: until the StatefulSet goes",
		Read: func(r *key.Reader, c *Networks, name string) { c.Keep = r.Life(name) },
	},
	{
		Name: "network-global-namespaces", Concern: Concern, Holds: key.NewAttachments,
		Text: "namespaces whose NetworkAttachmentDefinitions pods of all namespaces may use, whatever `network-namespace-isolation` says, and that are trusted as those of kube-system are: they may open what `policy-networks` closes (annotation `weftnet.io/policy-networks`), and lead policies of the whole cluster to first NICs",
		Read: key.List(func(c *Networks) *[]string { return &c.Global }),
	},
}
