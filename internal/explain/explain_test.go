package explain

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var (
	webLabels = identity.NewLabels(map[string]string{"k8s:app": "web"})
	dbLabels  = identity.NewLabels(map[string]string{"k8s:app": "db"})
)

func selector(app string) identity.Selector {
	return identity.NewSelector(identity.Requirement{Key: "any:app", Operator: identity.In, Values: []string{app}})
}

// cluster is a web pod of this node, a database of another one, a service for it, and a policy that lets web reach it.
func cluster(t *testing.T, settings ...table.Setting) (*table.Tables, *state.Snapshot) {
	t.Helper()
	tables, db := table.New()
	err := db.Write(func(tx *state.Tx) error {
		for _, s := range settings {
			tables.Settings.Put(tx, s)
		}
		tables.Nodes.Put(tx, table.Node{Name: "a", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}})
		tables.Nodes.Put(tx, table.Node{Name: "b", Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.2")}})
		tables.Workloads.Put(tx, table.Workload{ContainerID: "1", Namespace: "shop", Pod: "web", Subject: table.Subject{Identity: 300, Labels: webLabels}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}})
		tables.Identities.Put(tx, table.Identity{Number: 300, Labels: webLabels})
		tables.Identities.Put(tx, table.Identity{Number: 301, Labels: dbLabels})
		tables.Endpoints.Put(tx, table.Endpoint{
			Namespace: "shop", Name: "db-0", Identity: 301, Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("fd00::1")},
			Node:       netip.MustParseAddr("192.168.0.2"),
			NamedPorts: []table.NamedPort{{Name: "sql", Protocol: policy.TCP, Port: 5432}},
		})
		tables.Services.Put(tx, table.Service{Namespace: "shop", Name: "db", ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}, Ports: []table.ServicePort{{Name: "sql", Protocol: policy.TCP, Port: 15432}}})
		tables.EndpointSlices.Put(tx, table.EndpointSlice{
			Namespace: "shop", Name: "db-x", Service: "db", Ports: []table.NamedPort{{Name: "sql", Protocol: policy.TCP, Port: 5432}},
			Endpoints: []table.SliceEndpoint{{Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.1")}, Ready: true}},
		})
		tables.IPCache.Put(tx, table.IPCacheRow{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Identity: identity.WorldIPv4})
		tables.IPCache.Put(tx, table.IPCacheRow{Prefix: netip.MustParsePrefix("10.0.2.0/24"), Identity: identity.Unmanaged})
		tables.Policies.Put(tx, table.PolicyObject{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "db", Valid: true, Rules: []policy.Rule{{
			Origin:  policy.Origin{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "db"},
			Subject: selector("db"), DefaultDenyIngress: true,
			Ingress: []policy.Term{{Path: "ingress[0]", Peers: []identity.Selector{selector("web")}, Ports: []policy.Port{{Protocol: policy.TCP, Name: "sql"}}}},
		}}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	config.New(tables).Step(db)
	return tables, db.Snapshot()
}

func TestEndsAreFoundByWhatPeopleKnowOfThem(t *testing.T) {
	tables, s := cluster(t)
	for _, test := range []struct{ from, to, want string }{
		{"shop/web", "shop/db-0:5432", "shop/web 300 -> shop/db-0 301 tcp/5432 allow allow"},
		{"10.0.0.1", "10.0.1.1:sql", "shop/web 300 -> shop/db-0 301 tcp/5432 allow allow"},
		{"shop/web", "shop/db:15432", "shop/web 300 -> shop/db-0 301 tcp/5432 allow allow"},
		{"shop/web", "shop/db:sql", "shop/web 300 -> shop/db-0 301 tcp/5432 allow allow"},
		{"shop/web", "10.96.0.1:15432", "shop/web 300 -> shop/db-0 301 tcp/5432 allow allow"},
		{"shop/web", "[fd00::1]:icmp", "shop/web 300 -> shop/db-0 301 icmp6/128 allow deny-implicit"},
		{"192.168.0.1", "shop/db-0:1", "node a 6 -> shop/db-0 301 tcp/1 allow deny-implicit"},
		{"192.168.0.2", "shop/db-0:1", "node b 1 -> shop/db-0 301 tcp/1 allow allow"},
		{"host", "shop/db-0:1", "host (node b) 1 -> shop/db-0 301 tcp/1 allow allow"},
		{"node:a", "shop/web:1", "node a 1 -> shop/web 300 tcp/1 allow allow"},
		{"shop/web", "node:b:22", "shop/web 300 -> node b 6 tcp/22 allow allow"},
		{"world", "host:22", "world 2 -> host (node a) 6 tcp/22 allow allow"},
		{"10.0.2.9", "shop/db-0:1", "10.0.2.9 3 -> shop/db-0 301 tcp/1 allow deny-implicit"},
		{"192.0.2.1", "shop/web:80/udp", "192.0.2.1 9 -> shop/web 300 udp/80 allow allow"},
		{"remote-node", "shop/web:80", "remote-node 6 -> shop/web 300 tcp/80 allow allow"},
	} {
		answers, err := Explain(s, tables, "", test.from, test.to)
		if err != nil || len(answers) != 1 {
			t.Errorf("%s to %s: %v %v", test.from, test.to, answers, err)
			continue
		}
		x := answers[0]
		have := strings.Join([]string{x.From.Name, number(x.From.Identity), "->", x.To.Name, number(x.To.Identity), x.Port, x.Egress.Verdict, x.Ingress.Verdict}, " ")
		if have != test.want {
			t.Errorf("%s to %s: %s, want %s", test.from, test.to, have, test.want)
		}
	}
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func TestTheConfigurationIsAReasonToo(t *testing.T) {
	for _, test := range []struct{ name, value, from, reason, verdict string }{
		{"policy-enforcement-mode", "always", "remote-node", "what no rule allows is denied (policy-enforcement-mode: always)", "deny-implicit"},
		{"policy-enforcement-mode", "never", "remote-node", "policies are without effect (policy-enforcement-mode: never)", "allow"},
		{"allow-localhost", "policy", "host", "", "deny-implicit"},
	} {
		tables, s := cluster(t, table.Setting{Name: test.name, Value: test.value})
		to := "shop/web:1"
		if test.from == "host" {
			to = "shop/db-0:1"
		}
		answers, err := Explain(s, tables, "", test.from, to)
		if err != nil || answers[0].Ingress.Reason != test.reason || answers[0].Ingress.Verdict != test.verdict {
			t.Errorf("%s=%s: %+v %v", test.name, test.value, answers, err)
		}
	}
}

func TestEffectiveNamesPeersAndMergesPorts(t *testing.T) {
	tables, s := cluster(t)
	e, err := Effective(s, tables, "", "shop/db-0")
	if err != nil || !e.Ingress.Isolated || e.Egress.Isolated || len(e.Ingress.Peers) != 3 {
		t.Fatalf("%+v %v", e, err)
	}
	if web := e.Ingress.Peers[1]; !slices.Equal(web.Names, []string{"shop/web"}) || !slices.Equal(web.Ports, []string{"tcp/5432"}) || !slices.Equal(web.Rules, []string{"cnp shop/db ingress[0]"}) {
		t.Errorf("%+v", web)
	}
}

func TestWhatAnEarlierTierPassesOnIsTold(t *testing.T) {
	tables, db := table.New()
	origin := policy.Origin{Kind: "ClusterNetworkPolicy", Name: "guard"}
	term := func(path, app string, action policy.Action, rank uint32) policy.Term {
		return policy.Term{Path: path, Action: action, Rank: rank, Peers: []identity.Selector{selector(app)}, Ports: []policy.Port{policy.AnyPort}}
	}
	rules := map[string]policy.Rule{
		"guard": {Origin: origin, Subject: selector("db"), Tier: policy.Admin, Ingress: []policy.Term{term("ingress[0]", "web", policy.ActionPass, 9), term("ingress[1]", "db", policy.ActionDeny, 8)}},
		"base":  {Origin: origin, Subject: selector("db"), Tier: policy.Baseline, Ingress: []policy.Term{term("ingress[0]", "web", policy.ActionDeny, 9), term("ingress[1]", "db", policy.ActionPass, 8)}},
	}
	err := db.Write(func(tx *state.Tx) error {
		for app, n := range map[string]identity.Number{"web": 300, "db": 301} {
			labels := identity.NewLabels(map[string]string{"k8s:app": app, "k8s:io.kubernetes.pod.namespace": "shop"})
			tables.Identities.Put(tx, table.Identity{Number: n, Labels: labels})
			tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: app, Identity: n, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 1, byte(n)})}})
		}
		for name, r := range rules {
			tables.Policies.Put(tx, table.PolicyObject{Kind: origin.Kind, Name: name, Valid: true, Rules: []policy.Rule{r}})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := Explain(db.Snapshot(), tables, "", "shop/web", "shop/db:80")
	if err != nil {
		t.Fatal(err)
	}
	side := answers[0].Ingress
	if side.Verdict != "deny" || !slices.Equal(side.Passed, []string{"cnetpol guard ingress[0]"}) || !slices.Equal(side.Rules, []string{"cnetpol guard ingress[0]"}) {
		t.Errorf("%+v", side)
	}
}
