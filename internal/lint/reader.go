package lint

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/lint/advice"
	"weftnet.io/weftnet/internal/policy/gap"
)

// kinds of gaps, as findings.
var gaps = map[gap.Reason]struct {
	severity Severity
	check    string
}{
	gap.Invalid: {Error, "rejected"}, gap.NotImplemented: {Warning, "partial"}, gap.NotEnabled: {Warning, "setting"},
	gap.NotFound: {Warning, "reference"}, gap.Superseded: {Warning, "superseded"}, gap.Ignored: {Warning, "ignored"},
	gap.Audited: {Hint, "mode"}, gap.Staged: {Hint, "mode"},
}

// reader passes on what keeps an object from being in force as it stands, with advice where there is some.
func (c *checker) reader(o *object) {
	c.pass(o, slices.Concat(o.row.Problems, gap.Of(o.row.Rules, c.world)))
}

func (c *checker) pass(o *object, list []gap.Gap) {
	for _, g := range list {
		kind := gaps[g.Reason]
		if g.Reason == gap.NotEnabled && c.World == nil {
			kind.severity = Hint // it may be enabled
		}
		if strings.HasPrefix(g.Message, "an empty list restricts nothing") {
			kind.check = "empty-list"
		}
		meant, fix := o.advice(g)
		c.add(o, kind.severity, kind.check, g.Field, g.Message, meant, fix)
		c.findings[len(c.findings)-1].Reason = g.Reason
	}
}

// advice is what to do about a gap.
func (o *object) advice(g gap.Gap) (meant, fix string) {
	if strings.HasPrefix(g.Message, "rule must have at least one of") {
		return o.nothingAt(g.Field)
	}
	return advice.For(g)
}

// nothingAt is the advice for a rule without elements: most often an empty list that should deny all.
func (o *object) nothingAt(field string) (meant, fix string) {
	for _, r := range o.rules {
		if r.Field != field {
			continue
		}
		var lists []string
		if r.Ingress != nil {
			lists = append(lists, "ingress")
		}
		if r.Egress != nil {
			lists = append(lists, "egress")
		}
		if len(lists) > 0 {
			return "deny all " + strings.Join(lists, " and "), strings.Join(lists, ": [{}], ") + ": [{}]"
		}
	}
	return "", "add ingress or egress; ingress: [{}] denies all that comes in"
}

// namespace notes an object that lands wherever kubectl happens to look.
func (c *checker) namespace(o *object) {
	if o.Namespace != "" || clusterScoped(o.Kind) || !slices.ContainsFunc(c.objects, func(other *object) bool { return other.Namespace != "" }) {
		return // where all go together, kustomize or kubectl -n says where
	}
	c.add(o, Hint, "namespace", "metadata", "it names no namespace: it goes where kubectl -n or the context says, and selects pods there; here it is read as one of "+metav1.NamespaceDefault,
		"", "metadata: {namespace: …}")
}

// verb is what traffic of a direction does.
func verb(direction string) string {
	if direction == "ingress" {
		return "come in"
	}
	return "go out"
}
