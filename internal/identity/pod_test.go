package identity

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const podName = "statefulset.kubernetes.io/pod-name"

func member(i int) Pod {
	return Pod{Namespace: "shop", Labels: map[string]string{"app": "pg", podName: fmt.Sprint("pg-", i)}}
}

func asks(selectors ...Selector) Asking {
	return func(string, string) iter.Seq[Selector] { return slices.Values(selectors) }
}

func selector(r ...Requirement) Selector { return NewSelector(r...) }

// identities are those that many members of one StatefulSet have.
func identities(t *testing.T, asking Asking) map[Labels]int {
	found := map[Labels]int{}
	for i := range 1000 {
		labels, out := Identify(Filter{}, member(i), asking)
		found[labels]++
		if !slices.Equal(out, []string{podName}) {
			t.Fatalf("left out: %q", out)
		}
	}
	return found
}

func TestPodsThatNoPolicyTellsApartShareAnIdentity(t *testing.T) {
	app := Requirement{Key: "k8s:app", Operator: In, Values: []string{"pg"}}
	other := Requirement{Key: "k8s:app", Operator: In, Values: []string{"web"}}
	by := func(o Operator, values ...string) Requirement {
		return Requirement{Key: podName, Operator: o, Values: values}
	}
	for name, c := range map[string]struct {
		selectors []Selector
		want      int
	}{
		"no policy asks":                        {nil, 1},
		"two are named":                         {[]Selector{selector(app, by(In, "pg-0", "pg-7"))}, 3},
		"two are excepted":                      {[]Selector{selector(app, by(NotIn, "pg-0", "pg-7"))}, 3},
		"one is named that is not there":        {[]Selector{selector(app, by(In, "pg-x"))}, 1},
		"those of others are named":             {[]Selector{selector(other, by(In, "pg-0"))}, 1},
		"all that have the label":               {[]Selector{selector(by(Exists))}, 1},
		"all that do not have it":               {[]Selector{selector(by(DoesNotExist))}, 1},
		"all that have it, and one":             {[]Selector{selector(by(Exists)), selector(by(In, "pg-0"))}, 2},
		"all that have it, and one without any": {[]Selector{selector(by(Exists)), selector(by(In, ""))}, 1000},
	} {
		if have := identities(t, asks(c.selectors...)); len(have) != c.want {
			t.Errorf("%s: %d identities, want %d", name, len(have), c.want)
		}
	}
}

// The filter keeps numbers few; what policies mean does not depend on it.
func TestASelectorChoosesAPodByAllItsLabels(t *testing.T) {
	keys := []string{"app", podName, "pod-template-hash"}
	values := []string{"", "a", "b"}
	genSelector := rapid.Custom(func(t *rapid.T) Selector {
		var list []Requirement
		for range rapid.IntRange(0, 4).Draw(t, "requirements") {
			r := Requirement{
				Key:      rapid.SampledFrom([]string{"k8s:", "any:"}).Draw(t, "source") + rapid.SampledFrom(append(keys, LabelNamespacePrefix+"team")).Draw(t, "key"),
				Operator: rapid.SampledFrom([]Operator{In, NotIn, Exists, DoesNotExist, Same}).Draw(t, "operator"),
			}
			if r.Operator == In || r.Operator == NotIn {
				r.Values = rapid.SliceOfN(rapid.SampledFrom(values), 0, 2).Draw(t, "values")
			}
			list = append(list, r)
		}
		return NewSelector(list...)
	})
	genPod := rapid.Custom(func(t *rapid.T) Pod {
		p := Pod{Cluster: "default", Namespace: "shop", Labels: map[string]string{}}
		for _, key := range keys {
			if rapid.Bool().Draw(t, "has") {
				p.Labels[key] = rapid.SampledFrom(values).Draw(t, "value")
			}
		}
		if rapid.Bool().Draw(t, "team") {
			p.NamespaceLabels = map[string]string{"team": rapid.SampledFrom(values).Draw(t, "value")}
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		filter, err := NewFilter(rapid.SampledFrom([][]string{nil, {`!io\.cilium\.k8s\.namespace`}, {"k8s:app$"}}).Draw(t, "filter"))
		if err != nil {
			t.Fatal(err)
		}
		p, subject := genPod.Draw(t, "pod"), genPod.Draw(t, "subject").Whole()
		selectors := rapid.SliceOfN(genSelector, 1, 4).Draw(t, "selectors")
		labels, _ := Identify(filter, p, asks(selectors...))
		for _, s := range selectors {
			if s = s.For(subject); s.Matches(labels) != s.Matches(p.Whole()) {
				t.Fatalf("%s of %s: %v\nof the whole, %s: %v", s, labels, s.Matches(labels), p.Whole(), s.Matches(p.Whole()))
			}
		}
	})
}
