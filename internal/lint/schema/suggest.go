package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/language"
)

// otherLanguage is what fields of one language are in the other.
var otherLanguage = map[string]struct{ language, here string }{
	"podSelector":       {language.KindKubernetes, "endpointSelector, or fromEndpoints and toEndpoints of an element"},
	"namespaceSelector": {language.KindKubernetes, "k8s:io.kubernetes.pod.namespace or io.cilium.k8s.namespace.labels.KEY in the selector"},
	"policyTypes":       {language.KindKubernetes, "leave it out: elements close a direction, ingress: [{}] closes it for all"},
	"ipBlock":           {language.KindKubernetes, "fromCIDRSet or toCIDRSet"},
	"from":              {language.KindKubernetes, "fromEndpoints, fromEntities or fromCIDR"},
	"to":                {language.KindKubernetes, "toEndpoints, toEntities or toCIDR"},
	"ports":             {language.KindKubernetes, "toPorts: [{ports: …}]"},
	"endpointSelector":  {language.KindCilium, "podSelector"},
	"fromEndpoints":     {language.KindCilium, "from: [{podSelector: …}]"},
	"toEndpoints":       {language.KindCilium, "to: [{podSelector: …}]"},
	"fromCIDR":          {language.KindCilium, "from: [{ipBlock: {cidr: …}}]"},
	"toCIDR":            {language.KindCilium, "to: [{ipBlock: {cidr: …}}]"},
	"toPorts":           {language.KindCilium, "ports"},
	"ingressDeny":       {language.KindCilium, "leave it out: a NetworkPolicy cannot deny, only not allow"},
	"egressDeny":        {language.KindCilium, "leave it out: a NetworkPolicy cannot deny, only not allow"},
}

// otherTiers is what fields of the other languages are in ClusterNetworkPolicy.
var otherTiers = map[string]struct{ language, here string }{
	"podSelector":      {language.KindKubernetes, "subject, or from and to of a rule: {pods: {namespaceSelector: …, podSelector: …}}"},
	"policyTypes":      {language.KindKubernetes, "leave it out: this kind isolates nothing, only its rules decide"},
	"ipBlock":          {language.KindKubernetes, "networks: [CIDR]"},
	"ports":            {language.KindKubernetes, "protocols: [{tcp: {destinationPort: {number: …}}}]"},
	"endpointSelector": {language.KindCilium, "subject: {pods: {namespaceSelector: …, podSelector: …}}"},
	"fromEndpoints":    {language.KindCilium, "from: [{pods: {namespaceSelector: …, podSelector: …}}]"},
	"toEndpoints":      {language.KindCilium, "to: [{pods: {namespaceSelector: …, podSelector: …}}]"},
	"toCIDR":           {language.KindCilium, "to: [{networks: [CIDR]}]"},
	"toFQDNs":          {language.KindCilium, "to: [{domainNames: […]}]"},
	"toPorts":          {language.KindCilium, "protocols: [{tcp: {destinationPort: {number: …}}}]"},
	"ingressDeny":      {language.KindCilium, "ingress, with action: Deny"},
	"egressDeny":       {language.KindCilium, "egress, with action: Deny"},
}

// sayings are words for what entities are, by other names. The value is what stands for it: an entity, or two.
var sayings = map[string]string{
	"node": "host, remote-node", "nodes": "host, remote-node", "remote": "remote-node", "local": "host", "localhost": "host",
	"internet": "world", "external": "world", "outside": "world", "public": "world",
	"apiserver": "kube-apiserver", "api-server": "kube-apiserver", "kube-api": "kube-apiserver", "kubernetes": "kube-apiserver",
	"any": "all", "everybody": "all", "everyone": "all", "*": "all", "internal": "cluster", "pods": "cluster",
}

// entity guesses which of some values was meant by a word, and how to write it.
func entity(word string, values []string) (meant, fix string) {
	meant = Closest(word, values)
	if said := sayings[strings.ToLower(word)]; said != "" && slices.Contains(values, "remote-node") {
		meant = said
	}
	if meant == "none" && !strings.EqualFold(word, meant) {
		return "", "" // it would choose no peer
	}
	return meant, meant
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
	if v.kind == language.KindClusterNetwork {
		other, foreign = otherTiers[key]
	} else {
		foreign = foreign && (other.language == language.KindKubernetes) != (v.kind == language.KindKubernetes)
	}
	if foreign && near != "" && edits(strings.ToLower(key), strings.ToLower(near)) > 1 {
		near = "" // it is a word of its own
	}
	if key == "podSelector" && s.Properties["endpointSelector"] != nil {
		other.here = "endpointSelector:"
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

// Closest is the candidate that a word is surely a misspelling of: one letter in a short word, two in a long one, and no other
// candidate as near. Empty: none; a wrong guess is worse.
func Closest(word string, candidates []string) string {
	best, distance, tie := "", 2+len(word)/6, false
	if distance > 3 {
		distance = 3
	}
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if strings.EqualFold(word, candidate) {
			return candidate
		}
		switch d := edits(strings.ToLower(word), strings.ToLower(candidate)); {
		case d < distance && d < (len(word)+1)/2:
			best, distance, tie = candidate, d, false
		case d == distance && best != "" && candidate != best:
			tie = true
		}
	}
	if tie {
		return ""
	}
	return best
}

// edits counts letters to add, take away or change, and neighbours to exchange.
func edits(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)} // of i-2, i-1, i
	for j := range rows[2] {
		rows[2][j] = j
	}
	for i := 1; i <= len(a); i++ {
		rows[0], rows[1], rows[2] = rows[1], rows[2], rows[0]
		rows[2][0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[2][j] = min(rows[1][j]+1, rows[2][j-1]+1, rows[1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[2][j] = min(rows[2][j], rows[0][j-2]+1)
			}
		}
	}
	return rows[2][len(b)]
}
