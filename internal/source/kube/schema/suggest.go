package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/source/kube/rule"
)

// otherLanguage is what fields of one language are in the other.
var otherLanguage = map[string]struct{ language, here string }{
	"podSelector":       {rule.KindKubernetes, "endpointSelector, or fromEndpoints and toEndpoints of an entry"},
	"namespaceSelector": {rule.KindKubernetes, "k8s:io.kubernetes.pod.namespace or io.cilium.k8s.namespace.labels.KEY in the selector"},
	"policyTypes":       {rule.KindKubernetes, "leave it out: entries close a direction, ingress: [{}] closes it for all"},
	"ipBlock":           {rule.KindKubernetes, "fromCIDRSet or toCIDRSet"},
	"from":              {rule.KindKubernetes, "fromEndpoints, fromEntities or fromCIDR"},
	"to":                {rule.KindKubernetes, "toEndpoints, toEntities or toCIDR"},
	"ports":             {rule.KindKubernetes, "toPorts: [{ports: …}]"},
	"endpointSelector":  {rule.KindCilium, "podSelector"},
	"fromEndpoints":     {rule.KindCilium, "from: [{podSelector: …}]"},
	"toEndpoints":       {rule.KindCilium, "to: [{podSelector: …}]"},
	"fromCIDR":          {rule.KindCilium, "from: [{ipBlock: {cidr: …}}]"},
	"toCIDR":            {rule.KindCilium, "to: [{ipBlock: {cidr: …}}]"},
	"toPorts":           {rule.KindCilium, "ports"},
	"ingressDeny":       {rule.KindCilium, "leave it out: a NetworkPolicy cannot deny, only not allow"},
	"egressDeny":        {rule.KindCilium, "leave it out: a NetworkPolicy cannot deny, only not allow"},
}

// otherTiers is what fields of the other languages are in ClusterNetworkPolicy.
var otherTiers = map[string]struct{ language, here string }{
	"podSelector":      {rule.KindKubernetes, "subject, or from and to of a rule: {pods: {namespaceSelector: …, podSelector: …}}"},
	"policyTypes":      {rule.KindKubernetes, "leave it out: this kind isolates nobody, only its rules decide"},
	"ipBlock":          {rule.KindKubernetes, "networks: [CIDR]"},
	"ports":            {rule.KindKubernetes, "protocols: [{tcp: {destinationPort: {number: …}}}]"},
	"endpointSelector": {rule.KindCilium, "subject: {pods: {namespaceSelector: …, podSelector: …}}"},
	"fromEndpoints":    {rule.KindCilium, "from: [{pods: {namespaceSelector: …, podSelector: …}}]"},
	"toEndpoints":      {rule.KindCilium, "to: [{pods: {namespaceSelector: …, podSelector: …}}]"},
	"toCIDR":           {rule.KindCilium, "to: [{networks: [CIDR]}]"},
	"toFQDNs":          {rule.KindCilium, "to: [{domainNames: […]}]"},
	"toPorts":          {rule.KindCilium, "protocols: [{tcp: {destinationPort: {number: …}}}]"},
	"ingressDeny":      {rule.KindCilium, "ingress, with action: Deny"},
	"egressDeny":       {rule.KindCilium, "egress, with action: Deny"},
}

// unknown notes a field that the schema does not have, and guesses what was meant: a field with a similar name, one of a
// mapping further out or further in, a label that lacks its matchLabels, a word of the other language.
func (v *validation) unknown(s *schema, key string, value any, above []level, field string) {
	parent := strings.TrimSuffix(field, "."+key)
	if parent == field {
		parent = "the object"
	}
	does := fmt.Sprintf("%s has no field %s: kubectl refuses it, and an API server that takes it drops it, as if it were not there", parent, key)
	meant, fix := "", ""
	_, scalar := value.(string)
	near := Closest(key, slices.Collect(maps.Keys(s.Properties)))
	if near != "" && scalar && s.Properties[near].Type != "string" {
		near = ""
	}
	other, foreign := otherLanguage[key]
	if v.kind == rule.KindClusterNetwork {
		other, foreign = otherTiers[key]
	} else {
		foreign = foreign && (other.language == rule.KindKubernetes) != (v.kind == rule.KindKubernetes)
	}
	if near != "" {
		meant, fix = near, near+":"
	} else if scalar && s.Properties["matchLabels"] != nil {
		meant, fix = "a label to match", fmt.Sprintf("matchLabels: {%s: %v}", key, value)
	} else if out := further(key, above); out != "" {
		meant, fix = fmt.Sprintf("%s of %s", key, out), fmt.Sprintf("move it out, below %s", out)
	} else if in := s.find(key, 3); in != "" {
		meant, fix = fmt.Sprintf("%s.%s", parent, in), fmt.Sprintf("write it as %s", in)
	} else if foreign {
		meant, fix = fmt.Sprintf("%s of a %s", key, other.language), other.here
	}
	v.add(Unknown, field, does, meant, fix)
}

// further finds the innermost mapping around that has a field of this name.
func further(key string, above []level) string {
	for i := len(above) - 2; i >= 0; i-- {
		if above[i].schema.Properties[key] != nil {
			return above[i].field
		}
	}
	return ""
}

// find looks for a field of this name further in: rules.http, ports[].port.
func (s *schema) find(key string, depth int) string {
	if s == nil || depth == 0 {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		next, suffix := s.Properties[name], ""
		if next.Items != nil {
			next, suffix = next.Items, "[]"
		}
		if next.Properties[key] != nil {
			return name + suffix + "." + key
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		next, suffix := s.Properties[name], ""
		if next.Items != nil {
			next, suffix = next.Items, "[]"
		}
		if in := next.find(key, depth-1); in != "" {
			return name + suffix + "." + in
		}
	}
	return ""
}

// Closest is the candidate that a word is probably a misspelling of, or empty.
func Closest(word string, candidates []string) string {
	best, distance := "", 3
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if strings.EqualFold(word, candidate) {
			return candidate
		}
		if d := edits(strings.ToLower(word), strings.ToLower(candidate)); d < distance && d < (len(word)+1)/2 {
			best, distance = candidate, d
		}
	}
	return best
}

// edits is the Levenshtein distance: letters to add, take away or change.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
