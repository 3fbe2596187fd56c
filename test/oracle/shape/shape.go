// Package shape knows of which type each member of a policy must be, as the references of the languages say.
//
// # The world it models
//
// JSON has texts, numbers, lists and objects wherever a person writes them. An object of the API has each in its place, or
// it is no such object.
//
// # Invariants
//
//   - null is as good as absent, and nothing is asked of members that no reference names.
//
// # Example
//
//	shape.Misshapen(policy) // true for {"spec": {"ingress": 7}}
package shape

import (
	"math"
	"slices"
)

// shape is what a JSON value must be: a kind, list, each, fields or needs.
type shape any

type (
	list   struct{ of shape }
	each   struct{ of shape } // an object with whatever keys
	fields map[string]shape   // an object; of a member that is not named here nothing is asked
	needs  struct {           // … with fields that must be there
		fields
		names []string
	}
	counted struct { // … with so many of its fields; -1: however many
		fields
		least, most int
	}
)

type kind string

const (
	aText        kind = "text"
	aWhole       kind = "whole number"
	aTruth       kind = "true or false"
	aTextOrWhole kind = "text or whole number"
	anOperator   kind = "In, NotIn, Exists or DoesNotExist"
	aMode        kind = "disabled, required or test-always-fail"
	aFamily      kind = "IPv4 or IPv6"
	aTier        kind = "Admin or Baseline"
	anAction     kind = "Accept, Deny or Pass"
)

// words are the texts that some kinds may be.
var words = map[kind][]string{
	anOperator: {"In", "NotIn", "Exists", "DoesNotExist"},
	aMode:      {"disabled", "required", "test-always-fail"},
	aFamily:    {"IPv4", "IPv6"},
	aTier:      {"Admin", "Baseline"},
	anAction:   {"Accept", "Deny", "Pass"},
}

var (
	aSelector = fields{
		"matchLabels":      each{aText},
		"matchExpressions": list{needs{fields{"key": aText, "operator": anOperator, "values": list{aText}}, []string{"key", "operator"}}},
	}
	selectors = list{aSelector}
	aNames    = list{fields{"matchName": aText, "matchPattern": aText}}
	aSecret   = needs{fields{"secret": needs{fields{"name": aText, "namespace": aText}, []string{"name"}}}, []string{"secret"}}
	allows    = portsWith(fields{
		"rules": fields{
			"http": list{fields{"path": aText, "method": aText, "host": aText, "headers": list{aText}}}, "dns": aNames, "kafka": list{fields{}},
			"l7proto": aText, "l7": list{each{aText}},
		},
		"serverNames": list{aText}, "listener": fields{}, "terminatingTLS": aSecret, "originatingTLS": aSecret,
	})
	denies = portsWith(fields{})
	icmps  = list{fields{"fields": list{needs{fields{"family": aFamily, "type": aTextOrWhole}, []string{"type"}}}}}
)

func portsWith(more fields) list {
	more["ports"] = list{fields{"port": aText, "endPort": aWhole, "protocol": aText}}
	return list{more}
}

// elementShape is an element of ingress (side from) or egress (side to).
func elementShape(side string, ports list) list {
	m := fields{
		"toPorts": ports, "icmps": icmps, "authentication": needs{fields{"mode": aMode}, []string{"mode"}},
		side + "Endpoints": selectors, side + "Requires": selectors, side + "Nodes": selectors, side + "CIDR": list{aText}, side + "Entities": list{aText},
		side + "CIDRSet": list{fields{"cidr": aText, "cidrGroupRef": aText, "cidrGroupSelector": aSelector, "except": list{aText}}},
		side + "Groups":  list{fields{"aws": fields{}}},
	}
	if side == "to" {
		m["toFQDNs"] = aNames
		m["toServices"] = list{fields{
			"k8sService":         fields{"serviceName": aText, "namespace": aText},
			"k8sServiceSelector": needs{fields{"selector": aSelector, "namespace": aText}, []string{"selector"}},
		}}
	}
	return list{m}
}

var aRule = fields{
	"endpointSelector": aSelector, "nodeSelector": aSelector, "description": aText, "log": fields{"value": aText},
	"ingress": elementShape("from", allows), "ingressDeny": elementShape("from", denies),
	"egress": elementShape("to", allows), "egressDeny": elementShape("to", denies),
	"enableDefaultDeny": fields{"ingress": aTruth, "egress": aTruth},
	"labels":            list{needs{fields{"key": aText, "value": aText, "source": aText}, []string{"key"}}},
}

func kubernetesElement(side string) list {
	return list{fields{
		"ports": list{fields{"port": aTextOrWhole, "endPort": aWhole, "protocol": aText}},
		side: list{fields{
			"podSelector": aSelector, "namespaceSelector": aSelector,
			"ipBlock": fields{"cidr": aText, "except": list{aText}},
		}},
	}}
}

var (
	aMeta        = fields{"name": aText, "namespace": aText, "labels": each{aText}, "annotations": each{aText}}
	ciliumShape  = needs{fields{"metadata": aMeta, "spec": aRule, "specs": list{aRule}}, []string{"metadata"}}
	networkShape = fields{"metadata": aMeta, "spec": fields{
		"podSelector": aSelector, "ingress": kubernetesElement("from"), "egress": kubernetesElement("to"), "policyTypes": list{aText},
	}}
)

// Of ClusterNetworkPolicy: "exactly one of the fields must be set".
var (
	aPodChoice = needs{fields{"namespaceSelector": aSelector, "podSelector": aSelector}, []string{"podSelector"}}
	aPort      = exactlyOne(fields{"number": aWhole, "range": needs{fields{"start": aWhole, "end": aWhole}, []string{"start", "end"}}})
	aTransport = counted{fields{"destinationPort": aPort}, 1, -1}
	tiersShape = needs{fields{"metadata": aMeta, "spec": needs{fields{
		"tier": aTier, "priority": aWhole, "subject": exactlyOne(fields{"namespaces": aSelector, "pods": aPodChoice}),
		"ingress": tieredElement("from", fields{"namespaces": aSelector, "pods": aPodChoice}),
		"egress": tieredElement("to", fields{
			"namespaces": aSelector, "pods": aPodChoice, "nodes": aSelector, "networks": list{aText}, "domainNames": list{aText},
		}),
	}, []string{"tier", "priority", "subject"}}}, []string{"metadata", "spec"}}
)

func exactlyOne(of fields) counted { return counted{of, 1, 1} }

func tieredElement(side string, peer fields) list {
	return list{needs{fields{
		"name": aText, "action": anAction, side: list{exactlyOne(peer)},
		"protocols": list{exactlyOne(fields{"tcp": aTransport, "udp": aTransport, "sctp": aTransport, "destinationNamedPort": aText})},
	}, []string{"action", side}}}
}

// Misshapen tells whether some member of a policy is of another type than it must be. null is as good as absent.
func Misshapen(policy map[string]any) bool {
	switch policy["kind"] {
	case "NetworkPolicy":
		return !fits(policy, networkShape)
	case "ClusterNetworkPolicy":
		return !fits(policy, tiersShape)
	}
	return !fits(policy, ciliumShape)
}

func fits(value any, s shape) bool {
	if value == nil {
		return true
	}
	number, isNumber := value.(float64)
	whole := isNumber && number == math.Trunc(number) && math.Abs(number) < 1<<31
	name, isText := value.(string)
	switch s := s.(type) {
	case kind:
		_, isTruth := value.(bool)
		return s == aText && isText || s == aWhole && whole || s == aTruth && isTruth || s == aTextOrWhole && (whole || isText) ||
			slices.Contains(words[s], name)
	case list:
		items, ok := value.([]any)
		for _, item := range items {
			ok = ok && fits(item, s.of)
		}
		return ok
	case each:
		inner, ok := value.(map[string]any)
		for _, item := range inner {
			ok = ok && fits(item, s.of)
		}
		return ok
	case needs:
		inner, _ := value.(map[string]any)
		for _, name := range s.names {
			if inner[name] == nil {
				return false
			}
		}
		return fits(value, s.fields)
	case counted:
		inner, _ := value.(map[string]any)
		count := 0
		for name := range s.fields {
			if inner[name] != nil {
				count++
			}
		}
		return s.least <= count && (s.most < 0 || count <= s.most) && fits(value, s.fields)
	case fields:
		inner, ok := value.(map[string]any)
		for name, of := range s {
			ok = ok && fits(inner[name], of)
		}
		return ok
	}
	return false
}
