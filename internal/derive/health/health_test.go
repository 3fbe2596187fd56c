package health

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/healthcheck"
)

func addrs(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// bench is the derivation with a configuration.
type bench struct {
	t  *table.Tables
	db *state.DB
	d  *state.Derivation[healthcheck.Check]
	c  interface{ Step(*state.DB) bool }
}

func newBench() *bench {
	tables, db := table.New()
	return &bench{tables, db, New(tables, "n1"), config.New(tables)}
}

func (b *bench) write(do func(tx *state.Tx)) {
	if err := b.db.Write(func(tx *state.Tx) error { do(tx); return nil }); err != nil {
		panic(err)
	}
}

// rows are those that follow from the tables.
func (b *bench) rows() string {
	b.c.Step(b.db)
	b.d.Step(b.db)
	var list []string
	for row := range healthcheck.Table.All(b.db.Snapshot()) {
		list = append(list, strings.Join(row.Row(), " "))
	}
	return strings.Join(list, "\n")
}

func (b *bench) set(key, value string) {
	b.write(func(tx *state.Tx) { b.t.Settings.Put(tx, table.Setting{Name: key, Value: value}) })
}

func web() table.Service {
	return table.Service{Namespace: "shop", Name: "web", ClusterIPs: addrs("10.96.0.10", "fd00:96::10"), ExternalLocal: true, HealthCheckNodePort: 31234}
}

func slice(name string, endpoints ...table.SliceEndpoint) table.EndpointSlice {
	return table.EndpointSlice{Namespace: "shop", Name: name, Service: "web", Endpoints: endpoints}
}

func endpoint(node, address string) table.SliceEndpoint {
	return table.SliceEndpoint{Addresses: addrs(address), Ready: true, Serving: true, Node: node}
}

func TestALoadBalancerIsToldOfReadyEndpointsOfThisNodeByFamily(t *testing.T) {
	b := newBench()
	b.set("kube-proxy-replacement", "true")
	leaving, unready := endpoint("n1", "10.244.1.3"), endpoint("n1", "10.244.1.4")
	leaving.Ready, leaving.Terminating = false, true
	unready.Ready, unready.Serving = false, false
	b.write(func(tx *state.Tx) {
		b.t.Services.Put(tx, web())
		b.t.EndpointSlices.Put(tx, slice("web-1", endpoint("n1", "10.244.1.1"), endpoint("n1", "10.244.1.2"), leaving, unready, endpoint("n2", "10.244.2.1")))
		b.t.EndpointSlices.Put(tx, slice("web-2", endpoint("n1", "10.244.1.1"))) // the same, at another port
		b.t.EndpointSlices.Put(tx, slice("web-3", endpoint("n1", "fd00:244::1")))
	})
	const want = "tcp4 0.0.0.0:31234 shop/web 2 false\ntcp6 [::]:31234 shop/web 1 false"
	if have := b.rows(); have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
	for what, change := range map[string]func(s *table.Service){
		"its external traffic goes anywhere": func(s *table.Service) { s.ExternalLocal = false },
		"it has no such port":                func(s *table.Service) { s.HealthCheckNodePort = 0 },
		"it has no address":                  func(s *table.Service) { s.ClusterIPs = nil },
	} {
		s := web()
		change(&s)
		b.write(func(tx *state.Tx) { b.t.Services.Put(tx, s) })
		if have := b.rows(); have != "" {
			t.Errorf("%s, and there is\n%s", what, have)
		}
	}
	b.write(func(tx *state.Tx) {
		b.t.Services.Put(tx, web())
		b.t.EndpointSlices.Put(tx, slice("web-1"))
		b.t.EndpointSlices.Delete(tx, table.ObjectKey("shop", "web-2"))
	})
	if have, want := b.rows(), strings.Replace(want, "web 2", "web 0", 1); have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}

func TestOnlyWhereKubeProxyIsReplacedAnythingIsServed(t *testing.T) {
	for _, c := range []struct {
		replacement, services, address, want string
	}{
		{"", "", "", ""},
		{"false", "true", "0.0.0.0:10256", ""},
		{"partial", "", ":10256", ""},
		{"disabled", "", ":10256", ""},
		{"true", "", "", "tcp4 0.0.0.0:31234 shop/web 0 false"},
		{"strict", "", "", "tcp4 0.0.0.0:31234 shop/web 0 false"},
		{"probe", "false", ":10256", "tcp :10256 this node 0 false"},
		{"true", "", "0.0.0.0:10256", "tcp 0.0.0.0:10256 this node 0 false\ntcp4 0.0.0.0:31234 shop/web 0 false"},
		{"true", "false", "nonsense", ""},
	} {
		b := newBench()
		s := web()
		s.ClusterIPs = s.ClusterIPs[:1]
		b.write(func(tx *state.Tx) { b.t.Services.Put(tx, s) })
		if have := b.rows(); have != "" {
			t.Errorf("before it is asked for there is\n%s", have)
		}
		for key, value := range map[string]string{"kube-proxy-replacement": c.replacement, "enable-health-check-nodeport": c.services, "kube-proxy-replacement-healthz-bind-address": c.address} {
			if value != "" {
				b.set(key, value)
			}
		}
		if have := b.rows(); have != c.want {
			t.Errorf("%+v: have\n%s", c, have)
		}
	}
}

func TestANodeThatLeavesSaysSo(t *testing.T) {
	b := newBench()
	b.set("kube-proxy-replacement", "true")
	b.set("kube-proxy-replacement-healthz-bind-address", ":10256")
	for _, leaving := range []bool{false, true, false} {
		b.write(func(tx *state.Tx) {
			b.t.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Leaving: leaving})
			b.t.Nodes.Put(tx, table.Node{Name: "n2", Leaving: true})
		})
		if have, want := b.rows(), fmt.Sprintf("tcp :10256 this node 0 %v", leaving); have != want {
			t.Errorf("have %s, want %s", have, want)
		}
	}
}

func TestHealthChecksDoNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench()
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			name := fmt.Sprint("s", rapid.IntRange(0, 2).Draw(rt, "name"))
			b.write(func(tx *state.Tx) {
				switch rapid.IntRange(0, 5).Draw(rt, "event") {
				case 0:
					s := web()
					s.Name, s.ExternalLocal = name, rapid.Bool().Draw(rt, "local")
					s.HealthCheckNodePort = rapid.SampledFrom([]uint16{0, 31000, 31001}).Draw(rt, "port")
					b.t.Services.Put(tx, s)
				case 1:
					b.t.Services.Delete(tx, table.ObjectKey("shop", name))
				case 2:
					s := slice(name+"-1", endpoint(rapid.SampledFrom([]string{"n1", "n2"}).Draw(rt, "node"), "10.244.1.1"))
					s.Service = name
					b.t.EndpointSlices.Put(tx, s)
				case 3:
					b.t.EndpointSlices.Delete(tx, table.ObjectKey("shop", name+"-1"))
				case 4:
					b.t.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Leaving: rapid.Bool().Draw(rt, "leaving")})
				case 5:
					key := rapid.SampledFrom([][2]string{
						{"kube-proxy-replacement", "true"}, {"kube-proxy-replacement", "false"}, {"kube-proxy-replacement-healthz-bind-address", ":10256"}, {"enable-health-check-nodeport", "false"},
					}).Draw(rt, "key")
					b.t.Settings.Put(tx, table.Setting{Name: key[0], Value: key[1]})
				}
			})
			if rapid.Bool().Draw(rt, "step") {
				b.rows()
			}
		}
		have := b.rows()
		fresh := newBench()
		s := b.db.Snapshot()
		fresh.write(func(tx *state.Tx) {
			copyAll(tx, s, b.t.Services)
			copyAll(tx, s, b.t.EndpointSlices)
			copyAll(tx, s, b.t.Nodes)
			copyAll(tx, s, b.t.Settings)
		})
		if want := fresh.rows(); have != want {
			rt.Errorf("have\n%s\nfrom the same facts at once\n%s", have, want)
		}
	})
}

// copyAll puts the rows of a table into another database: tables are the same for all of them.
func copyAll[R state.Row](tx *state.Tx, from *state.Snapshot, t *state.Table[R]) {
	for row := range t.All(from) {
		t.Put(tx, row)
	}
}
