package identity

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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
	`!kubevirt\.io/migrationTargetNodeName$`,
	`!kubevirt\.io/outdatedLauncherImage$`, // of all that ran when KubeVirt was upgraded
	`!kubevirt\.io/migration-target-start-timestamp$`,
	`!vmi\.kubevirt\.io/id$`,
	`!vm\.kubevirt\.io/name$`, // stable over restarts and migrations, but one per machine
)

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

// keeps tells whether what a requirement asks about is left to the filter's labels: it is about no label of pods, or about
// one that counts.
func (f Filter) keeps(r Requirement) bool {
	source, key, _ := strings.Cut(r.Key, ":")
	return source != SourceK8s && source != SourceAny || f.Keeps(SourceK8s, key)
}

// Sees tells whether the filter keeps every label that a selector asks about, so that identities and templates of pods
// tell which pods it chooses. A virtual machine's name is known from the machine.
func (f Filter) Sees(s Selector) bool {
	return !slices.ContainsFunc(s.requirements, func(r Requirement) bool {
		return !f.keeps(r) && !strings.HasSuffix(r.Key, ":"+LabelVMName)
	})
}
