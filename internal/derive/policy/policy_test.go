package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

type bed struct {
	*table.Tables
	db   *state.DB
	runs []state.AnyDerivation
}

// runners are the derivations, and that of the configuration which they follow.
func runners(t *table.Tables) []state.AnyDerivation {
	return append([]state.AnyDerivation{config.New(t)}, Derivations(t)...)
}

func newBed() *bed {
	tables, db := table.New()
	return &bed{tables, db, runners(tables)}
}

func (b *bed) write(fn func(tx *state.Tx)) {
	if err := b.db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		panic(err)
	}
}

func (b *bed) show() string {
	for changed := true; changed; {
		changed = false
		for _, d := range b.runs {
			changed = d.Step(b.db) || changed
		}
	}
	var out strings.Builder
	s := b.db.Snapshot()
	for set := range b.PolicySets.All(s) {
		fmt.Fprintf(&out, "set %d %q\n", set.Identity, set.NamedPorts)
		for _, e := range set.Entries {
			fmt.Fprintf(&out, "  %s\n", e)
		}
	}
	var lists []string
	for l := range b.RuleLists.All(s) {
		if l.Number != Number(b.Tables, b.db)(l.Rules) {
			fmt.Fprintf(&out, "list %d is found under another number\n", l.Number)
		}
		lists = append(lists, fmt.Sprintln("list", l.Rules))
	}
	slices.Sort(lists)
	out.WriteString(strings.Join(lists, ""))
	for f := range b.Findings.All(s) {
		fmt.Fprintf(&out, "finding %s %s/%s %s: %s\n", f.Kind, f.Namespace, f.Name, f.Field, f.Message)
	}
	return out.String()
}

func (b *bed) check(t *testing.T, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.ReplaceAll(strings.TrimLeft(want, "\n"), "\t", ""), b.show()); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func app(name string) identity.Labels {
	return identity.ForPod(identity.Filter{}, "default", "shop", "sa", map[string]string{"app": name}, nil)
}

func selector(name string) identity.Selector {
	return identity.NewSelector(identity.Requirement{Key: "app", Operator: identity.In, Values: []string{name}})
}

func workload(container, name string, n identity.Number, ports ...table.NamedPort) table.Workload {
	named := engine.NamedPorts{}
	for _, p := range ports {
		named = append(named, engine.NamedPort(p))
	}
	return table.Workload{
		ContainerID: container, Interface: "eth0", NamedPorts: ports, Subject: table.Subject{Labels: app(name), Identity: n, Set: table.SetKey(n, named.String())},
	}
}

func object(name string, rules ...engine.Rule) table.PolicyObject {
	for i := range rules {
		rules[i].Origin = engine.Origin{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: name}
	}
	return table.PolicyObject{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: name, Rules: rules, Valid: true}
}

func TestASetFollowsItsRulesItsPeersAndTheirPorts(t *testing.T) {
	b := newBed()
	b.write(func(tx *state.Tx) {
		b.Workloads.Put(tx, workload("c1", "web", 300))
		b.Workloads.Put(tx, workload("c2", "web", 300))
		b.Identities.Put(tx, table.Identity{Number: 300, Labels: app("web")})
	})
	b.check(t, `
		set 300 ""
		  ingress any any allow
		  egress any any allow
`)
	toDB := object("to-db", engine.Rule{
		Subject: selector("web"), DefaultDenyEgress: true,
		Egress: []engine.Term{{Path: "egress[0]", Peers: []identity.Selector{selector("db")}, Ports: []engine.Port{{Name: "sql"}}}},
	})
	b.write(func(tx *state.Tx) { b.Policies.Put(tx, toDB) })
	b.check(t, `
		set 300 ""
		  ingress any any allow
		  egress any any deny-implicit by cnp shop/to-db
		list [cnp shop/to-db]
`)
	b.write(func(tx *state.Tx) { b.Identities.Put(tx, table.Identity{Number: 301, Labels: app("db")}) })
	b.check(t, `
		set 300 ""
		  ingress any any allow
		  egress any any deny-implicit by cnp shop/to-db
		list [cnp shop/to-db]
`)
	b.write(func(tx *state.Tx) {
		b.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "db", Identity: 301, NamedPorts: []table.NamedPort{{Name: "sql", Protocol: 6, Port: 5432}}})
	})
	b.check(t, `
		set 300 ""
		  ingress any any allow
		  egress any any deny-implicit by cnp shop/to-db
		  egress 301 tcp/5432 allow by cnp shop/to-db egress[0]
		list [cnp shop/to-db egress[0]]
		list [cnp shop/to-db]
`)
	b.write(func(tx *state.Tx) {
		b.Settings.Put(tx, table.Setting{Name: "enable-policy", Value: "always"})
		b.Endpoints.Delete(tx, table.ObjectKey("shop", "db"))
		b.Workloads.Put(tx, workload("c3", "db", 301, table.NamedPort{Name: "sql", Protocol: 6, Port: 5433}))
	})
	b.check(t, `
		set 300 ""
		  ingress any any deny-implicit
		  ingress host any allow
		  egress any any deny-implicit by cnp shop/to-db
		  egress 301 tcp/5433 allow by cnp shop/to-db egress[0]
		set 301 "sql:6/5433"
		  ingress any any deny-implicit
		  ingress host any allow
		  egress any any deny-implicit
		list [cnp shop/to-db egress[0]]
		list [cnp shop/to-db]
`)
	b.write(func(tx *state.Tx) {
		b.Settings.Put(tx, table.Setting{Name: "enable-policy", Value: "never"})
		b.Workloads.Delete(tx, table.AttachmentKey("c1", "eth0"))
		b.Workloads.Delete(tx, table.AttachmentKey("c3", "eth0"))
	})
	b.check(t, `
		set 300 ""
		  ingress any any allow
		  egress any any allow
		finding CiliumNetworkPolicy shop/to-db spec: no policy is enforced while setting policy-enforcement-mode is never
`)
	b.write(func(tx *state.Tx) {
		b.Settings.Delete(tx, state.Join("enable-policy"))
		b.Settings.Put(tx, table.Setting{Name: "allow-localhost", Value: "policy"})
		b.Policies.Delete(tx, b.Policies.Key(toDB))
		b.Policies.Put(tx, object("closed", engine.Rule{Subject: selector("web"), DefaultDenyIngress: true}))
	})
	b.check(t, `
		set 300 ""
		  ingress any any deny-implicit by cnp shop/closed
		  egress any any allow
		list [cnp shop/closed]
`)
}

func TestOnlySetsThatAskForAnIdentityAreTouchedByIt(t *testing.T) {
	b := newBed()
	d, run := newSets(b.Tables)
	b.runs = []state.AnyDerivation{run}
	b.write(func(tx *state.Tx) {
		b.Workloads.Put(tx, workload("c1", "web", 300))
		b.Workloads.Put(tx, workload("c2", "db", 301))
		b.Policies.Put(tx, object("p", engine.Rule{Subject: selector("db"), Ingress: []engine.Term{{Peers: []identity.Selector{selector("web")}}}}))
	})
	b.show()
	s := b.db.Snapshot()
	if have := d.ofIdentity(s, table.Identity{Number: 300, Labels: app("web")}); !slices.Equal(have, []state.Key{table.SetKey(301, "")}) {
		t.Errorf("web touches %v", have)
	}
	if have := d.ofIdentity(s, table.Identity{Number: 302, Labels: app("api")}); len(have) != 0 {
		t.Errorf("api touches %v", have)
	}
	if have := d.ofPolicy(s, object("q", engine.Rule{Subject: selector("web")})); !slices.Equal(have, []state.Key{table.SetKey(300, "")}) {
		t.Errorf("a policy of web touches %v", have)
	}
}

func TestProblemsBecomeFindings(t *testing.T) {
	b := newBed()
	b.write(func(tx *state.Tx) {
		bad := object("bad")
		bad.Valid, bad.Problems = false, []gap.Gap{{Reason: gap.Invalid, Field: "spec", Message: "rule must have one of EndpointSelector or NodeSelector: really"}}
		b.Policies.Put(tx, bad)
		odd := object("odd", engine.Rule{Subject: identity.NewSelector(identity.Requirement{Key: "statefulset.kubernetes.io/pod-name", Operator: identity.Exists})})
		odd.Problems = []gap.Gap{{Reason: gap.NotImplemented, Field: "spec.ingress[0].fromGroups", Message: "peers by groups of a cloud provider are not enforced yet; so ingress[0] allows nothing"}}
		b.Policies.Put(tx, odd)
	})
	b.check(t, `
		finding CiliumNetworkPolicy shop/bad spec: rejected: rule must have one of EndpointSelector or NodeSelector: really
		finding CiliumNetworkPolicy shop/odd spec.ingress[0].fromGroups: peers by groups of a cloud provider are not enforced yet; so ingress[0] allows nothing
`)
	b.write(func(tx *state.Tx) { b.Policies.Delete(tx, state.Join("CiliumNetworkPolicy", "shop", "bad")) })
	b.check(t, `
		finding CiliumNetworkPolicy shop/odd spec.ingress[0].fromGroups: peers by groups of a cloud provider are not enforced yet; so ingress[0] allows nothing
`)
}

func TestFindingsFollowSettingsAndWhatPoliciesName(t *testing.T) {
	b := newBed()
	nodes := object("nodes", engine.Rule{Subject: identity.NewSelector(identity.Requirement{Key: "reserved:host", Operator: identity.Exists})})
	to := object("to", engine.Rule{Subject: selector("web"), Egress: []engine.Term{{
		Path: "egress[0]", Blocks: []engine.Block{{Of: engine.Reference{Kind: engine.Services, Namespace: "shop", Name: "db"}}}, Ports: []engine.Port{engine.AnyPort},
	}}})
	b.write(func(tx *state.Tx) {
		b.Policies.Put(tx, nodes)
		b.Policies.Put(tx, to)
	})
	b.check(t, `
		finding CiliumNetworkPolicy shop/nodes spec.nodeSelector: rules for nodes do nothing while setting enable-host-firewall is not true
		finding CiliumNetworkPolicy shop/to spec.egress[0]: there is no service shop/db, so it stands for no pod and no address; create it, or correct toServices
`)
	b.write(func(tx *state.Tx) {
		b.Settings.Put(tx, table.Setting{Name: "enable-host-firewall", Value: "true"})
		b.Services.Put(tx, table.Service{Namespace: "shop", Name: "db"})
	})
	b.check(t, "")
	b.write(func(tx *state.Tx) { b.Settings.Put(tx, table.Setting{Name: "policy-audit-mode", Value: "true"}) })
	b.check(t, `
		finding CiliumNetworkPolicy shop/nodes spec: what this policy would deny passes while setting policy-audit-mode is true, and flows show it with verdict AUDIT
		finding CiliumNetworkPolicy shop/to spec: what this policy would deny passes while setting policy-audit-mode is true, and flows show it with verdict AUDIT
`)
}

func TestListsThatWantOneNumberGetTheirOwnInAnyOrder(t *testing.T) {
	const last, first = 1<<32 - 1, 1<<32 - 1<<16 // of a bucket
	list := func(name string, wants uint32) table.RuleList {
		return table.RuleList{Number: wants, Rules: []engine.Origin{{Name: name}}}
	}
	lists := []table.RuleList{list("a", last), list("b", last), list("c", last), list("d", first), list("a", last)}
	want := map[string]uint32{"a": last, "b": first + 1, "c": first + 2, "d": first}
	rapid.Check(t, func(t *rapid.T) {
		rows := number(rapid.Permutation(lists).Draw(t, "lists"))
		if len(rows) != len(want) {
			t.Fatalf("%v", rows)
		}
		for _, row := range rows {
			if row.Number != want[row.Rules[0].Name] {
				t.Fatalf("%v", rows)
			}
		}
	})
	if rows := number([]table.RuleList{list("a", 1<<16-1), list("b", 1<<16-1)}); rows[1].Number != 1 {
		t.Errorf("%v: 0 is the number of no list", rows)
	}
}

func TestTablesDoNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBed()
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			b.write(func(tx *state.Tx) { event(rt, b, tx) })
			if rapid.Bool().Draw(rt, "step") {
				rapid.SampledFrom(b.runs).Draw(rt, "derivation").Step(b.db)
			}
		}
		have := b.show()
		anew := newBed()
		s := b.db.Snapshot()
		anew.write(func(tx *state.Tx) {
			copyAll(tx, s, b.Workloads, anew.Workloads)
			copyAll(tx, s, b.Policies, anew.Policies)
			copyAll(tx, s, b.Identities, anew.Identities)
			copyAll(tx, s, b.Endpoints, anew.Endpoints)
			copyAll(tx, s, b.Settings, anew.Settings)
		})
		if want := anew.show(); want != have {
			rt.Fatalf("have\n%s\nwant\n%s", have, want)
		}
	})
}

func copyAll[R state.Row](tx *state.Tx, s *state.Snapshot, from, to *state.Table[R]) {
	for row := range from.All(s) {
		to.Put(tx, row)
	}
}

var apps = []string{"web", "api", "db"}

// event changes an input at random.
func event(rt *rapid.T, b *bed, tx *state.Tx) {
	n := func(name string, high int) int { return rapid.IntRange(0, high).Draw(rt, name) }
	remove := rapid.Bool().Draw(rt, "remove")
	which := n("app", 2)
	var ports []table.NamedPort
	if rapid.Bool().Draw(rt, "named") {
		ports = append(ports, table.NamedPort{Name: "http", Protocol: 6, Port: uint16(80 + n("port", 1))})
	}
	switch n("event", 4) {
	case 0:
		w := workload(fmt.Sprint("c", n("container", 3)), apps[which], identity.Number(300+which), ports...)
		w.Pod, w.Addresses = w.ContainerID, []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(n("at", 3))})}
		put(tx, b.Workloads, w, remove)
	case 1:
		put(tx, b.Identities, table.Identity{Number: identity.Number(300 + n("number", 5)), Labels: app(apps[which])}, remove)
	case 2:
		put(tx, b.Endpoints, table.Endpoint{
			Name: fmt.Sprint("c", n("endpoint", 5)), Identity: identity.Number(300 + n("number", 5)), NamedPorts: ports,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(n("at", 3))})},
		}, remove)
	case 3:
		put(tx, b.Settings, table.Setting{Name: "enable-policy", Value: []string{"default", "always", "never"}[which]}, remove)
	case 4:
		term := engine.Term{
			Path: "x", AnyPeer: n("any", 3) == 0, Peers: []identity.Selector{selector(apps[n("peer", 2)])},
			Ports: []engine.Port{rapid.SampledFrom([]engine.Port{engine.AnyPort, engine.OnePort(6, 80), {Name: "http"}}).Draw(rt, "ports")},
		}
		rule := engine.Rule{Subject: selector(apps[which]), DefaultDenyIngress: rapid.Bool().Draw(rt, "isolates")}
		term.Action = rapid.SampledFrom([]engine.Action{engine.ActionAccept, engine.ActionDeny}).Draw(rt, "action")
		rule.Mode = rapid.SampledFrom([]engine.Mode{engine.Enforced, engine.Audited, engine.Staged}).Draw(rt, "mode")
		*rapid.SampledFrom([]*[]engine.Term{&rule.Ingress, &rule.Egress}).Draw(rt, "section") = []engine.Term{term}
		put(tx, b.Policies, object(fmt.Sprint("p", n("policy", 2)), rule), remove)
	}
}

func put[R state.Row](tx *state.Tx, t *state.Table[R], row R, remove bool) {
	if remove {
		t.Delete(tx, t.Key(row))
	} else {
		t.Put(tx, row)
	}
}

func cidrs(list ...string) (out []netip.Prefix) {
	for _, text := range list {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// lets makes a policy by which web may send to what a block chooses.
func lets(name string, b engine.Block) table.PolicyObject {
	origin := engine.Origin{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: name}
	return table.PolicyObject{Kind: origin.Kind, Namespace: "shop", Name: name, Valid: true, Rules: []engine.Rule{{
		Origin: origin, Subject: selector("web"), DefaultDenyEgress: true,
		Egress: []engine.Term{{Path: "egress[0]", Blocks: []engine.Block{b}, Ports: []engine.Port{engine.AnyPort}}},
	}}}
}

// ranges are those of the only set.
func (b *bed) ranges() (out []string) {
	b.show()
	for set := range b.PolicySets.All(b.db.Snapshot()) {
		for _, r := range set.Ranges {
			out = append(out, fmt.Sprintf("%s %s %v", r.Place, r.Prefix, r.Class != 0))
		}
	}
	return out
}

func (b *bed) checkRanges(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, b.ranges()); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestASetFollowsTheGroupsThatItsRulesName(t *testing.T) {
	b := newBed()
	group := engine.Block{Name: "group partners", Of: engine.Reference{Kind: engine.CIDRGroups, Name: "partners"}, Except: cidrs("192.0.2.9/32")}
	blue := engine.Block{Name: "group blue", Of: engine.Reference{
		Kind: engine.CIDRGroups, Labels: identity.NewSelector(identity.Requirement{Key: "color", Operator: identity.In, Values: []string{"blue"}}),
	}}
	b.write(func(tx *state.Tx) {
		b.Workloads.Put(tx, workload("c1", "web", 300))
		b.Policies.Put(tx, lets("a", group))
		b.Policies.Put(tx, lets("b", blue))
	})
	b.checkRanges(t)
	const missing = "finding CiliumNetworkPolicy shop/a spec.egress[0]: there is no CiliumCIDRGroup partners"
	if text := b.show(); !strings.Contains(text, missing) {
		t.Errorf("nothing says that the group is missing:\n%s", text)
	}
	b.write(func(tx *state.Tx) {
		b.CIDRGroups.Put(tx, table.CIDRGroup{Name: "partners", Prefixes: cidrs("192.0.2.0/24")})
		b.CIDRGroups.Put(tx, table.CIDRGroup{Name: "other", Prefixes: cidrs("198.51.100.0/24"), Labels: map[string]string{"color": "blue"}})
	})
	b.checkRanges(t, "outside 192.0.2.0/24 true", "outside 192.0.2.9/32 false", "outside 198.51.100.0/24 true")
	if text := b.show(); strings.Contains(text, missing) {
		t.Errorf("the group is still missed:\n%s", text)
	}
	b.write(func(tx *state.Tx) {
		b.CIDRGroups.Put(tx, table.CIDRGroup{Name: "partners", Prefixes: cidrs("203.0.113.0/24")})
		b.CIDRGroups.Put(tx, table.CIDRGroup{Name: "other", Prefixes: cidrs("198.51.100.0/24"), Labels: map[string]string{"color": "red"}})
	})
	b.checkRanges(t, "outside 203.0.113.0/24 true")
	b.write(func(tx *state.Tx) { b.CIDRGroups.Delete(tx, state.Join("partners")) })
	b.checkRanges(t)
}

func TestASetFollowsTheServicesThatItsRulesName(t *testing.T) {
	b := newBed()
	db := engine.Block{Name: "service db", Of: engine.Reference{Kind: engine.Services, Namespace: "shop", Name: "db"}}
	api := engine.Block{Name: "api", Of: engine.Reference{Kind: engine.APIServer}, Nodes: true}
	slice := func(namespace, service string, at ...string) table.EndpointSlice {
		s := table.EndpointSlice{Namespace: namespace, Name: service + "-1", Service: service}
		for _, a := range at {
			s.Endpoints = append(s.Endpoints, table.SliceEndpoint{Addresses: []netip.Addr{netip.MustParseAddr(a)}, Ready: true})
		}
		return s
	}
	b.write(func(tx *state.Tx) {
		b.Workloads.Put(tx, workload("c1", "web", 300))
		b.Policies.Put(tx, lets("a", db))
		b.Policies.Put(tx, lets("b", api))
		b.Identities.Put(tx, table.Identity{Number: 400, Labels: app("db")})
		b.EndpointSlices.Put(tx, slice("shop", "db", "192.0.2.7"))
	})
	b.checkRanges(t)
	b.write(func(tx *state.Tx) {
		b.Services.Put(tx, table.Service{Namespace: "shop", Name: "db"})
		b.EndpointSlices.Put(tx, slice("default", "kubernetes", "192.168.0.1"))
	})
	b.checkRanges(t, "outside 192.0.2.7/32 true", "outside 192.168.0.1/32 true", "node 192.168.0.1/32 true")
	b.write(func(tx *state.Tx) {
		b.Services.Put(tx, table.Service{Namespace: "shop", Name: "db", Selector: map[string]string{"app": "db"}})
		b.EndpointSlices.Put(tx, slice("default", "kubernetes"))
	})
	b.checkRanges(t)
	if text := b.show(); !strings.Contains(text, "egress 400 any allow by cnp shop/a egress[0]") {
		t.Errorf("the pods of the service are not let in:\n%s", text)
	}
	b.write(func(tx *state.Tx) {
		b.Identities.Put(tx, table.Identity{Number: 401, Labels: identity.ForPod(identity.Filter{}, "default", "shop", "other", map[string]string{"app": "db"}, nil)})
	})
	if text := b.show(); !strings.Contains(text, "egress 401 any allow by cnp shop/a egress[0]") {
		t.Errorf("a new pod of the service is not let in:\n%s", text)
	}
}

func TestASetFollowsTheNodesThatItsRulesChoose(t *testing.T) {
	b := newBed()
	edge := engine.Block{Name: "nodes", Nodes: true, Of: engine.Reference{
		Kind: engine.Nodes, Labels: identity.NewSelector(identity.Requirement{Key: "edge", Operator: identity.Exists}),
	}}
	node := func(name, address string, local bool, labels map[string]string) table.Node {
		return table.Node{Name: name, Local: local, Addresses: []netip.Addr{netip.MustParseAddr(address)}, Labels: labels}
	}
	b.write(func(tx *state.Tx) {
		b.Workloads.Put(tx, workload("c1", "web", 300))
		b.Policies.Put(tx, lets("a", edge))
		b.Nodes.Put(tx, node("n1", "192.168.0.1", true, map[string]string{"edge": ""}))
		b.Nodes.Put(tx, node("n2", "192.168.0.2", false, map[string]string{"edge": ""}))
		b.Nodes.Put(tx, node("n3", "192.168.0.3", false, nil))
	})
	b.checkRanges(t)
	if text := b.show(); !strings.Contains(text, "shop/a spec.egress[0]: peers by labels of nodes choose no node") {
		t.Errorf("nothing says that the setting is off:\n%s", text)
	}
	b.write(func(tx *state.Tx) {
		b.Settings.Put(tx, table.Setting{Name: "enable-node-selector-labels", Value: "true"})
	})
	b.checkRanges(t, "outside 192.168.0.2/32 true", "node 192.168.0.2/32 true")
	b.write(func(tx *state.Tx) {
		b.Nodes.Put(tx, node("n2", "192.168.0.2", false, nil))
		b.Nodes.Put(tx, node("n3", "192.168.0.3", false, map[string]string{"edge": "yes"}))
	})
	b.checkRanges(t, "outside 192.168.0.3/32 true", "node 192.168.0.3/32 true")
}
