package oracle_test

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/oracle"
	"weftnet.io/weftnet/test/oracle/product"
	"weftnet.io/weftnet/test/oracle/random"
)

// TestMain asks rapid for fewer than its usual hundred worlds: each is checked with thousands of packets. For millions,
// go test ./test/oracle -run Text -rapid.checks=2000 -timeout 1h.
func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		_ = flag.Set("rapid.checks", "30")
	}
	os.Exit(m.Run())
}

// calls are what packets are about: beside, at and inside of all that the generator writes into ports.
var calls = []struct {
	protocol string
	port     int
}{
	{"TCP", 1},
	{"TCP", 8},
	{"TCP", 80},
	{"TCP", 81},
	{"TCP", 85},
	{"TCP", 91},
	{"TCP", 443},
	{"TCP", 1024},
	{"TCP", 8080},
	{"TCP", 65535},
	{"UDP", 53},
	{"UDP", 80},
	{"UDP", 85},
	{"UDP", 8},
	{"SCTP", 80},
	{"SCTP", 1024},
	{"ICMP", 8},
	{"ICMP", 0},
	{"ICMP", 3},
	{"ICMPv6", 128},
	{"ICMPv6", 129},
	{"47", 0},
	{"50", 0},
}

func TestTheKernelGetsWhatTheTextOfPoliciesSays(t *testing.T) {
	count := counts{verdicts: map[string]int{}}
	refused, objects := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := random.World(t)
		p, err := product.New(w)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range w.Policies {
			objects++
			if w.Refused(i) {
				refused++
			}
			if p.Refused[key(o)] != w.Refused(i) {
				t.Fatalf("refused: %v, by the text: %v\n%s", p.Refused[key(o)], oracle.Problems(o), show(o))
			}
		}
		subjects, peers := product.Ends(w)
		for _, subject := range subjects {
			set, ok := p.Set(subject)
			if !ok {
				t.Fatalf("%s has no set", subject.Name)
			}
			for _, peer := range peers {
				if peer.Name == subject.Name {
					continue
				}
				for _, ingress := range []bool{true, false} {
					for _, c := range calls {
						packet := oracle.Packet{Ingress: ingress, Subject: subject, Peer: peer, Protocol: c.protocol, Port: c.port}
						count.same(t, w, set, p.Identity(peer), packet)
					}
				}
			}
		}
	})
	t.Logf("%d packets agree: %v; a ClusterNetworkPolicy decides %d, staged policies would change %d; %d of %d policies refused",
		count.packets, count.verdicts, count.tiered, count.staged, refused, objects)
}

// counts are of packets about which both sides agree.
type counts struct {
	packets  int
	verdicts map[string]int
	tiered   int // a ClusterNetworkPolicy decides
	staged   int // staged policies would let through what is denied, or deny what is not
}

// same holds the answers of a set against those of the text.
func (c *counts) same(t *rapid.T, w *oracle.World, set table.PolicySet, n identity.Number, packet oracle.Packet) {
	have, ok := product.Judge(set, n, packet)
	equal(t, w, packet, "", have, w.Judge(packet), ok)
	then, ok := product.Foresee(set, n, packet)
	equal(t, w, packet, "as staged, ", then, w.Foresee(packet), ok)
	c.packets++
	c.verdicts[have.Verdict]++
	if len(have.By) > 0 && strings.HasPrefix(have.By[0], "cnetpol ") {
		c.tiered++
	}
	if denies(then) != denies(have) {
		c.staged++
	}
}

func denies(a oracle.Answer) bool { return strings.HasPrefix(a.Verdict, "deny") }

func equal(t *rapid.T, w *oracle.World, packet oracle.Packet, view string, have, want oracle.Answer, ok bool) {
	// This node may call its pods whatever policies say, so no policy is named for it.
	unnamed := packet.Ingress && packet.Peer.Local && len(have.By) == 0 && have.Verdict == "allow"
	if !ok || have.Verdict != want.Verdict || !names(have.By, want.By) && !unnamed {
		direction := map[bool]string{true: "to", false: "from"}[packet.Ingress]
		t.Fatalf("%s%s/%d %s %s, other end %s %s:\nhave %v\nwant %v\n%s%s", view, packet.Protocol, packet.Port, direction, packet.Subject.Name,
			packet.Peer.Name, packet.Peer.Address, have, want, show(w.Policies...), show(w.Namespaces...))
	}
}

// names tells whether a verdict names some of those that decided, and no other.
func names(have, want []string) bool {
	for _, name := range have {
		if !slices.Contains(want, name) {
			return false
		}
	}
	return len(have) > 0 || len(want) == 0
}

func key(o oracle.Object) string {
	meta, _ := o["metadata"].(oracle.Object)
	namespace, _ := meta["namespace"].(string)
	return o["kind"].(string) + " " + namespace + "/" + meta["name"].(string)
}

func show(objects ...oracle.Object) string {
	var out strings.Builder
	for _, o := range objects {
		text, _ := json.Marshal(o)
		out.Write(append(text, '\n'))
	}
	return out.String()
}
