package identity

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Filter chooses the labels of a pod that make its identity. The zero value is the default filter.
//
// Each pattern includes or excludes labels whose key its regular expression matches at the start. Where an including
// and an excluding pattern both match, the including one must match more characters. A label that no pattern matches
// is in, unless the user gave an including pattern: then only what is included counts.
type Filter struct {
	user      []pattern
	allowList bool
	named     bool
}

type pattern struct {
	source  string // empty: every source
	exclude bool
	key     *regexp.Regexp
}

// Labels that change with every replica, restart or migration would give each pod an identity of its own.
var defaults = mustParse(
	`reserved:.*`,
	`io\.kubernetes\.pod\.namespace`,
	`io\.cilium\.k8s\.namespace\.labels`,
	`app\.kubernetes\.io`,
	`io\.cilium\.k8s\.policy\.cluster`,
	`io\.cilium\.k8s\.policy\.serviceaccount`,
	`!io\.kubernetes`,
	`!kubernetes\.io`,
	`!statefulset\.kubernetes\.io/pod-name`,
	`!apps\.kubernetes\.io/pod-index`,
	`!batch\.kubernetes\.io/job-completion-index`,
	`!batch\.kubernetes\.io/controller-uid`,
	`!.*beta\.kubernetes\.io`,
	`!k8s\.io`,
	`!pod-template-generation`,
	`!pod-template-hash`,
	`!controller-revision-hash`,
	`!annotation.*`,
	`!controller-uid`,
	`!etcd_node`,
	// KubeVirt: one per instance or per migration.
	`!kubevirt\.io/created-by$`,
	`!kubevirt\.io/nodeName$`,
	`!kubevirt\.io/migrationJobUID$`,
	`!kubevirt\.io/migration-target-start-timestamp$`,
	`!vmi\.kubevirt\.io/id$`,
)

// LabelVMName is the label with a virtual machine's name. It is stable over restarts and migrations, but one per
// machine: it enters identities only while a policy selects it (Filter.WithVMName).
const LabelVMName = "vm.kubevirt.io/name"

func mustParse(texts ...string) []pattern {
	patterns := make([]pattern, len(texts))
	for i, text := range texts {
		p, err := parsePattern(text)
		if err != nil {
			panic(err)
		}
		patterns[i] = p
	}
	return patterns
}

// NewFilter appends a user's patterns (the words of setting `labels`) to the default filter. A pattern is
// [source:][!]regexp; with ! it excludes. The filter leaves out patterns that do not parse; the error names each.
func NewFilter(patterns []string) (Filter, error) {
	var f Filter
	var errs []error
	for _, text := range patterns {
		p, err := parsePattern(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.user = append(f.user, p)
		f.allowList = f.allowList || !p.exclude
	}
	return f, errors.Join(errs...)
}

// WithVMName is the filter that lets the name of a KubeVirt virtual machine into identities.
func (f Filter) WithVMName() Filter {
	f.named = true
	return f
}

func parsePattern(text string) (pattern, error) {
	rest, exclude := strings.CutPrefix(text, "!")
	source, key, ok := strings.Cut(rest, ":")
	if !ok {
		source, key = "", rest
	}
	if after, negated := strings.CutPrefix(key, "!"); negated {
		key, exclude = after, true
	}
	if key == "" {
		return pattern{}, fmt.Errorf("parse label pattern %q: nothing stands after the source; write source:regexp or source:!regexp", text)
	}
	expr, err := regexp.Compile("^(?:" + key + ")")
	if err != nil {
		return pattern{}, fmt.Errorf("parse label pattern %q: %w", text, err)
	}
	return pattern{source: source, exclude: exclude, key: expr}, nil
}

// Keeps tells whether a label with this source and key counts.
func (f Filter) Keeps(source, key string) bool {
	if key == LabelVMName && source == SourceK8s {
		return f.named
	}
	included, excluded := 0, 0 // lengths: the longest including match, the shortest excluding one
	for _, patterns := range [2][]pattern{defaults, f.user} {
		for _, p := range patterns {
			if p.source != "" && p.source != source {
				continue
			}
			match := p.key.FindStringIndex(key)
			switch {
			case match == nil:
			case !p.exclude:
				included = max(included, match[1])
			case excluded == 0 || match[1] < excluded:
				excluded = match[1]
			}
		}
	}
	return included > excluded || excluded == 0 && !f.allowList
}

// Keys of labels that say where a pod lives. No pod gets them by labelling itself so.
const (
	LabelNamespace       = "io.kubernetes.pod.namespace"
	LabelNamespacePrefix = "io.cilium.k8s.namespace.labels." // followed by the key of a label of the namespace
	LabelServiceAccount  = "io.cilium.k8s.policy.serviceaccount"
	LabelCluster         = "io.cilium.k8s.policy.cluster"
)

// claimed begins the keys that only the cluster may give out.
const claimed = "io.cilium.k8s."

// ForPod gives the identity labels of a pod: its labels, its namespace and that namespace's labels, its service
// account and its cluster, all with source k8s, less what the filter leaves out. An empty service account or cluster
// gives no label.
func ForPod(f Filter, cluster, namespace, serviceAccount string, podLabels, namespaceLabels map[string]string) Labels {
	labels := make(map[string]string, len(podLabels)+len(namespaceLabels)+3)
	add := func(key, value string) {
		if f.Keeps(SourceK8s, key) {
			labels[SourceK8s+":"+key] = value
		}
	}
	for key, value := range podLabels {
		if key != LabelNamespace && !strings.HasPrefix(key, claimed) {
			add(key, value)
		}
	}
	for key, value := range namespaceLabels {
		add(LabelNamespacePrefix+key, value)
	}
	add(LabelNamespace, namespace)
	if serviceAccount != "" {
		add(LabelServiceAccount, serviceAccount)
	}
	if cluster != "" {
		add(LabelCluster, cluster)
	}
	return NewLabels(labels)
}
