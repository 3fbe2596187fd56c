package rule

import (
	"fmt"
	"slices"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

// scope is where the selectors of one rule look for peers.
type scope struct {
	*reader
	clusterwide bool
	namespace   string
	init        bool // the rule is for workloads without labels yet
}

var operators = map[string]policy.Operator{
	v2.LabelIn: policy.In, v2.LabelNotIn: policy.NotIn, v2.LabelExists: policy.Exists, v2.LabelDoesNotExist: policy.DoesNotExist,
}

// requirements reads a selector as it stands.
func (s scope) requirements(in *v2.LabelSelector, field string) []policy.Requirement {
	var out []policy.Requirement
	for key, value := range in.MatchLabels {
		s.key(key, field+".matchLabels")
		out = append(out, policy.Requirement{Key: withSource(key), Operator: policy.In, Values: []string{value}})
	}
	for i, e := range in.MatchExpressions {
		at := fmt.Sprintf("%s.matchExpressions[%d]", field, i)
		s.key(e.Key, at+".key")
		operator, known := operators[e.Operator]
		takesValues := operator == policy.In || operator == policy.NotIn
		switch {
		case !known:
			s.reject(at+".operator", "invalid label selector: %q is not one of In, NotIn, Exists, DoesNotExist", e.Operator)
		case takesValues && len(e.Values) == 0:
			s.reject(at+".values", "invalid label selector: operator %s needs values", e.Operator)
		case !takesValues && len(e.Values) > 0:
			s.reject(at+".values", "invalid label selector: operator %s takes no values", e.Operator)
		}
		out = append(out, policy.Requirement{Key: withSource(e.Key), Operator: operator, Values: slices.Clone(e.Values)})
	}
	return out
}

func (s scope) key(key, field string) {
	if name := withSource(key); strings.HasSuffix(name, ":") {
		s.reject(field, "invalid label selector: key %q is empty", key)
	}
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
func (s scope) subject(in *v2.LabelSelector, field string) policy.Selector {
	requirements := s.requirements(in, field)
	if s.clusterwide {
		if !s.init && !has(requirements, identity.LabelNamespace) {
			requirements = append(requirements, policy.Requirement{Key: keyNamespace, Operator: policy.Exists})
		}
		return policy.NewSelector(requirements...)
	}
	requirements = slices.DeleteFunc(requirements, func(r policy.Requirement) bool {
		if !has([]policy.Requirement{r}, identity.LabelNamespace) || r.Operator != policy.In {
			return false
		}
		if !slices.Contains(r.Values, s.namespace) {
			s.note(field, "%s %q is ignored: a %s is for its own namespace, %s", identity.LabelNamespace, r.Values, s.object.Kind, s.namespace)
		}
		return true
	})
	requirements = append(requirements, inNamespace(s.namespace))
	return policy.NewSelector(requirements...)
}

// peer reads an element of fromEndpoints or toEndpoints: without a namespace it is in the policy's own, without a cluster
// in this one.
func (s scope) peer(in *v2.LabelSelector, field string) policy.Selector {
	requirements := s.requirements(in, field)
	if slices.ContainsFunc(requirements, func(r policy.Requirement) bool { return strings.HasPrefix(r.Key, identity.SourceReserved+":") }) {
		return policy.NewSelector(requirements...)
	}
	switch {
	case has(requirements, identity.LabelNamespace):
	case s.clusterwide && s.init:
	case s.clusterwide:
		requirements = append(requirements, policy.Requirement{Key: keyNamespace, Operator: policy.Exists})
	case !slices.ContainsFunc(requirements, byNamespaceLabel):
		requirements = append(requirements, inNamespace(s.namespace))
	}
	if !has(requirements, identity.LabelCluster) {
		requirements = append(requirements, policy.Requirement{Key: keyCluster, Operator: policy.Same})
	}
	return policy.NewSelector(requirements...)
}

func inNamespace(namespace string) policy.Requirement {
	return policy.Requirement{Key: keyNamespace, Operator: policy.In, Values: []string{namespace}}
}

// has tells whether there is a requirement on a key of source k8s or any.
func has(requirements []policy.Requirement, key string) bool {
	return slices.ContainsFunc(requirements, func(r policy.Requirement) bool {
		return r.Key == identity.SourceK8s+":"+key || r.Key == identity.SourceAny+":"+key
	})
}

func byNamespaceLabel(r policy.Requirement) bool {
	return strings.HasPrefix(r.Key, identity.SourceK8s+":"+identity.LabelNamespacePrefix) ||
		strings.HasPrefix(r.Key, identity.SourceAny+":"+identity.LabelNamespacePrefix)
}

func mentions(in *v2.LabelSelector, key string) bool {
	_, ok := in.MatchLabels[key]
	return ok || slices.ContainsFunc(in.MatchExpressions, func(e v2.LabelRequirement) bool { return e.Key == key })
}

// reserved chooses what has one of these reserved identities.
func reserved(numbers ...identity.Number) []policy.Selector {
	var out []policy.Selector
	for _, n := range numbers {
		out = append(out, policy.NewSelector(policy.Requirement{Key: identity.SourceReserved + ":" + n.Name(), Operator: policy.Exists}))
	}
	return out
}

// entities are the selectors that an entity stands for. Not here: all, which is no selector, and kube-apiserver, which
// is an object's addresses, too.
var entities = map[string][]policy.Selector{
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
	"cluster":      append(inCluster(), policy.NewSelector(pods, policy.Requirement{Key: keyCluster, Operator: policy.Same})),
	"cluster-mesh": append(inCluster(), policy.NewSelector(policy.Requirement{Key: keyCluster, Operator: policy.Exists})),
}

var pods = policy.Requirement{Key: keyNamespace, Operator: policy.Exists}

// inCluster is what belongs to a cluster and is no pod.
func inCluster() []policy.Selector {
	return reserved(identity.Host, identity.RemoteNode, identity.Init, identity.Ingress, identity.Health, identity.Unmanaged, identity.KubeAPIServer)
}
