package policy

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/identity"
)

// TestMain asks rapid for more than its usual hundred rule sets, each of which is checked with hundreds of packets.
func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		_ = flag.Set("rapid.checks", "400")
	}
	os.Exit(m.Run())
}

func labels(kv ...string) identity.Labels {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return identity.NewLabels(m)
}

// world is who there is in these tests: four kinds of pods, and two reserved identities.
var world = map[identity.Number]identity.Labels{
	identity.Host:       identity.Reserved(identity.Host),
	identity.World:      identity.Reserved(identity.World),
	identity.RemoteNode: identity.Reserved(identity.RemoteNode),
	300:                 labels("k8s:app", "web", "k8s:tier", "front"),
	301:                 labels("k8s:app", "api", "k8s:tier", "back"),
	302:                 labels("k8s:app", "db", "k8s:tier", "back"),
	303:                 labels("k8s:app", "web", "k8s:tier", "back"),
}

// worldHolders are the workloads that have named ports: those of 302 and 303 do not agree, nor do all addresses have one.
var worldHolders = map[identity.Number][]Holder{
	300: {{Addresses: parseAddrs("10.1.2.4"), NamedPorts: NamedPorts{{Name: "http", Protocol: TCP, Port: 80}}}, {Addresses: parseAddrs("10.1.2.3"), NamedPorts: NamedPorts{{Name: "http", Protocol: TCP, Port: 80}, {Name: "dns", Protocol: UDP, Port: 80}}}},
	301: {{NamedPorts: NamedPorts{{Name: "http", Protocol: TCP, Port: 81}, {Name: "http", Protocol: UDP, Port: 85}, {Name: "dns", Protocol: UDP, Port: 53}}}},
	302: {
		{Addresses: parseAddrs("10.1.3.1", "fd00:1::2"), NamedPorts: NamedPorts{{Name: "http", Protocol: TCP, Port: 1024}}},
		{Addresses: parseAddrs("10.200.0.1"), NamedPorts: NamedPorts{{Name: "http", Protocol: TCP, Port: 80}, {Name: "http", Protocol: UDP, Port: 85}}},
	},
	303: {{Addresses: parseAddrs("10.2.0.1"), NamedPorts: NamedPorts{{Name: "http", Protocol: TCP, Port: 80}}}, {Addresses: parseAddrs("10.1.4.1")}},
}

func holders(n identity.Number) []Holder { return worldHolders[n] }

func parseAddrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// portsAt are the named ports of the workload of an identity that has an address; of one that agrees with all others, any's.
func portsAt(n identity.Number, a netip.Addr) NamedPorts {
	for _, h := range worldHolders[n] {
		if slices.Contains(h.Addresses, a) {
			return h.NamedPorts
		}
	}
	if n == 300 || n == 301 {
		return worldHolders[n][0].NamedPorts
	}
	return nil
}

// isOfAnother tells whether a workload of another identity has the address.
func isOfAnother(n identity.Number, a netip.Addr) bool {
	for other, list := range worldHolders {
		for _, h := range list {
			if other != n && slices.Contains(h.Addresses, a) {
				return true
			}
		}
	}
	return false
}

var genSelector = rapid.Custom(func(t *rapid.T) identity.Selector {
	n := rapid.IntRange(0, 2).Draw(t, "requirements")
	var requirements []identity.Requirement
	for range n {
		r := identity.Requirement{
			Key:      rapid.SampledFrom([]string{"app", "k8s:app", "tier", "any:tier", "reserved:host", "reserved:world", "k8s:none"}).Draw(t, "key"),
			Operator: rapid.SampledFrom([]identity.Operator{identity.In, identity.NotIn, identity.Exists, identity.DoesNotExist, identity.Same}).Draw(t, "operator"),
		}
		if r.Operator == identity.In || r.Operator == identity.NotIn {
			r.Values = rapid.SliceOfN(rapid.SampledFrom([]string{"web", "api", "db", "back", "front", ""}), 1, 2).Draw(t, "values")
		}
		requirements = append(requirements, r)
	}
	return identity.NewSelector(requirements...)
})

// edges are the ports that packets are tried with: around the ends of every range that genPort makes.
var edges = []uint16{0, 1, 79, 80, 81, 84, 85, 86, 90, 1023, 1024, 1025, 2047, 2048, 32768, 65534, 65535}

var genPort = rapid.Custom(func(t *rapid.T) Port {
	protocol := rapid.SampledFrom([]uint8{TCP, TCP, UDP, ICMP}).Draw(t, "protocol")
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return AnyPort
	case 1:
		return AllPorts(protocol)
	case 2:
		return Port{Name: "http", Protocol: rapid.SampledFrom([]uint8{0, TCP, UDP}).Draw(t, "of")}
	case 3:
		first := rapid.SampledFrom(edges).Draw(t, "first")
		last := rapid.SampledFrom(edges).Draw(t, "last")
		return Port{Protocol: protocol, First: first, Last: last} // may be empty: first > last
	case 4:
		return ICMPType(ICMP, rapid.SampledFrom([]uint8{0, 8}).Draw(t, "type"))
	default:
		return OnePort(protocol, rapid.SampledFrom(edges).Draw(t, "port"))
	}
})

// Prefixes that lie in one another, beside one another, and in both families.
var prefixes = parsePrefixes(
	"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.1.3.0/24", "10.128.0.0/9", "192.168.0.0/16",
	"192.168.0.1/32", "::/0", "::/32", "fd00::/8", "fd00:1::/32", "fd00:1::1/128",
)

func parsePrefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// addresses are inside and beside each of the prefixes.
var addresses = func() (out []netip.Addr) {
	for _, a := range []string{
		"10.1.2.3", "10.1.2.4", "10.1.3.1", "10.1.4.1", "10.2.0.1", "10.200.0.1", "192.168.0.1", "192.168.0.2", "8.8.8.8",
		"fd00:1::1", "fd00:1::2", "fd00:2::1", "::2", "2001:db8::1",
	} {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}()

var genBlock = rapid.Custom(func(t *rapid.T) Block {
	some := rapid.SliceOfN(rapid.SampledFrom(prefixes), 0, 3)
	return NewBlock(some.Draw(t, "within"), some.Draw(t, "except")).Also(rapid.Bool().Draw(t, "nodes"), rapid.Bool().Draw(t, "pods"))
})

func genTerms(path string, tier Tier) *rapid.Generator[[]Term] {
	term := rapid.Custom(func(t *rapid.T) Term {
		action, rank := rapid.SampledFrom([]Action{ActionAccept, ActionDeny}).Draw(t, "action"), uint32(0)
		if tier != Normal {
			action = rapid.SampledFrom([]Action{ActionAccept, ActionDeny, ActionPass}).Draw(t, "action of a tier")
			rank = rapid.Uint32Range(1, 3).Draw(t, "rank")
		}
		return Term{
			Action:  action,
			Rank:    rank,
			AnyPeer: rapid.IntRange(0, 2).Draw(t, "any") == 0,
			Peers:   rapid.SliceOfN(genSelector, 0, 2).Draw(t, "peers"),
			Blocks:  rapid.SliceOfN(genBlock, 0, 2).Draw(t, "blocks"),
			Ports:   rapid.SliceOfN(genPort, 0, 3).Draw(t, "ports"),
		}
	})
	return rapid.Map(rapid.SliceOfN(term, 0, 3), func(terms []Term) []Term {
		for i := range terms {
			terms[i].Path = fmt.Sprintf("%s[%d]", path, i)
		}
		return terms
	})
}

var genRule = rapid.Custom(func(t *rapid.T) Rule {
	tier := rapid.SampledFrom([]Tier{Normal, Normal, Admin, Baseline}).Draw(t, "tier")
	return Rule{
		Origin:             Origin{Kind: "CiliumNetworkPolicy", Name: rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "name")},
		Subject:            rapid.OneOf(rapid.Just(identity.NewSelector()), genSelector).Draw(t, "subject"),
		Tier:               tier,
		Mode:               rapid.SampledFrom([]Mode{Enforced, Enforced, Enforced, Audited, Staged}).Draw(t, "mode"),
		Ingress:            genTerms("ingress", tier).Draw(t, "ingress"),
		Egress:             genTerms("egress", tier).Draw(t, "egress"),
		DefaultDenyIngress: rapid.Bool().Draw(t, "isolates ingress"),
		DefaultDenyEgress:  rapid.Bool().Draw(t, "isolates egress"),
	}
})

var genSubject = rapid.Custom(func(t *rapid.T) Subject {
	return Subject{
		Labels:     rapid.SampledFrom([]identity.Labels{world[300], world[301], world[302], world[identity.Host], identity.Reserved(identity.Init)}).Draw(t, "labels"),
		NamedPorts: rapid.SampledFrom([]NamedPorts{nil, {{Name: "http", Protocol: TCP, Port: 80}}, {{Name: "http", Protocol: UDP, Port: 2048}, {Name: "http", Protocol: TCP, Port: 1023}}}).Draw(t, "named ports"),
	}
})

var genOptions = rapid.Custom(func(t *rapid.T) Options {
	return Options{
		Enforcement:  rapid.SampledFrom([]Enforcement{EnforceByRule, EnforceByRule, EnforceByRule, EnforceAlways, EnforceNever}).Draw(t, "enforcement"),
		HostByPolicy: rapid.Bool().Draw(t, "host by policy"),
		CIDRNodes:    rapid.Bool().Draw(t, "cidr nodes"),
		CIDRPods:     rapid.IntRange(0, 4).Draw(t, "cidr pods") == 0,
		Audit:        rapid.IntRange(0, 4).Draw(t, "audit") == 0,
	}
})

func TestTheKernelsLookupMeansWhatTheRulesMean(t *testing.T) {
	cases := 0
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(genRule, 0, 4).Draw(t, "rules")
		subject := genSubject.Draw(t, "subject")
		options := genOptions.Draw(t, "options")
		c := Compile(rules, subject, options).Named(maps.All(world), holders)
		entries, ranges := c.Entries(maps.All(world)), c.Ranges()
		wellFormed(t, entries)
		peers := map[identity.Number]identity.Number{999: 0, 0: 0} // unknown ones
		for n := range world {
			peers[n] = n
		}
		for _, direction := range []Direction{Ingress, Egress} {
			for number, known := range peers {
				at := rapid.SampledFrom(addresses).Filter(func(a netip.Addr) bool { return !isOfAnother(known, a) })
				peer := Peer{Number: known, Labels: world[known], Address: at.Draw(t, "address")}
				peer.NamedPorts = portsAt(known, peer.Address)
				for _, protocol := range []uint8{TCP, UDP, ICMP} {
					for _, port := range edges {
						cases++
						same(t, rules, subject, peer, number, Packet{direction, protocol, port}, options, entries, ranges)
					}
				}
			}
		}
	})
	t.Logf("%d packets", cases)
	if cases < 200_000 && !testing.Short() && flag.Lookup("rapid.checks").Value.String() == "400" {
		t.Errorf("%d packets checked, want 200,000", cases)
	}
}

func same(t *rapid.T, rules []Rule, subject Subject, peer Peer, number identity.Number, packet Packet, options Options, entries []Entry, ranges []Range) {
	want, by := Judge(rules, subject, peer, packet, options)
	have, ok := Lookup(entries, ranges, number, peer.Address, packet)
	agree(t, peer, packet, want, by, have, ok, entries, ranges)
	staged := options.Enforcement != EnforceNever && slices.ContainsFunc(rules, func(r Rule) bool {
		return r.Mode == Staged && r.Subject.Matches(subject.Labels)
	})
	have, ok = LookupView(AsStaged, entries, ranges, number, peer.Address, packet)
	if ok != staged {
		t.Fatalf("entries that say what staged policies would do: %v, want %v", ok, staged)
	}
	if staged {
		want, by := Foresee(rules, subject, peer, packet, options)
		agree(t, peer, packet, want, by, have, ok, entries, ranges)
	}
}

func agree(t *rapid.T, peer Peer, packet Packet, want Verdict, by []Origin, have Entry, ok bool, entries []Entry, ranges []Range) {
	number := peer.Number
	if !ok || have.Verdict != want {
		t.Fatalf("peer %d %+v: kernel says %s (%v), rules say %s by %v\nentries:\n%s%v", number, packet, have.Verdict, have, want, by, text(entries), ranges)
	}
	for _, o := range have.Rules {
		if !slices.Contains(by, o) {
			t.Fatalf("peer %d %+v: %v names %s, which did not decide: %v did", number, packet, have, o, by)
		}
	}
	if len(have.Rules) == 0 && len(by) > 0 && peer.Number != identity.Host {
		t.Fatalf("peer %d %+v: %v names no rule, %v decided", number, packet, have, by)
	}
}

func wellFormed(t *rapid.T, entries []Entry) {
	if !slices.IsSortedFunc(entries, Entry.Compare) {
		t.Fatalf("not sorted:\n%s", text(entries))
	}
	defaults, layers := 0, map[layer]bool{}
	for i, e := range entries {
		if i > 0 && e.Compare(entries[i-1]) == 0 {
			t.Fatalf("two entries for %v", e)
		}
		layers[layer{e.View, e.Tier, e.Direction}] = true
		if e.Peer == 0 && e.Protocol == 0 {
			defaults++
		}
		if e.PortBits < 16 && e.Port&(0xffff>>e.PortBits) != 0 {
			t.Fatalf("%v has bits outside its prefix", e)
		}
		if !slices.IsSortedFunc(e.Rules, Origin.Compare) {
			t.Fatalf("%v: rules not sorted", e)
		}
		// A stronger entry for the same peer leaves no weaker one under it.
		for _, f := range entries {
			p, q := e.span(), f.span()
			under := p.Protocol == 0 || p.Bits < q.Bits && p.Matches(q.Protocol, q.Port)
			if e.View == f.View && e.Tier == f.Tier && e.Direction == f.Direction && e.Peer == f.Peer && p != q && under && e.Precedence > f.Precedence {
				t.Fatalf("%v covers %v", e, f)
			}
		}
	}
	if defaults != len(layers) || len(layers)%2 != 0 {
		t.Fatalf("%d default entries, want one per layer and direction:\n%s", defaults, text(entries))
	}
}

func TestEntriesDoNotDependOnTheOrderOfRulesAndPeers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(genRule, 0, 4).Draw(t, "rules")
		subject := genSubject.Draw(t, "subject")
		order := rapid.Permutation(slices.Sorted(maps.Keys(world))).Draw(t, "peers")
		peers := func(yield func(identity.Number, identity.Labels) bool) {
			for _, n := range order {
				if !yield(n, world[n]) {
					return
				}
			}
		}
		permuted, written := Compile(rapid.Permutation(rules).Draw(t, "permuted"), subject, Options{}), Compile(rules, subject, Options{})
		permuted, written = permuted.Named(peers, holders), written.Named(maps.All(world), holders)
		have, want := permuted.Entries(peers), written.Entries(maps.All(world))
		if text(have) != text(want) {
			t.Fatalf("have\n%s\nwant\n%s", text(have), text(want))
		}
		if have, want := permuted.Ranges(), written.Ranges(); !slices.Equal(have, want) {
			t.Fatalf("have\n%v\nwant\n%v", have, want)
		}
	})
}

func TestNoRangeSaysWhatAShorterOneSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.SliceOfN(genBlock, 0, 5).Draw(t, "blocks")
		rules := []Rule{{Subject: identity.NewSelector(), Ingress: []Term{{Blocks: blocks, Ports: []Port{AnyPort}}}}}
		ranges := Compile(rules, Subject{}, Options{}).Ranges()
		for _, r := range ranges {
			above, class := -1, identity.Number(0)
			for _, s := range ranges {
				if s.Place == r.Place && s.Prefix.Bits() < r.Prefix.Bits() && s.Prefix.Bits() > above && s.Prefix.Contains(r.Prefix.Addr()) {
					above, class = s.Prefix.Bits(), s.Class
				}
			}
			if class == r.Class && r.Prefix != netip.MustParsePrefix("0.0.0.0/0") {
				t.Fatalf("%v is said by another in %v", r, ranges)
			}
		}
	})
}

func TestAClassKeepsItsNumberWhenAGroupGrows(t *testing.T) {
	group := func(prefixes ...string) []Rule {
		b := NewBlock(parsePrefixes(prefixes...), nil)
		b.Name = "group partners"
		other := NewBlock(parsePrefixes("172.16.0.0/12"), nil)
		return []Rule{{Subject: identity.NewSelector(), Ingress: []Term{{Path: "a", Blocks: []Block{b}, Ports: []Port{AnyPort}}, {Path: "b", Blocks: []Block{other}, Ports: []Port{AnyPort}}}}}
	}
	small, large := group("10.1.0.0/16"), group("10.1.0.0/16", "192.0.2.0/24")
	entries := func(rules []Rule) string {
		return text(Compile(rules, Subject{}, Options{}).Entries(maps.All(world)))
	}
	if entries(small) != entries(large) {
		t.Errorf("entries differ:\n%s\n%s", entries(small), entries(large))
	}
	have := Compile(large, Subject{}, Options{}).Ranges()
	for _, r := range Compile(small, Subject{}, Options{}).Ranges() {
		if !slices.Contains(have, r) {
			t.Errorf("%v is gone: %v", r, have)
		}
	}
}

func text(entries []Entry) string {
	var s string
	for _, e := range entries {
		s += fmt.Sprintf("%s (%s, %d)\n", e, e.Match, e.Precedence)
	}
	return s
}
