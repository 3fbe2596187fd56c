package test

import (
	"maps"
	"slices"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	registry "weftnet.io/weftnet/internal/kind"
)

// granted are the resources ("group/resource") that rules give a verb on, of all names.
func granted(rules []rbacv1.PolicyRule, verb string) map[string]bool {
	out := map[string]bool{}
	for _, r := range rules {
		if !slices.Contains(r.Verbs, verb) || len(r.ResourceNames) > 0 {
			continue
		}
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				out[group+"/"+resource] = true
			}
		}
	}
	return out
}

func equal(t *testing.T, what string, have, want map[string]bool) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !want[name] {
			t.Errorf("%s: the chart has %s, which the registry of kinds does not ask for", what, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !have[name] {
			t.Errorf("%s: the chart lacks %s", what, name)
		}
	}
}

// written are kinds that sinks look through before they write them: they list them now and then, and watch none.
var written = map[string][]string{
	"cilium":          {"weftnet.io/addressblocks", "whereabouts.cni.cncf.io/ippools"},
	"cilium-operator": {"weftnet.io/addressblocks", "weftnet.io/stickyaddresses", "k8s.cni.cncf.io/ipamclaims", "weftnet.io/podinterfaces", "whereabouts.cni.cncf.io/ippools"},
}

func TestAgentAndOperatorMayReadTheKindsThatTheyReadAndNoOthers(t *testing.T) {
	objects := mustRender(t, "")
	for role, reader := range map[string]registry.Reader{"cilium": registry.Agent, "cilium-operator": registry.Operator} {
		want := map[string]bool{}
		for k := range registry.ReadBy(reader) {
			if k.Only.Name == "" {
				want[k.Group.Group+"/"+k.Resource] = true
			}
		}
		rules := find[*rbacv1.ClusterRole](t, objects, "ClusterRole/"+role).Rules
		equal(t, role+" may watch", granted(rules, "watch"), want)
		for _, name := range written[role] {
			want[name] = true
		}
		equal(t, role+" may list", granted(rules, "list"), want)
	}
}

func TestTheObjectThatCountsAloneIsReadByItsNameAlone(t *testing.T) {
	rules := find[*rbacv1.Role](t, mustRender(t, ""), "Role/cilium-config").Rules
	for k := range registry.ReadBy(registry.Agent | registry.Operator) {
		if k.Only.Name != "" && !slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
			return slices.Equal(r.ResourceNames, []string{k.Only.Name}) && slices.Equal(r.Resources, []string{k.Resource}) && slices.Equal(r.APIGroups, []string{k.Group.Group})
		}) {
			t.Errorf("no rule gives %s %s/%s", k.Name, k.Only.Namespace, k.Only.Name)
		}
	}
}

func TestTheOperatorMayWriteTheStatusOfWhatItJudges(t *testing.T) {
	want := map[string]bool{"cilium.io/ciliumnodes/status": true} // of its own
	for k := range registry.ReadBy(registry.Operator) {
		if k.Judged() && k.Conditions != nil {
			want[k.Group.Group+"/"+k.Resource+"/status"] = true
		}
	}
	have := granted(find[*rbacv1.ClusterRole](t, mustRender(t, ""), "ClusterRole/cilium-operator").Rules, "update")
	maps.DeleteFunc(have, func(name string, _ bool) bool { return len(name) < 7 || name[len(name)-7:] != "/status" })
	equal(t, "the operator may update", have, want)
}

func TestTheWebhookIsAskedAboutAllThatIsReviewed(t *testing.T) {
	have, want := map[string]bool{}, map[string]bool{}
	hooks := find[*admissionregistrationv1.ValidatingWebhookConfiguration](t, mustRender(t, "webhook: {enabled: true}"), "ValidatingWebhookConfiguration/weft-policies")
	for _, hook := range hooks.Webhooks {
		for _, r := range hook.Rules {
			for _, resource := range r.Resources {
				have[r.APIGroups[0]+"/"+r.APIVersions[0]+" "+resource] = true
			}
		}
	}
	for k := range registry.ReadBy(registry.Webhook) {
		want[k.GroupVersion.String()+" "+k.Resource] = true
	}
	equal(t, "the webhook", have, want)
}
