package identity

import "testing"

var front = NewLabels(map[string]string{"k8s:app": "web", "k8s:tier": "front"})

func TestSelectorsFollowKubernetesOperators(t *testing.T) {
	tests := []struct {
		r    Requirement
		want bool // for k8s:app=web, k8s:tier=front
	}{
		{Requirement{"app", In, []string{"web", "api"}}, true},
		{Requirement{"any:app", In, []string{"api"}}, false},
		{Requirement{"k8s:app", NotIn, []string{"api"}}, true},
		{Requirement{"k8s:role", NotIn, []string{"api"}}, true},
		{Requirement{"k8s:role", In, nil}, false},
		{Requirement{"k8s:app", Exists, nil}, true},
		{Requirement{"reserved:app", Exists, nil}, false},
		{Requirement{"role", DoesNotExist, nil}, true},
		{Requirement{"app", DoesNotExist, nil}, false},
		{Requirement{"app", OperatorNone, nil}, false},
	}
	for _, test := range tests {
		if have := NewSelector(test.r).Matches(front); have != test.want {
			t.Errorf("%s: %v", test.r, have)
		}
	}
	if (Selector{}).Matches(front) {
		t.Error("the zero selector chooses a pod")
	}
	if !NewSelector().Matches(Labels{}) {
		t.Error("a selector without requirements does not choose every pod")
	}
}

func TestSameIsWhatTheSubjectHas(t *testing.T) {
	same := NewSelector(Requirement{"k8s:tier", Same, nil}, Requirement{"role", Same, nil})
	back := NewLabels(map[string]string{"k8s:app": "web", "k8s:tier": "back"})
	for peer, want := range map[Labels]bool{front: true, back: false, Reserved(Host): false} {
		if have := same.For(front).Matches(peer); have != want {
			t.Errorf("%s: %v", peer, have)
		}
	}
	if same.Matches(front) {
		t.Error("chooses a pod without a subject")
	}
	if !same.For(Labels{}).Matches(Reserved(Host)) {
		t.Error("two without the label are not the same")
	}
}

func TestEqualSelectorsPrintAlike(t *testing.T) {
	a := NewSelector(Requirement{"app", In, []string{"b", "a", "b"}}, Requirement{"tier", Exists, nil}, Requirement{"tier", Exists, nil})
	b := NewSelector(Requirement{"any:tier", Exists, nil}, Requirement{"any:app", In, []string{"a", "b"}})
	if a.String() != b.String() {
		t.Errorf("%s and %s", a, b)
	}
}
