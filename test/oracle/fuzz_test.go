package oracle_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/test/oracle"
	"weftnet.io/weftnet/test/oracle/product"
	"weftnet.io/weftnet/test/oracle/random"
	"weftnet.io/weftnet/test/oracle/shape"
)

// fuzzed is a world with one policy, by which web of shop hears the peers that an element of ingress chooses.
func fuzzed(kind string, element oracle.Object, groups ...oracle.Object) *oracle.World {
	w := rapid.Custom(random.World).Example(0)
	w.Mode, w.Groups = "default", groups
	w.Policies = []oracle.Object{{
		"kind": kind, "metadata": oracle.Object{"name": "p", "namespace": "shop"},
		"spec": oracle.Object{"endpointSelector": oracle.Object{}, "ingress": []any{element}},
	}}
	if kind == "CiliumClusterwideNetworkPolicy" {
		delete(w.Policies[0]["metadata"].(oracle.Object), "namespace")
	}
	return w
}

// agree holds the product against the oracle for everybody who may call web.
func agree(t *testing.T, w *oracle.World) {
	p, err := product.New(w)
	if err != nil {
		return // the API server has no such object
	}
	if have, want := p.Refused[key(w.Policies[0])], w.Refused(0); have != want {
		t.Fatalf("refused: %v, by the text: %v\n%s", have, oracle.Problems(w.Policies[0]), show(w.Policies...))
	}
	subjects, peers := product.Ends(w)
	set, _ := p.Set(subjects[0])
	for _, peer := range peers {
		packet := oracle.Packet{Ingress: true, Subject: subjects[0], Peer: peer, Protocol: "TCP", Port: 80}
		have, ok := product.Judge(set, p.Identity(peer), packet)
		if want := w.Judge(packet); peer.Name != subjects[0].Name && (!ok || have.Verdict != want.Verdict) {
			t.Fatalf("from %s %s: have %v, want %v\n%s", peer.Name, peer.Address, have, want, show(append(w.Policies, w.Groups...)...))
		}
	}
}

func FuzzALabelSelectorChoosesThePeersThatItsTextSays(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"matchLabels":{"app":"web","any:tier":"front"}}`, `{"matchLabels":{":app":"web","k8s:io.kubernetes.pod.namespace":"blog"}}`,
		`{"matchExpressions":[{"key":"reserved:host","operator":"Exists"},{"key":"app","operator":"NotIn","values":["web",""]}]}`,
		`{"matchExpressions":[{"key":"k8s:io.kubernetes.pod.namespace","operator":"NotIn","values":["tools"]},{"key":"k8s:io.cilium.k8s.policy.cluster","operator":"NotIn","values":["there"]}]}`,
		`{"matchExpressions":[{"key":"io.cilium.k8s.namespace.labels.team","operator":"DoesNotExist"},{"key":"any:io.cilium.k8s.policy.cluster","operator":"NotIn","values":["there"]}]}`,
		`{"matchExpressions":[{"key":"reserved:host","operator":"DoesNotExist"}]}`, `{"matchExpressions":[{"key":"reserved:world","operator":"NotIn","values":[""]},{"key":"reserved:health","operator":"Exists"}]}`,
		`{"matchExpressions":[{"key":"k8s:io.cilium.k8s.policy.cluster","operator":"DoesNotExist"}]}`, `{"matchLabels":{"a:b:c":"","k8s:":"x"}}`, `{"matchlabels":{"app":"web"}}`,
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, clusterwide bool) {
		var selector any
		if json.Unmarshal([]byte(text), &selector) != nil || shape.Misshapen(oracle.Object{"metadata": oracle.Object{}, "spec": oracle.Object{"endpointSelector": selector}}) {
			return
		}
		element := oracle.Object{"fromEndpoints": []any{selector}}
		w := fuzzed(map[bool]string{true: "CiliumClusterwideNetworkPolicy", false: "CiliumNetworkPolicy"}[clusterwide], element)
		agree(t, w)
		spec := w.Policies[0]["spec"].(oracle.Object)
		spec["ingress"], spec["ingressDeny"] = []any{oracle.Object{"fromEntities": []any{"all"}}}, []any{element}
		agree(t, w)
	})
}

func FuzzACIDRGroupStandsForItsPrefixes(f *testing.F) {
	for _, text := range []string{`[]`, `["10.0.0.0/8","2001:db8::/32"]`, `["::ffff:10.0.0.0/104","10.0.0.1","x","0.0.0.0/0"]`, `["::/0","10.1.2.3/32","10.9.9.9/8"]`} {
		f.Add(text, `["10.1.0.0/16"]`)
		f.Add(text, `[]`)
	}
	f.Fuzz(func(t *testing.T, prefixes, except string) {
		var list, without []string
		if json.Unmarshal([]byte(prefixes), &list) != nil || json.Unmarshal([]byte(except), &without) != nil {
			return
		}
		group := oracle.Object{"kind": "CiliumCIDRGroup", "metadata": oracle.Object{"name": "g"}, "spec": oracle.Object{"externalCIDRs": list}}
		set := oracle.Object{"cidrGroupRef": "g", "except": without}
		w := fuzzed("CiliumNetworkPolicy", random.Reread(oracle.Object{"fromCIDRSet": []any{set}}), random.Reread(group))
		agree(t, w)
	})
}
