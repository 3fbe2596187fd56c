package oracle_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/test/oracle"
	"weftnet.io/weftnet/test/oracle/product"
	"weftnet.io/weftnet/test/oracle/random"
	"weftnet.io/weftnet/test/oracle/shape"
)

var (
	malformed = flag.Int("malformed", 1000, "how many malformed policies are tried")
	first     = flag.Int("malformed.first", 0, "number of the first of them: the seed")
)

// spoiler breaks JSON in ways in which people, programs and adversaries do.
type spoiler struct{ *rand.Rand }

// spot is a place in a value: where it is, and how to put another there.
type spot struct {
	value any
	set   func(any)
	drop  func()
	twice func()
}

// spots lists all places in a value.
func spots(value any, out []spot) []spot {
	switch v := value.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			out = append(out, spot{v[key], func(n any) { v[key] = n }, func() { delete(v, key) }, func() { v[key+"s"] = copied(v[key]) }})
			out = spots(v[key], out)
		}
	case []any:
		for i := range v {
			out = append(out, spot{v[i], func(n any) { v[i] = n }, func() { v[i] = nil }, func() { v[i] = []any{v[i], copied(v[i])} }})
			out = spots(v[i], out)
		}
	}
	return out
}

// copied is a value that shares nothing with the one it was made from.
func copied(value any) (out any) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

// junk is a value that belongs nowhere in particular.
func (s spoiler) junk() any {
	deep := func(depth int) (v any) {
		for range depth {
			if s.IntN(2) == 0 {
				v = []any{v}
			} else {
				v = map[string]any{"matchLabels": v}
			}
		}
		return v
	}
	many := make([]any, 300)
	for i := range many {
		many[i] = map[string]any{"port": fmt.Sprint(i)}
	}
	return []any{
		nil, "", 0.0, -1.0, 65536.0, 1e300, 0.5, true, false,
		[]any{},
		map[string]any{},
		[]any{nil},
		[]any{[]any{}},
		"\u0000", "\u202e80",
		"٨٠", "80 ", "-80", "+80", "0x50", "1e3", "99999999999999999999", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "fe80::1%eth0",
		"::ffff:10.0.0.0/104", "010.0.0.1/8", "any:", ":", "k8s:", strings.Repeat("a", 70), strings.Repeat("é", 100_000), strings.Repeat("k8s:", 1000),
		deep(50), deep(1000), many,
		map[string]any{"": ""},
		map[string]any{"app": 1.0},
		[]any{"all", "none-such"},
		"In", "🦀", "*", "**.example.com",
	}[s.IntN(45)]
}

// spoil changes an object at a few places, and then, at times, its text.
func (s spoiler) spoil(o oracle.Object) []byte {
	for range 1 + s.IntN(3) {
		body := map[string]any{"spec": o["spec"], "specs": o["specs"], "metadata": o["metadata"]}
		all := spots(body, nil)
		at := all[s.IntN(len(all))]
		switch s.IntN(8) {
		case 0:
			at.drop()
		case 1:
			at.twice()
		case 2:
			at.set(copied(all[s.IntN(len(all))].value)) // of another place
		default:
			at.set(s.junk())
		}
		for _, key := range []string{"spec", "specs", "metadata"} {
			if o[key] = body[key]; o[key] == nil {
				delete(o, key)
			}
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	switch s.IntN(20) {
	case 0: // a key twice
		return []byte(strings.Replace(string(text), `"spec":{`, `"spec":{"ingress":null,"ingress":[{}],`, 1))
	case 1: // cut off
		return text[:s.IntN(len(text))]
	case 2: // one byte is another
		text[s.IntN(len(text))] = byte(s.IntN(256))
	}
	return text
}

// policyNumber is a policy that is not spoilt yet.
func policyNumber(i int) oracle.Object {
	return rapid.Custom(random.Policy).Example(i)
}

func TestMalformedPoliciesAreRefusedWithAFieldOrTakenRightly(t *testing.T) {
	t.Logf("policies %d to %d", *first, *first+*malformed-1)
	count := map[string]int{}
	most := 0.0
	for kind, version := range map[string]string{
		"CiliumNetworkPolicy": "cilium.io/v2", "CiliumClusterwideNetworkPolicy": "cilium.io/v2", "ClusterNetworkPolicy": "policy.networking.k8s.io/v1alpha2",
	} { // schemas are read once
		objects, problems := manifest.Read("", []byte(`{"kind":"`+kind+`","apiVersion":"`+version+`"}`))
		lint.Check(objects, problems, lint.Options{})
	}
	for i := *first; i < *first+*malformed; i++ {
		text := spoiler{rand.New(rand.NewPCG(uint64(i), 0))}.spoil(policyNumber(i))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		objects, problems := manifest.Read("policy", text)
		findings := lint.Check(objects, problems, lint.Options{})
		runtime.ReadMemStats(&after)
		// What reading takes grows with the text, and with nothing else.
		took := float64(after.TotalAlloc - before.TotalAlloc)
		most = max(most, took/float64(1000+len(text)))
		if took > 2000*float64(1000+len(text)) {
			t.Errorf("policy %d: %v bytes for a text of %d: %.300s", i, took, len(text), text)
		}
		count[taken(t, i, text, findings)]++
	}
	t.Logf("%v; at most %.0f bytes for each byte of text and the first 1,000", count, most)
}

// taken holds what check says of a text against the oracle, and says how it went.
func taken(t *testing.T, i int, text []byte, findings []lint.Finding) string {
	refused, meaning := false, true
	for _, f := range findings {
		if f.Severity != lint.Error {
			continue
		}
		refused = true
		meaning = meaning && f.Check != "unknown-field" && f.Check != "format" && f.Check != "syntax"
		if f.Field == "" && f.Check != "syntax" && f.Check != "kind" && !strings.Contains(f.Does, "is missing") {
			t.Errorf("policy %d: refused without a field: %v\n%.2000s", i, f, text)
		}
	}
	var o oracle.Object
	versions := map[any]any{
		"NetworkPolicy": "networking.k8s.io/v1", "CiliumNetworkPolicy": "cilium.io/v2", "CiliumClusterwideNetworkPolicy": "cilium.io/v2",
		"ClusterNetworkPolicy": "policy.networking.k8s.io/v1alpha2",
	}
	if err := json.Unmarshal(text, &o); err != nil || o["kind"] == nil || o["apiVersion"] != versions[o["kind"]] {
		return "something else" // to YAML it may be an object all the same, of a kind that is not read as a policy
	}
	why := []string{"a member has another type"}
	if !shape.Misshapen(o) {
		why = oracle.Problems(o)
	}
	switch {
	case !refused && len(why) > 0:
		t.Errorf("policy %d is taken, though %v\n%.2000s", i, why, text)
	case refused && meaning && len(why) == 0:
		t.Errorf("policy %d is refused, and nothing is wrong with it: %v\n%.2000s", i, findings, text)
	case refused:
		return fmt.Sprint("refused ", o["kind"])
	}
	if len(why) == 0 {
		means(t, i, o)
	}
	return fmt.Sprint("taken ", o["kind"])
}

// means asks both sides about packets under a policy that was meant to be broken and is not.
func means(t *testing.T, i int, o oracle.Object) {
	w := rapid.Custom(random.World).Example(i)
	w.Policies = []oracle.Object{o}
	p, err := product.New(w)
	if err != nil {
		t.Errorf("policy %d: %v", i, err)
		return
	}
	subjects, peers := product.Ends(w)
	for _, subject := range subjects {
		set, _ := p.Set(subject)
		for j, peer := range peers {
			c := calls[(i+j)%len(calls)]
			for _, ingress := range []bool{true, false} {
				packet := oracle.Packet{Ingress: ingress, Subject: subject, Peer: peer, Protocol: c.protocol, Port: c.port}
				have, ok := product.Judge(set, p.Identity(peer), packet)
				want := w.Judge(packet)
				if ok && have.Verdict == want.Verdict {
					have, ok = product.Foresee(set, p.Identity(peer), packet)
					want = w.Foresee(packet)
				}
				if peer.Name != subject.Name && (!ok || have.Verdict != want.Verdict) {
					t.Errorf("policy %d: %s/%d of %s with %s, ingress %v: have %v, want %v\n%s", i, c.protocol, c.port, subject.Name, peer.Name, ingress, have, want, show(o))
					return
				}
			}
		}
	}
}
