package labelindex_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/labelindex"
)

var (
	keys   = []string{"app", "tier", identity.LabelNamespace, identity.LabelCluster}
	values = []string{"", "a", "b"}
)

var genLabels = rapid.Custom(func(t *rapid.T) identity.Labels {
	labels := map[string]string{}
	for range rapid.IntRange(0, 5).Draw(t, "labels") {
		source := rapid.SampledFrom([]string{"k8s:", "cloud:"}).Draw(t, "source")
		labels[source+rapid.SampledFrom(keys).Draw(t, "key")] = rapid.SampledFrom(values).Draw(t, "value")
	}
	return identity.NewLabels(labels)
})

var genSelector = rapid.Custom(func(t *rapid.T) identity.Selector {
	var list []identity.Requirement
	for range rapid.IntRange(0, 4).Draw(t, "requirements") {
		r := identity.Requirement{
			Key:      rapid.SampledFrom([]string{"k8s:", "any:"}).Draw(t, "source") + rapid.SampledFrom(keys).Draw(t, "key"),
			Operator: rapid.SampledFrom([]identity.Operator{identity.In, identity.NotIn, identity.Exists, identity.DoesNotExist, identity.Same}).Draw(t, "operator"),
		}
		if r.Operator == identity.In || r.Operator == identity.NotIn {
			r.Values = rapid.SliceOfN(rapid.SampledFrom(values), 0, 2).Draw(t, "values")
		}
		list = append(list, r)
	}
	return identity.NewSelector(list...)
})

func TestALabelSetThatIsChosenHasAKeyOfTheSelector(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, subject := genLabels.Draw(t, "labels"), genLabels.Draw(t, "subject")
		s := genSelector.Draw(t, "selector")
		named := labelindex.Selecting(l)
		for _, s := range []identity.Selector{s, s.For(subject)} {
			found := slices.ContainsFunc(labelindex.OfSelector(s), func(k labelindex.Key) bool { return slices.Contains(named, k) })
			if s.Matches(l) && !found {
				t.Fatalf("%s chooses %s, but has the keys %q, and that has %q", s, l, labelindex.OfSelector(s), named)
			}
			below := slices.ContainsFunc(labelindex.OfSelector(s), func(k labelindex.Key) bool {
				return k == labelindex.Any || slices.ContainsFunc(labelindex.OfLabels(l), func(f labelindex.Key) bool { return strings.HasPrefix(string(f), k.Prefix()) })
			})
			if s.Matches(l) && !below {
				t.Fatalf("%s chooses %s, and looks below %q, but that has %q", s, l, labelindex.OfSelector(s), labelindex.OfLabels(l))
			}
		}
	})
}

func TestASelectorIsFiledUnderWhatFewestHave(t *testing.T) {
	s := identity.NewSelector(
		identity.Requirement{Key: "k8s:" + identity.LabelNamespace, Operator: identity.In, Values: []string{"shop"}},
		identity.Requirement{Key: "k8s:" + identity.LabelCluster, Operator: identity.In, Values: []string{"default"}},
		identity.Requirement{Key: "app", Operator: identity.In, Values: []string{"web"}},
	)
	of := func(app, namespace string) identity.Labels {
		return identity.ForPod(identity.Filter{}, "default", namespace, "sa", map[string]string{"app": app}, nil)
	}
	for _, x := range []struct {
		labels identity.Labels
		found  bool
	}{{of("web", "shop"), true}, {of("web", "other"), false}, {of("api", "shop"), false}} {
		named := labelindex.Selecting(x.labels)
		if found := slices.ContainsFunc(labelindex.OfSelector(s), func(k labelindex.Key) bool { return slices.Contains(named, k) }); found != x.found {
			t.Errorf("%s: found %v, want %v", x.labels, found, x.found)
		}
	}
	if list := labelindex.OfSelector(identity.Selector{}); len(list) != 0 {
		t.Errorf("a selector that chooses nothing is filed under %q", list)
	}
	if list := labelindex.OfSelector(identity.NewSelector()); !slices.Equal(list, []labelindex.Key{labelindex.Any}) {
		t.Errorf("a selector that chooses everything is filed under %q", list)
	}
}
