package workload

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	configs "weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// bed is a node's database with this package's derivations.
type bed struct {
	*table.Tables
	db   *state.DB
	runs []state.AnyDerivation
}

// runners are the derivations, and that of the configuration which they follow.
func runners(t *table.Tables) []state.AnyDerivation {
	return append([]state.AnyDerivation{configs.New(t)}, Derivations(t)...)
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

// settle runs the derivations until nothing changes.
func (b *bed) settle() {
	for changed := true; changed; {
		changed = false
		for _, d := range b.runs {
			changed = d.Step(b.db) || changed
		}
	}
}

func (b *bed) show() string {
	b.settle()
	var out strings.Builder
	s := b.db.Snapshot()
	for w := range b.Workloads.All(s) {
		fmt.Fprintf(&out, "workload %s %s %s/%s %v %d %s set %q\n", w.ContainerID, w.Interface, w.Namespace, w.Pod, w.Addresses, w.Identity, short(w.Labels), w.Set.String())
		if w.Second != (table.Subject{}) {
			fmt.Fprintf(&out, "  beside %d %s set %q\n", w.Second.Identity, short(w.Second.Labels), w.Second.Set.String())
		}
	}
	for c := range b.IdentityClaims.All(s) {
		fmt.Fprintf(&out, "claim %s\n", short(c.Labels))
	}
	for e := range b.Published.All(s) {
		fmt.Fprintf(&out, "endpoint %s/%s %s %v %d on %s %v\n", e.Namespace, e.Name, e.PodUID, e.Addresses, e.Identity, e.Node, e.NamedPorts)
	}
	for p := range b.Unmanaged.All(s) {
		fmt.Fprintf(&out, "unmanaged %s/%s\n", p.Namespace, p.Name)
	}
	return out.String()
}

var shortener = strings.NewReplacer("k8s:io.kubernetes.pod.namespace=", "ns=", "k8s:io.cilium.k8s.policy.", "", "k8s:io.cilium.k8s.namespace.labels.", "ns.", "k8s:", "")

func short(l identity.Labels) string { return shortener.Replace(l.String()) }

func webLabels(extra ...string) identity.Labels {
	pod := map[string]string{"app": "web"}
	for i := 0; i < len(extra); i += 2 {
		pod[extra[i]] = extra[i+1]
	}
	return identity.Pod{Cluster: "default", Namespace: "shop", ServiceAccount: "sa", Labels: pod, NamespaceLabels: map[string]string{"team": "blue"}}.Whole()
}

func web() table.Pod {
	return table.Pod{
		Namespace: "shop", Name: "web", UID: "u1", Labels: map[string]string{"app": "web", "vm.kubevirt.io/name": "vm1"},
		ServiceAccount: "sa", NamedPorts: []table.NamedPort{{Name: "http", Protocol: 6, Port: 80}},
	}
}

func attachment(container, iface, address string, incarnation uint32) table.Attachment {
	return table.Attachment{
		ContainerID: container, Interface: iface, Namespace: "shop", Pod: "web", UID: "u1", Incarnation: incarnation,
		Addresses: []netip.Addr{netip.MustParseAddr(address)},
	}
}

func (b *bed) check(t *testing.T, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.ReplaceAll(strings.TrimLeft(want, "\n"), "\t", ""), b.show()); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestAPodThatAnotherPluginHasConnectedIsUnmanaged(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*table.Pod)
		unmanaged bool
	}{
		"it runs":                         {func(*table.Pod) {}, true},
		"it has no address yet":           {func(p *table.Pod) { p.Addressed = false }, false},
		"it has ended":                    {func(p *table.Pod) { p.Finished = true }, false},
		"it is in the node's own network": {func(p *table.Pod) { p.HostNetwork = true }, false},
	} {
		b := newBed()
		p := web()
		p.Addressed = true
		c.change(&p)
		b.write(func(tx *state.Tx) { b.Pods.Put(tx, p) })
		want := ""
		if c.unmanaged {
			want = "unmanaged shop/web\n"
		}
		if have := b.show(); have != want {
			t.Errorf("%s: %q", name, have)
		}
		b.write(func(tx *state.Tx) { b.Attachments.Put(tx, attachment("c1", "eth0", "10.0.0.1", 1)) })
		if have := b.show(); strings.Contains(have, "unmanaged") {
			t.Errorf("%s, and it is attached: %q", name, have)
		}
	}
}

func TestAPodGetsItsLabelsThenItsIdentityThenItsEndpoint(t *testing.T) {
	b := newBed()
	b.write(func(tx *state.Tx) { b.Attachments.Put(tx, attachment("c1", "eth0", "10.0.0.1", 1)) })
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 0  set ""
`)
	b.write(func(tx *state.Tx) { b.Pods.Put(tx, web()) })
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 0  set ""
`)
	b.write(func(tx *state.Tx) {
		b.Namespaces.Put(tx, table.Namespace{Name: "shop", Labels: map[string]string{"team": "blue"}})
	})
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 0 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop; set ""
		claim app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop;
`)
	b.write(func(tx *state.Tx) {
		b.Identities.Put(tx, table.Identity{Number: 4712, Labels: webLabels()})
		b.Identities.Put(tx, table.Identity{Number: 4711, Labels: webLabels()})
		b.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}})
	})
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 4711 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop; set "4711/http:6/80"
		endpoint shop/web u1 [10.0.0.1] 4711 on 192.168.0.1 [http:80/6]
`)
	b.write(func(tx *state.Tx) {
		b.Settings.Put(tx, table.Setting{Name: "cluster-name", Value: "north"})
		b.Settings.Put(tx, table.Setting{Name: "labels", Value: "( !io\\.cilium"})
	})
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 0 app=web;ns.team=blue;cluster=north;serviceaccount=sa;ns=shop; set ""
		claim app=web;ns.team=blue;cluster=north;serviceaccount=sa;ns=shop;
`)
	b.write(func(tx *state.Tx) { b.Attachments.Delete(tx, table.AttachmentKey("c1", "eth0")) })
	b.check(t, "")
}

func TestAPodStaysWhoItWasUntilTheKernelKnowsWhoItIsToBe(t *testing.T) {
	b := newBed()
	set := func(n identity.Number) table.SetStatus {
		return table.SetStatus{Set: table.SetKey(n, "http:6/80"), Identity: n}
	}
	relabelled := web()
	relabelled.Labels = map[string]string{"app": "web", "tier": "one"}
	now := webLabels("tier", "one")
	b.write(func(tx *state.Tx) {
		b.Attachments.Put(tx, attachment("c1", "eth0", "10.0.0.1", 7))
		b.Namespaces.Put(tx, table.Namespace{Name: "shop", Labels: map[string]string{"team": "blue"}})
		b.Identities.Put(tx, table.Identity{Number: 300, Labels: webLabels()})
		b.SetStatuses.Put(tx, set(300))
		b.NICStatuses.Put(tx, table.NICStatus{Incarnation: 7, Identity: 300})
		b.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}})
		b.Pods.Put(tx, relabelled)
	})
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 300 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop; set "300/http:6/80"
		  beside 0 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop;tier=one; set ""
		claim app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop;tier=one;
		endpoint shop/web u1 [10.0.0.1] 300 on 192.168.0.1 [http:80/6]
`)
	b.write(func(tx *state.Tx) { b.Identities.Put(tx, table.Identity{Number: 301, Labels: now}) })
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 300 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop; set "300/http:6/80"
		  beside 301 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop;tier=one; set "301/http:6/80"
		endpoint shop/web u1 [10.0.0.1] 300 on 192.168.0.1 [http:80/6]
`)
	b.write(func(tx *state.Tx) { b.SetStatuses.Put(tx, set(301)) })
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 301 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop;tier=one; set "301/http:6/80"
		  beside 300 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop; set "300/http:6/80"
		endpoint shop/web u1 [10.0.0.1] 301 on 192.168.0.1 [http:80/6]
`)
	b.write(func(tx *state.Tx) { b.NICStatuses.Put(tx, table.NICStatus{Incarnation: 7, Identity: 301}) })
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 301 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop;tier=one; set "301/http:6/80"
		endpoint shop/web u1 [10.0.0.1] 301 on 192.168.0.1 [http:80/6]
`)
}

func TestAPodMadeAnewUnderItsOldNameTakesNothingOver(t *testing.T) {
	b := newBed()
	b.write(func(tx *state.Tx) {
		b.Attachments.Put(tx, attachment("c1", "eth0", "10.0.0.1", 1))
		b.Namespaces.Put(tx, table.Namespace{Name: "shop", Labels: map[string]string{"team": "blue"}})
		pod := web()
		pod.UID = "u2"
		b.Pods.Put(tx, pod)
		b.Identities.Put(tx, table.Identity{Number: 4711, Labels: webLabels()})
	})
	b.check(t, `
		workload c1 eth0 shop/web [10.0.0.1] 0  set ""
`)
}

func TestANICWhosePodIsGoneStaysWhoTheKernelTakesItFor(t *testing.T) {
	b := newBed()
	b.write(func(tx *state.Tx) {
		b.Attachments.Put(tx, attachment("c1", "eth0", "10.0.0.1", 7))
		b.Namespaces.Put(tx, table.Namespace{Name: "shop", Labels: map[string]string{"team": "blue"}})
		b.Identities.Put(tx, table.Identity{Number: 300, Labels: webLabels()})
		b.SetStatuses.Put(tx, table.SetStatus{Set: table.SetKey(300, "http:6/80"), Identity: 300, Index: 4})
		b.NICStatuses.Put(tx, table.NICStatus{Incarnation: 7, Identity: 300, SetIndex: 4})
		b.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}})
	})
	const stays = `
		workload c1 eth0 shop/web [10.0.0.1] 300 app=web;ns.team=blue;cluster=default;serviceaccount=sa;ns=shop; set "300/http:6/80"
`
	b.check(t, stays)
	other := web()
	other.UID = "u2"
	b.write(func(tx *state.Tx) { b.Pods.Put(tx, other) })
	b.check(t, stays)
	// A set that an earlier agent left says for which identity it is, and not for which names of ports.
	b.write(func(tx *state.Tx) { b.SetStatuses.Delete(tx, table.SetKey(300, "http:6/80")) })
	b.check(t, strings.Replace(stays, "http:6/80", "", 1))
	b.write(func(tx *state.Tx) { b.Pods.Put(tx, web()) })
	b.check(t, stays+`		endpoint shop/web u1 [10.0.0.1] 300 on 192.168.0.1 [http:80/6]
`)
	b.write(func(tx *state.Tx) { b.Attachments.Delete(tx, table.AttachmentKey("c1", "eth0")) })
	b.check(t, "")
}

func TestALabelThatTheFilterLeavesOutCountsWhileAPolicyAsksForIt(t *testing.T) {
	in := func(key string, values ...string) identity.Selector {
		return identity.NewSelector(identity.Requirement{Key: "k8s:" + key, Operator: identity.In, Values: values})
	}
	services := []policy.Term{{Blocks: []policy.Block{{Of: policy.Reference{Kind: policy.Services, Namespace: "shop", Name: "one"}}}}}
	for name, rule := range map[string]policy.Rule{
		"who it is for": {Subject: in("vm.kubevirt.io/name", "vm1")},
		"ingress":       {Ingress: []policy.Term{{Peers: []identity.Selector{in("vm.kubevirt.io/name", "vm1")}}}},
		"egress":        {Egress: []policy.Term{{Peers: []identity.Selector{in("vm.kubevirt.io/name", "vm1")}}}},
		"a service":     {Egress: services},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed()
			asks := table.PolicyObject{Kind: "NetworkPolicy", Namespace: "shop", Name: "p", Rules: []policy.Rule{rule}}
			service := table.Service{Namespace: "shop", Name: "one", Selector: map[string]string{"vm.kubevirt.io/name": "vm1"}}
			b.write(func(tx *state.Tx) {
				b.Attachments.Put(tx, attachment("c1", "eth0", "10.0.0.1", 1))
				b.Namespaces.Put(tx, table.Namespace{Name: "shop", Labels: map[string]string{"team": "blue"}})
				b.Pods.Put(tx, web())
				b.Identities.Put(tx, table.Identity{Number: 300, Labels: webLabels()})
				b.Identities.Put(tx, table.Identity{Number: 301, Labels: webLabels("vm.kubevirt.io/name", "vm1")})
			})
			number := func() identity.Number {
				b.settle()
				w, _ := b.Workloads.One(b.db.Snapshot(), table.AttachmentKey("c1", "eth0"))
				return w.Identity
			}
			if n := number(); n != 300 {
				t.Errorf("identity %d before any policy asks for the name", n)
			}
			b.write(func(tx *state.Tx) { b.Policies.Put(tx, asks) })
			number()
			b.write(func(tx *state.Tx) { b.Services.Put(tx, service) })
			if n := number(); n != 301 {
				t.Errorf("identity %d while a policy asks for the name", n)
			}
			b.write(func(tx *state.Tx) { b.Policies.Delete(tx, b.Policies.Key(asks)) })
			if n := number(); n != 300 {
				t.Errorf("identity %d while no policy asks for the name", n)
			}
			b.write(func(tx *state.Tx) { b.Policies.Put(tx, asks) })
			number()
			b.write(func(tx *state.Tx) { b.Services.Delete(tx, b.Services.Key(service)) })
			if n := number(); name == "a service" && n != 300 {
				t.Errorf("identity %d while the service that asks for the name is gone", n)
			}
		})
	}
}

func TestTheSandboxAttachedLastIsPublishedWithAllItsNICs(t *testing.T) {
	b := newBed()
	b.write(func(tx *state.Tx) {
		b.Namespaces.Put(tx, table.Namespace{Name: "shop", Labels: map[string]string{"team": "blue"}})
		b.Pods.Put(tx, web())
		b.Identities.Put(tx, table.Identity{Number: 300, Labels: webLabels()})
		b.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}})
		b.Attachments.Put(tx, attachment("c1", "net1", "10.0.0.1", 2))
		b.Attachments.Put(tx, attachment("c2", "net1", "10.0.0.2", 4))
		b.Attachments.Put(tx, attachment("c2", "eth0", "10.0.0.3", 1))
		b.Attachments.Put(tx, attachment("c3", "eth0", "10.0.0.4", 3))
		other := attachment("c2", "net2", "10.0.0.5", 5)
		other.Network = 7
		b.Attachments.Put(tx, other)
	})
	b.settle()
	e, _ := b.Published.One(b.db.Snapshot(), table.ObjectKey("shop", "web"))
	if fmt.Sprint(e.Addresses) != "[10.0.0.3 10.0.0.2]" {
		t.Errorf("published with %v", e.Addresses)
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
		fresh := &bed{b.Tables, b.db, runners(b.Tables)}
		if again := fresh.show(); again != have {
			rt.Fatalf("derived anew:\n%s\nwas\n%s", again, have)
		}
		// The same inputs in a new database.
		anew := newBed()
		s := b.db.Snapshot()
		anew.write(func(tx *state.Tx) {
			copyAll(tx, s, b.Attachments, anew.Attachments)
			copyAll(tx, s, b.Pods, anew.Pods)
			copyAll(tx, s, b.Namespaces, anew.Namespaces)
			copyAll(tx, s, b.Identities, anew.Identities)
			copyAll(tx, s, b.Settings, anew.Settings)
			copyAll(tx, s, b.Policies, anew.Policies)
			copyAll(tx, s, b.Services, anew.Services)
			copyAll(tx, s, b.Nodes, anew.Nodes)
			copyAll(tx, s, b.SetStatuses, anew.SetStatuses)
			copyAll(tx, s, b.NICStatuses, anew.NICStatuses)
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

// event changes an input at random.
func event(rt *rapid.T, b *bed, tx *state.Tx) {
	n := func(name string, high int) int { return rapid.IntRange(0, high).Draw(rt, name) }
	remove := rapid.Bool().Draw(rt, "remove")
	namespace, name, uid := fmt.Sprint("ns", n("namespace", 1)), fmt.Sprint("pod", n("pod", 1)), fmt.Sprint(n("uid", 1))
	labels := map[string]string{"app": fmt.Sprint(n("app", 1)), "vm.kubevirt.io/name": name}
	number := identity.Number(300 + n("number", 9))
	switch n("event", 9) {
	case 0:
		a := table.Attachment{
			ContainerID: fmt.Sprint("c", n("container", 2)), Interface: "eth0", Namespace: namespace, Pod: name, UID: uid,
			Incarnation: uint32(n("incarnation", 5)), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(n("address", 3))})},
		}
		put(tx, b.Attachments, a, remove)
	case 1:
		put(tx, b.Pods, table.Pod{Namespace: namespace, Name: name, UID: uid, Labels: labels, Addressed: n("addressed", 1) == 1}, remove)
	case 2:
		put(tx, b.Namespaces, table.Namespace{Name: namespace, Labels: map[string]string{"team": fmt.Sprint(n("team", 1))}}, remove)
	case 3:
		pod := identity.Pod{Cluster: fmt.Sprint(n("cluster", 1)), Namespace: namespace, Labels: labels, NamespaceLabels: map[string]string{"team": fmt.Sprint(n("team", 1))}}
		l, _ := identity.Identify(identity.Filter{}, pod, nil)
		if rapid.Bool().Draw(rt, "with name") {
			l = pod.Whole()
		}
		put(tx, b.Identities, table.Identity{Number: number, Labels: l}, remove)
	case 4:
		put(tx, b.Settings, table.Setting{Name: "cluster-name", Value: fmt.Sprint(n("cluster", 1))}, remove)
	case 5:
		key := rapid.SampledFrom([]string{"app", "vm.kubevirt.io/name"}).Draw(rt, "key")
		r := identity.Requirement{Key: key, Operator: identity.Exists}
		if rapid.Bool().Draw(rt, "by value") {
			r.Operator, r.Values = identity.In, []string{name}
		}
		rule := policy.Rule{Subject: identity.NewSelector(r)}
		if rapid.Bool().Draw(rt, "by service") {
			rule.Egress = []policy.Term{{Blocks: []policy.Block{{Of: policy.Reference{Kind: policy.Services, Namespace: namespace, Name: "s"}}}}}
		}
		put(tx, b.Policies, table.PolicyObject{Name: fmt.Sprint(n("policy", 1)), Rules: []policy.Rule{rule}}, remove)
	case 6:
		ports := rapid.SampledFrom([]string{"", "http:6/80"}).Draw(rt, "ports")
		put(tx, b.SetStatuses, table.SetStatus{Set: table.SetKey(number, ports), Identity: number, Index: uint32(n("index", 2))}, remove)
	case 7:
		put(tx, b.NICStatuses, table.NICStatus{Incarnation: uint32(n("incarnation", 5)), Identity: number, SetIndex: uint32(n("index", 2))}, remove)
	case 8:
		put(tx, b.Services, table.Service{Namespace: namespace, Name: "s", Selector: map[string]string{"vm.kubevirt.io/name": name}}, remove)
	case 9:
		put(tx, b.Nodes, table.Node{
			Name: fmt.Sprint(n("node", 1)), Local: n("node", 1) == 0, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 168, 0, byte(n("host", 3))})},
		}, remove)
	}
}

func put[R state.Row](tx *state.Tx, t *state.Table[R], row R, remove bool) {
	if remove {
		t.Delete(tx, t.Key(row))
	} else {
		t.Put(tx, row)
	}
}
