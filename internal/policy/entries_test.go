package policy

import (
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/identity"
)

var (
	everyone = NewSelector()
	backends = NewSelector(Requirement{"tier", In, []string{"back"}})
	webs     = NewSelector(Requirement{"k8s:app", In, []string{"web"}})
)

func cnp(name string) Origin {
	return Origin{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: name}
}

func TestEntriesReadAsTheRulesMean(t *testing.T) {
	web := Term{Path: "ingress[0]", Peers: []Selector{webs}, Ports: []Port{OnePort(TCP, 80)}}
	tests := []struct {
		name  string
		rules []Rule
		want  string
	}{
		{"no rule leaves both directions open", nil, `
			ingress any any allow (all)
			egress any any allow (all)`},
		{"a rule that allows isolates, lets its peers in, and the node's probes", []Rule{
			{Origin: cnp("a"), Subject: everyone, Ingress: []Term{web}, DefaultDenyIngress: true},
		}, `
			ingress any any deny-implicit by cnp shop/a (none)
			ingress host any allow (l3-only)
			ingress 300 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			ingress 303 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			egress any any allow (all)`},
		{"deny of a whole protocol leaves no allowed port of that peer, and bites without isolation", []Rule{
			{Origin: cnp("a"), Subject: everyone, Ingress: []Term{web}},
			{Origin: cnp("b"), Subject: everyone, IngressDeny: []Term{{Path: "ingressDeny[0]", Peers: []Selector{backends}, Ports: []Port{AllPorts(TCP)}}}},
		}, `
			ingress any any allow (all)
			ingress 300 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			ingress 301 tcp deny by cnp shop/b ingressDeny[0] (l3-proto)
			ingress 302 tcp deny by cnp shop/b ingressDeny[0] (l3-proto)
			ingress 303 tcp deny by cnp shop/b ingressDeny[0] (l3-proto)
			egress any any allow (all)`},
		{"deny for anybody leaves out what a peer was allowed there, not what it was allowed around it", []Rule{
			{Origin: cnp("a"), Subject: everyone, DefaultDenyIngress: true, Ingress: []Term{web, {Path: "ingress[1]", Peers: []Selector{webs}, Ports: []Port{AllPorts(UDP)}}}},
			{Origin: cnp("b"), Subject: everyone, IngressDeny: []Term{
				{Path: "ingressDeny[0]", AnyPeer: true, Ports: []Port{AllPorts(TCP), OnePort(UDP, 53)}},
			}},
		}, `
			ingress any any deny-implicit by cnp shop/a (none)
			ingress any tcp deny by cnp shop/b ingressDeny[0] (proto-only)
			ingress any udp/53 deny by cnp shop/b ingressDeny[0] (l4-only)
			ingress host any allow (l3-only)
			ingress 300 udp allow by cnp shop/a ingress[1] (l3-proto)
			ingress 303 udp allow by cnp shop/a ingress[1] (l3-proto)
			egress any any allow (all)`},
		{"rules that say the same share an entry", []Rule{
			{Origin: cnp("b"), Subject: everyone, Ingress: []Term{web}},
			{Origin: cnp("a"), Subject: everyone, Ingress: []Term{web, web}},
		}, `
			ingress any any allow (all)
			ingress 300 tcp/80 allow by cnp shop/a ingress[0], cnp shop/b ingress[0] (l3-l4)
			ingress 303 tcp/80 allow by cnp shop/a ingress[0], cnp shop/b ingress[0] (l3-l4)
			egress any any allow (all)`},
		{"a range is a few prefixes, and a named port is what each peer says it is", []Rule{
			{Origin: cnp("a"), Subject: everyone, DefaultDenyEgress: true, Egress: []Term{
				{Path: "egress[0]", AnyPeer: true, Ports: []Port{{Protocol: TCP, First: 1023, Last: 2047}, ICMPType(ICMP, 8)}},
				{Path: "egress[1]", Peers: []Selector{backends}, Ports: []Port{{Name: "http"}}},
			}},
		}, `
			ingress any any allow (all)
			egress any any deny-implicit by cnp shop/a (none)
			egress any icmp/8 allow by cnp shop/a egress[0] (l4-only)
			egress any tcp/1023 allow by cnp shop/a egress[0] (l4-only)
			egress any tcp/1024-2047 allow by cnp shop/a egress[0] (l4-only)
			egress 301 tcp/81 allow by cnp shop/a egress[1] (l3-l4)
			egress 301 udp/85 allow by cnp shop/a egress[1] (l3-l4)
			egress 302 tcp/80 allow by cnp shop/a egress[1] (l3-l4)
			egress 302 tcp/1024 allow by cnp shop/a egress[0], cnp shop/a egress[1] (l3-l4)`},
		{"a term without ports or without peers opens nothing", []Rule{
			{
				Origin: cnp("a"), Subject: everyone, DefaultDenyIngress: true, DefaultDenyEgress: true,
				Ingress: []Term{{AnyPeer: true}, {Ports: []Port{AnyPort}}, {Peers: []Selector{{}}, Ports: []Port{AnyPort}}},
			},
			{Origin: cnp("b"), Ingress: []Term{{AnyPeer: true, Ports: []Port{AnyPort}}}}, // no subject either
		}, `
			ingress any any deny-implicit by cnp shop/a (none)
			ingress host any allow (l3-only)
			egress any any deny-implicit by cnp shop/a (none)`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var have []string
			for _, e := range Entries(test.rules, Subject{Labels: world[302]}, maps.All(world), peerPorts, Options{}) {
				have = append(have, fmt.Sprintf("%s (%s)", e, e.Match))
			}
			want := strings.ReplaceAll(strings.TrimSpace(test.want), "\t", "")
			if strings.Join(have, "\n") != want {
				t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), want)
			}
		})
	}
}

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
		if have := NewSelector(test.r).Matches(world[300]); have != test.want {
			t.Errorf("%s: %v", test.r, have)
		}
	}
	if (Selector{}).Matches(world[300]) {
		t.Error("the zero selector chooses somebody")
	}
	if !everyone.Matches(identity.Labels{}) {
		t.Error("a selector without requirements does not choose everybody")
	}
}

func TestSameIsWhatTheSubjectHas(t *testing.T) {
	same := NewSelector(Requirement{"k8s:tier", Same, nil}, Requirement{"role", Same, nil})
	for n, want := range map[identity.Number]bool{300: true, 301: false, 302: false, 303: false, identity.Host: false} {
		if have := same.For(world[300]).Matches(world[n]); have != want {
			t.Errorf("%d: %v", n, have)
		}
	}
	if same.Matches(world[300]) {
		t.Error("chooses somebody without a subject")
	}
	if !same.For(identity.Labels{}).Matches(world[identity.Host]) {
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

func TestListNumbersAreNeverZeroAndDependOnEveryField(t *testing.T) {
	seen := map[uint32]string{}
	for _, list := range [][]Origin{
		nil,
		{{}},
		{{}, {}},
		{cnp("a")},
		{cnp("b")},
		{cnp("a"), cnp("b")},
		{{Kind: "ab"}},
		{{Kind: "a", Namespace: "b"}},
		{{Kind: "a", Name: "b"}},
		{{Kind: "a", UID: "b"}},
		{{Kind: "a", Path: "b"}},
	} {
		n := ListNumber(list)
		if n == 0 || seen[n] != "" {
			t.Errorf("%v has number %d, as %s", list, n, seen[n])
		}
		seen[n] = fmt.Sprint(list)
	}
}

// BenchmarkEntries is one set in a big cluster: 10,000 identities, 20 rules that select the subject.
func BenchmarkEntries(b *testing.B) {
	var peers iter.Seq2[identity.Number, identity.Labels]
	all := map[identity.Number]identity.Labels{}
	for i := range 10_000 {
		all[identity.Number(256+i)] = identity.ForPod(identity.Filter{}, "default", fmt.Sprintf("ns-%d", i%100), "default",
			map[string]string{"app": fmt.Sprintf("app-%d", i%1000), "release": fmt.Sprint(i)}, map[string]string{"kubernetes.io/metadata.name": fmt.Sprintf("ns-%d", i%100)})
	}
	peers = maps.All(all)
	var rules []Rule
	for i := range 20 {
		rules = append(rules, Rule{Origin: cnp(fmt.Sprint(i)), Subject: everyone, DefaultDenyIngress: true, Ingress: []Term{{
			Peers: []Selector{NewSelector(Requirement{"k8s:" + identity.LabelNamespace, In, []string{fmt.Sprintf("ns-%d", i)}}, Requirement{"app", Exists, nil})},
			Ports: []Port{OnePort(TCP, 80), OnePort(TCP, 443)},
		}}})
	}
	for b.Loop() {
		Entries(rules, Subject{}, peers, nil, Options{})
	}
}
