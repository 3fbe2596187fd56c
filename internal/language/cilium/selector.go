package cilium

import (
	"fmt"
	"slices"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/language/label"
)

// scope is where the selectors of one rule look for peers.
type scope struct {
	reader
	clusterwide bool
	namespace   string
	init        bool // the rule is for workloads without labels yet
}

// requirements reads a selector as it stands.
func (s scope) requirements(in *v2.LabelSelector, field string) []identity.Requirement {
	var out []identity.Requirement
	for key, value := range in.MatchLabels {
		s.key(key, field+".matchLabels")
		out = append(out, identity.Requirement{Key: withSource(key), Operator: identity.In, Values: []string{value}})
	}
	for i, e := range in.MatchExpressions {
		at := fmt.Sprintf("%s.matchExpressions[%d]", field, i)
		s.key(e.Key, at+".key")
		out = append(out, identity.Requirement{Key: withSource(e.Key), Operator: label.Operator(e.Operator, e.Values, at, s.Reject), Values: slices.Clone(e.Values)})
	}
	return out
}

func (s scope) key(key, field string) {
	_, name, _ := strings.Cut(withSource(key), ":")
	label.Key(name, field, s.Reject)
}

// withSource writes a key with its source: no source means any.
func withSource(key string) string {
	source, name, ok := strings.Cut(key, ":")
	if !ok {
		return identity.SourceAny + ":" + key
	}
	if source == "" {
		return identity.SourceAny + ":" + name
	}
	return key
}

// subject reads an endpointSelector. That of a CiliumNetworkPolicy stays in the policy's namespace whatever it says.
func (s scope) subject(in *v2.LabelSelector, field string) identity.Selector {
	requirements := s.requirements(in, field)
	if s.clusterwide {
		if !s.init && !label.Asks(requirements, identity.LabelNamespace) {
			requirements = append(requirements, label.Pods)
		} else { // the node has no namespace either, and is for nodeSelector alone
			requirements = append(requirements, identity.Requirement{Key: keyHost, Operator: identity.DoesNotExist})
		}
		return identity.NewSelector(requirements...)
	}
	requirements = slices.DeleteFunc(requirements, func(r identity.Requirement) bool {
		if !label.Asks([]identity.Requirement{r}, identity.LabelNamespace) || r.Operator != identity.In {
			return false
		}
		if !slices.Contains(r.Values, s.namespace) {
			s.Ignore(field, "%s %q is ignored: a %s is for its own namespace, %s", identity.LabelNamespace, r.Values, s.Object.Kind, s.namespace)
		}
		return true
	})
	requirements = append(requirements, label.InNamespace(s.namespace))
	return identity.NewSelector(requirements...)
}

// peer reads an element of fromEndpoints or toEndpoints: without a namespace it is in the policy's own, without a cluster
// in this one. It chooses pods, whatever it leaves out by what it says they are not: only who asks for a reserved label
// names what is no pod, as an entity does.
func (s scope) peer(in *v2.LabelSelector, field string) identity.Selector {
	requirements := s.requirements(in, field)
	switch {
	case demands(requirements, byReservedLabel):
		return identity.NewSelector(requirements...)
	case slices.ContainsFunc(requirements, byReservedLabel): // no scope, as upstream
	default:
		if !s.clusterwide && !label.Asks(requirements, identity.LabelNamespace) && !slices.ContainsFunc(requirements, byNamespaceLabel) {
			requirements = append(requirements, label.InNamespace(s.namespace))
		}
		if !label.Asks(requirements, identity.LabelCluster) {
			requirements = append(requirements, label.InCluster)
		}
	}
	if !demands(requirements, byNamespace) && (s.clusterwide || !demands(requirements, byNamespaceLabel)) {
		requirements = append(requirements, label.Pods)
	}
	return identity.NewSelector(requirements...)
}

// demands tells whether some requirement of a kind asks for its label to be there.
func demands(requirements []identity.Requirement, kind func(identity.Requirement) bool) bool {
	return slices.ContainsFunc(requirements, func(r identity.Requirement) bool {
		return kind(r) && (r.Operator == identity.In || r.Operator == identity.Exists)
	})
}

func byNamespace(r identity.Requirement) bool {
	return label.Asks([]identity.Requirement{r}, identity.LabelNamespace)
}

func byReservedLabel(r identity.Requirement) bool {
	return strings.HasPrefix(r.Key, identity.SourceReserved+":")
}

func byNamespaceLabel(r identity.Requirement) bool {
	return strings.HasPrefix(r.Key, identity.SourceK8s+":"+identity.LabelNamespacePrefix) ||
		strings.HasPrefix(r.Key, identity.SourceAny+":"+identity.LabelNamespacePrefix)
}

func mentions(in *v2.LabelSelector, key string) bool {
	_, ok := in.MatchLabels[key]
	return ok || slices.ContainsFunc(in.MatchExpressions, func(e v2.LabelRequirement) bool { return e.Key == key })
}

// reserved chooses what has one of these reserved identities.
func reserved(numbers ...identity.Number) []identity.Selector {
	var out []identity.Selector
	for _, n := range numbers {
		out = append(out, identity.NewSelector(identity.Requirement{Key: identity.SourceReserved + ":" + n.Name(), Operator: identity.Exists}))
	}
	return out
}

// entities are the selectors that an entity stands for. Not here: all, which is no selector, and kube-apiserver, which
// is an object's addresses, too.
var entities = map[string][]identity.Selector{
	"world":        reserved(identity.World, identity.WorldIPv4, identity.WorldIPv6),
	"world-ipv4":   reserved(identity.WorldIPv4),
	"world-ipv6":   reserved(identity.WorldIPv6),
	"host":         reserved(identity.Host),
	"init":         reserved(identity.Init),
	"ingress":      reserved(identity.Ingress),
	"unmanaged":    reserved(identity.Unmanaged),
	"remote-node":  reserved(identity.RemoteNode),
	"health":       reserved(identity.Health),
	"none":         nil,
	"cluster":      append(inCluster(), identity.NewSelector(label.Pods, label.InCluster)),
	"cluster-mesh": append(inCluster(), identity.NewSelector(identity.Requirement{Key: label.KeyCluster, Operator: identity.Exists})),
}

// inCluster is what belongs to a cluster and is no pod.
func inCluster() []identity.Selector {
	return reserved(identity.Host, identity.RemoteNode, identity.Init, identity.Ingress, identity.Health, identity.Unmanaged, identity.KubeAPIServer)
}
