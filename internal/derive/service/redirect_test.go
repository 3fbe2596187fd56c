package service

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

func dns() table.Service {
	return table.Service{Namespace: "sys", Name: "dns", ClusterIPs: addrs("10.96.0.10"), Ports: []table.ServicePort{
		{Name: "dns", Protocol: 17, Port: 53}, {Name: "dns-tcp", Protocol: 6, Port: 53}, {Name: "metrics", Protocol: 6, Port: 9153},
	}}
}

func dnsSlice() table.EndpointSlice {
	return table.EndpointSlice{
		Namespace: "sys", Name: "dns-x", Service: "dns",
		Ports:     []table.NamedPort{{Name: "dns", Protocol: 17, Port: 53}, {Name: "dns-tcp", Protocol: 6, Port: 53}, {Name: "metrics", Protocol: 6, Port: 9153}},
		Endpoints: []table.SliceEndpoint{{Addresses: addrs("10.244.2.9"), Ready: true, Serving: true, Node: "n2"}},
	}
}

// squeeze takes the width of columns from a text.
func squeeze(text string) string { return regexp.MustCompile(` +`).ReplaceAllString(text, " ") }

// local puts a pod of node n1 with an address of its own.
func local(t *table.Tables, tx *state.Tx, name, address string, ready bool) {
	t.Pods.Put(tx, table.Pod{Namespace: "sys", Name: name, UID: name, Node: "n1", Labels: map[string]string{"app": "cache"}, Ready: ready})
	t.Workloads.Put(tx, table.Workload{ContainerID: name, Interface: "eth0", Namespace: "sys", Pod: name, UID: name, Addresses: addrs(address)})
}

// allow turns redirects on or off.
func allow(t *table.Tables, tx *state.Tx, on bool) {
	t.Configs.Put(tx, table.Config{Concern: settings.OfServices, Settings: settings.Config{Services: settings.Services{Redirects: on}}})
}

func ofService(name string, created int64) redirect.Policy {
	return redirect.Policy{
		Namespace: "sys", Name: name, Created: created, Service: "dns",
		Backends: []redirect.Port{{Name: "dns", Protocol: 17, Port: 5353}, {Name: "dns-tcp", Protocol: 6, Port: 5354}},
		Selector: identity.NewSelector(identity.Requirement{Key: "k8s:app", Operator: identity.In, Values: []string{"cache"}}),
	}
}

func TestAPolicyLeadsAServiceToReadyPodsOfThisNode(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	expect := func(what, want string) {
		t.Helper()
		d.Step(db)
		head := "Address     Port  Protocol  Service  Kind       Scope    Affinity  Maglev  Sources  Backends\n"
		if diff := cmp.Diff(head+want, show(tables, db)); diff != "" {
			t.Errorf("%s (-want +have):\n%s", what, diff)
		}
	}
	plain := `10.96.0.10  0     0         sys/dns  ClusterIP  cluster  0         0       -        -
10.96.0.10  53    6         sys/dns  ClusterIP  cluster  0         0       -        10.244.2.9:53
10.96.0.10  53    17        sys/dns  ClusterIP  cluster  0         0       -        10.244.2.9:53
10.96.0.10  9153  6         sys/dns  ClusterIP  cluster  0         0       -        10.244.2.9:9153
`
	write(db, func(tx *state.Tx) {
		allow(tables, tx, true)
		tables.Services.Put(tx, dns())
		tables.EndpointSlices.Put(tx, dnsSlice())
		redirect.Table.Put(tx, ofService("local", 5))
	})
	expect("without a pod", plain)
	write(db, func(tx *state.Tx) { local(tables, tx, "c1", "10.244.1.5", true) })
	led := `10.96.0.10  0     0         sys/dns  ClusterIP  cluster  0         0       -        -
10.96.0.10  53    6         sys/dns  ClusterIP  cluster  0         0       -        10.244.1.5:5354,10.244.2.9:53(far)
10.96.0.10  53    17        sys/dns  ClusterIP  cluster  0         0       -        10.244.1.5:5353,10.244.2.9:53(far)
10.96.0.10  9153  6         sys/dns  ClusterIP  cluster  0         0       -        10.244.2.9:9153
`
	expect("with one that is ready", led)
	write(db, func(tx *state.Tx) { allow(tables, tx, false) })
	expect("turned off", plain)
	write(db, func(tx *state.Tx) { allow(tables, tx, true) })
	expect("turned on again", led)
	write(db, func(tx *state.Tx) {
		other := ofService("other", 7)
		other.Backends = []redirect.Port{{Name: "dns", Protocol: 17, Port: 1}, {Name: "dns-tcp", Protocol: 6, Port: 1}}
		redirect.Table.Put(tx, other)
		tables.Pods.Put(tx, table.Pod{Namespace: "sys", Name: "elsewhere", Node: "n2", Labels: map[string]string{"app": "cache"}, Ready: true})
		tables.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "stranger", Node: "n1", Labels: map[string]string{"app": "cache"}, Ready: true})
	})
	expect("a younger policy, pods of another node and namespace", led)
	write(db, func(tx *state.Tx) { local(tables, tx, "c1", "10.244.1.5", false) })
	expect("not ready: datagrams have it no more, connections keep it", `10.96.0.10  0     0         sys/dns  ClusterIP  cluster  0         0       -        -
10.96.0.10  53    6         sys/dns  ClusterIP  cluster  0         0       -        10.244.1.5:5354(far),10.244.2.9:53
10.96.0.10  53    17        sys/dns  ClusterIP  cluster  0         0       -        10.244.2.9:53
10.96.0.10  9153  6         sys/dns  ClusterIP  cluster  0         0       -        10.244.2.9:9153
`)
	write(db, func(tx *state.Tx) {
		redirect.Table.Delete(tx, table.ObjectKey("sys", "local"))
		redirect.Table.Delete(tx, table.ObjectKey("sys", "other"))
	})
	expect("without a policy", plain)
	write(db, func(tx *state.Tx) {
		p := ofService("one", 1)
		p.Ports, p.Backends, p.Skips = []redirect.Port{{Protocol: 17, Port: 53}}, []redirect.Port{{Protocol: 17, Port: 53}}, true
		redirect.Table.Put(tx, p)
		local(tables, tx, "c1", "10.244.1.5", true)
	})
	d.Step(db)
	want := `Address     Port  Protocol  Service  Kind       Scope    Affinity  Maglev  Sources                             Backends
10.96.0.10  0     0         sys/dns  ClusterIP  cluster  0         0       -                                   -
10.96.0.10  53    6         sys/dns  ClusterIP  cluster  0         0       -                                   10.244.2.9:53
10.96.0.10  53    17        sys/dns  ClusterIP  behind   0         0       -                                   10.244.2.9:53
10.96.0.10  53    17        sys/dns  ClusterIP  cluster  0         0       not 10.244.1.5/32,0.0.0.0/0,::/0    10.244.1.5:53
10.96.0.10  9153  6         sys/dns  ClusterIP  cluster  0         0       -                                   10.244.2.9:9153
`
	if diff := cmp.Diff(squeeze(want), squeeze(show(tables, db))); diff != "" {
		t.Errorf("one port, and the pods themselves are led past it (-want +have):\n%s", diff)
	}
}

func TestAPolicyLeadsAnAddressThatIsNoServices(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	metadata := func(name string, created int64, to uint16) redirect.Policy {
		p := ofService(name, created)
		p.Service, p.Address = "", netip.MustParseAddr("169.254.169.254")
		p.Ports, p.Backends = []redirect.Port{{Protocol: 6, Port: 80}}, []redirect.Port{{Protocol: 6, Port: to}}
		return p
	}
	have := func() string {
		d.Step(db)
		out := ""
		for f := range tables.Frontends.All(db.Snapshot()) {
			if f.Kind == table.LocalRedirect && !f.Passes {
				t.Errorf("%v does not pass calls that it cannot lead", f)
			}
			out += f.Row()[0] + " " + f.Row()[1] + " " + f.Row()[3] + " " + f.Row()[9] + "\n"
		}
		return out
	}
	expect := func(what, want string) {
		t.Helper()
		if diff := cmp.Diff(want, have()); diff != "" {
			t.Errorf("%s (-want +have):\n%s", what, diff)
		}
	}
	write(db, func(tx *state.Tx) {
		allow(tables, tx, true)
		redirect.Table.Put(tx, metadata("b", 3, 81))
		redirect.Table.Put(tx, metadata("c", 3, 82))
		redirect.Table.Put(tx, metadata("d", 4, 83))
	})
	expect("no pod: it stands, and leads nothing", "169.254.169.254 80 sys/b:local-redirect \n")
	write(db, func(tx *state.Tx) { local(tables, tx, "c1", "10.244.1.5", true) })
	expect("the oldest, of these the first by name", "169.254.169.254 80 sys/b:local-redirect 10.244.1.5:81\n")
	may := func(ranges ...netip.Prefix) {
		write(db, func(tx *state.Tx) {
			t := settings.Services{Redirects: true, Redirected: ranges}
			tables.Configs.Put(tx, table.Config{Concern: settings.OfServices, Settings: settings.Config{Services: t}})
		})
	}
	may(netip.MustParsePrefix("192.0.2.0/24"))
	expect("the address is in no range that policies may name", "")
	may(netip.MustParsePrefix("169.254.0.0/16"))
	expect("it is in one", "169.254.169.254 80 sys/b:local-redirect 10.244.1.5:81\n")
	write(db, func(tx *state.Tx) { redirect.Table.Put(tx, metadata("c", 2, 82)) })
	expect("another is older", "169.254.169.254 80 sys/c:local-redirect 10.244.1.5:82\n")
	write(db, func(tx *state.Tx) {
		s := dns()
		s.ClusterIPs, s.Ports = addrs("169.254.169.254"), []table.ServicePort{{Protocol: 6, Port: 80}}
		tables.Services.Put(tx, s)
	})
	expect("a service has the address", "169.254.169.254 0 sys/dns \n169.254.169.254 80 sys/dns \n")
	write(db, func(tx *state.Tx) {
		tables.Services.Delete(tx, table.ObjectKey("sys", "dns"))
		tables.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: addrs("192.168.0.1")})
		tables.Pods.Put(tx, table.Pod{Namespace: "sys", Name: "host", Node: "n1", Labels: map[string]string{"app": "cache"}, Ready: true, HostNetwork: true})
		local(tables, tx, "c1", "10.244.1.5", false)
	})
	expect("a pod on the host network", "169.254.169.254 80 sys/c:local-redirect 10.244.1.5:82(far),192.168.0.1:82\n")
}

func TestAPolicyLeadsTheNodesOwnCallersAlone(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	write(db, func(tx *state.Tx) {
		tables.Configs.Put(tx, table.Config{Concern: settings.OfServices, Settings: settings.Config{Services: settings.Services{
			Redirects: true, Outside: settings.Outside{NodePorts: true, ClusterIPs: true},
		}}})
		tables.Services.Put(tx, dns())
		tables.EndpointSlices.Put(tx, dnsSlice())
		redirect.Table.Put(tx, ofService("local", 5))
		local(tables, tx, "c1", "10.244.1.5", true)
	})
	d.Step(db)
	for _, want := range []string{
		"10.96.0.10 53 17 sys/dns ClusterIP cluster 0 0 - 10.244.1.5:5353,10.244.2.9:53(far)\n",
		"10.96.0.10 53 17 sys/dns ClusterIP outside 0 0 - 10.244.2.9:53\n",
	} {
		if have := squeeze(show(tables, db)); !strings.Contains(have, want) {
			t.Errorf("frontends\n%swant\n%s", have, want)
		}
	}
}

// An older policy names a port that fits none of its pods' ports: it leads no calls of that, and keeps no other policy from doing so.
func TestAPortThatLeadsNowhereIsAnothers(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	of := func(name string, created int64, frontends ...redirect.Port) redirect.Policy {
		p := ofService(name, created)
		p.Service, p.Address, p.Ports = "", netip.MustParseAddr("169.254.169.254"), frontends
		return p
	}
	write(db, func(tx *state.Tx) {
		allow(tables, tx, true)
		local(tables, tx, "c1", "10.244.1.5", true)
		redirect.Table.Put(tx, of("old", 1, redirect.Port{Name: "dns", Protocol: 17, Port: 53}, redirect.Port{Name: "other", Protocol: 6, Port: 80}))
		redirect.Table.Put(tx, of("young", 2, redirect.Port{Name: "dns-tcp", Protocol: 6, Port: 80}))
	})
	d.Step(db)
	have := ""
	for f := range tables.Frontends.All(db.Snapshot()) {
		have += f.Row()[1] + " " + f.Row()[2] + " " + f.Row()[3] + " " + f.Row()[9] + "\n"
	}
	want := "53 17 sys/old:local-redirect 10.244.1.5:5353\n80 6 sys/young:local-redirect 10.244.1.5:5354\n"
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}
