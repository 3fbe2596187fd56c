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
	everyone = identity.NewSelector()
	backends = identity.NewSelector(identity.Requirement{Key: "tier", Operator: identity.In, Values: []string{"back"}})
	webs     = identity.NewSelector(identity.Requirement{Key: "k8s:app", Operator: identity.In, Values: []string{"web"}})
)

func cnp(name string) Origin {
	return Origin{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: name}
}

func TestEntriesReadAsTheRulesMean(t *testing.T) {
	web := Term{Path: "ingress[0]", Peers: []identity.Selector{webs}, Ports: []Port{OnePort(TCP, 80)}}
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
			{Origin: cnp("b"), Subject: everyone, Ingress: []Term{{Action: ActionDeny, Path: "ingressDeny[0]", Peers: []identity.Selector{backends}, Ports: []Port{AllPorts(TCP)}}}},
		}, `
			ingress any any allow (all)
			ingress 300 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			ingress 301 tcp deny by cnp shop/b ingressDeny[0] (l3-proto)
			ingress 302 tcp deny by cnp shop/b ingressDeny[0] (l3-proto)
			ingress 303 tcp deny by cnp shop/b ingressDeny[0] (l3-proto)
			egress any any allow (all)`},
		{"deny for any peer leaves out what a peer was allowed there, not what it was allowed around it", []Rule{
			{Origin: cnp("a"), Subject: everyone, DefaultDenyIngress: true, Ingress: []Term{web, {Path: "ingress[1]", Peers: []identity.Selector{webs}, Ports: []Port{AllPorts(UDP)}}}},
			{Origin: cnp("b"), Subject: everyone, Ingress: []Term{
				{Action: ActionDeny, Path: "ingressDeny[0]", AnyPeer: true, Ports: []Port{AllPorts(TCP), OnePort(UDP, 53)}},
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
		{"a range is a few prefixes, and a named port is what each peer says it is, where pods of one do not agree each address", []Rule{
			{Origin: cnp("a"), Subject: everyone, DefaultDenyEgress: true, Egress: []Term{
				{Path: "egress[0]", AnyPeer: true, Ports: []Port{{Protocol: TCP, First: 1023, Last: 2047}, ICMPType(ICMP, 8)}},
				{Path: "egress[1]", Peers: []identity.Selector{backends}, Ports: []Port{{Name: "http"}}},
			}},
		}, `
			ingress any any allow (all)
			egress any any deny-implicit by cnp shop/a (none)
			egress any icmp/8 allow by cnp shop/a egress[0] (l4-only)
			egress any tcp/1023 allow by cnp shop/a egress[0] (l4-only)
			egress any tcp/1024-2047 allow by cnp shop/a egress[0] (l4-only)
			egress 301 tcp/81 allow by cnp shop/a egress[1] (l3-l4)
			egress 301 udp/85 allow by cnp shop/a egress[1] (l3-l4)
			egress 24310207 tcp/80 allow by cnp shop/a egress[1] (l3-l4)
			egress 24310207 udp/85 allow by cnp shop/a egress[1] (l3-l4)
			egress 29931078 tcp/80 allow by cnp shop/a egress[1] (l3-l4)
			egress 31223965 tcp/1024 allow by cnp shop/a egress[0], cnp shop/a egress[1] (l3-l4)`},
		{"a term without ports or without peers opens nothing", []Rule{
			{
				Origin: cnp("a"), Subject: everyone, DefaultDenyIngress: true, DefaultDenyEgress: true,
				Ingress: []Term{{AnyPeer: true}, {Ports: []Port{AnyPort}}, {Peers: []identity.Selector{{}}, Ports: []Port{AnyPort}}},
			},
			{Origin: cnp("b"), Ingress: []Term{{AnyPeer: true, Ports: []Port{AnyPort}}}}, // no subject either
		}, `
			ingress any any deny-implicit by cnp shop/a (none)
			ingress host any allow (l3-only)
			egress any any deny-implicit by cnp shop/a (none)`},
		{"an administrator's tier comes first, and what it passes on is the others' business; the baseline is for pods that nothing isolates", []Rule{
			{Origin: cnp("admin"), Tier: Admin, Subject: everyone, Ingress: []Term{
				{Path: "ingress[0]", Action: ActionPass, Rank: 2, Peers: []identity.Selector{webs}, Ports: []Port{OnePort(TCP, 80)}},
				{Path: "ingress[1]", Action: ActionDeny, Rank: 1, AnyPeer: true, Ports: []Port{AllPorts(TCP)}},
			}},
			{Origin: cnp("base"), Tier: Baseline, Subject: everyone, Ingress: []Term{
				{Path: "ingress[0]", Action: ActionDeny, Rank: 1, AnyPeer: true, Ports: []Port{AnyPort}},
			}},
		}, `
			ingress any any pass (all)
			egress any any pass (all)
			admin ingress any any pass (all)
			admin ingress any tcp deny by cnp shop/admin ingress[1] (proto-only)
			admin ingress host any pass (l3-only)
			admin ingress 300 tcp/80 pass by cnp shop/admin ingress[0] (l3-l4)
			admin ingress 303 tcp/80 pass by cnp shop/admin ingress[0] (l3-l4)
			admin egress any any pass (all)
			baseline ingress any any deny by cnp shop/base ingress[0] (all)
			baseline ingress host any allow (l3-only)
			baseline egress any any allow (all)`},
		{"an audited policy accepts and does not deny; as it is meant it does both", []Rule{
			{Origin: cnp("a"), Mode: Audited, Subject: everyone, DefaultDenyIngress: true, Ingress: []Term{web}},
		}, `
			ingress any any allow (all)
			ingress 300 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			ingress 303 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			egress any any allow (all)
			as-meant ingress any any deny-implicit by cnp shop/a (none)
			as-meant ingress host any allow (l3-only)
			as-meant ingress 300 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			as-meant ingress 303 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			as-meant egress any any allow (all)`},
		{"a staged policy does nothing, and one can see what it would do", []Rule{
			{Origin: cnp("a"), Mode: Staged, Subject: everyone, DefaultDenyIngress: true, Ingress: []Term{web}},
		}, `
			ingress any any allow (all)
			egress any any allow (all)
			as-staged ingress any any deny-implicit by cnp shop/a (none)
			as-staged ingress host any allow (l3-only)
			as-staged ingress 300 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			as-staged ingress 303 tcp/80 allow by cnp shop/a ingress[0] (l3-l4)
			as-staged egress any any allow (all)`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var have []string
			for _, e := range Compile(test.rules, Subject{Labels: world[302]}, Options{}).Named(maps.All(world), holders).Entries(maps.All(world)) {
				have = append(have, fmt.Sprintf("%s (%s)", e, e.Match))
			}
			want := strings.ReplaceAll(strings.TrimSpace(test.want), "\t", "")
			if strings.Join(have, "\n") != want {
				t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), want)
			}
		})
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
			Peers: []identity.Selector{identity.NewSelector(identity.Requirement{Key: "k8s:" + identity.LabelNamespace, Operator: identity.In, Values: []string{fmt.Sprintf("ns-%d", i)}}, identity.Requirement{Key: "app", Operator: identity.Exists})},
			Ports: []Port{OnePort(TCP, 80), OnePort(TCP, 443)},
		}}})
	}
	for b.Loop() {
		Compile(rules, Subject{}, Options{}).Entries(peers)
	}
}
