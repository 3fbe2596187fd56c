package packet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/derive/ipcache"
	derived "weftnet.io/weftnet/internal/derive/policy"
	frontend "weftnet.io/weftnet/internal/derive/service"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/oracle"
	"weftnet.io/weftnet/test/oracle/product"
	"weftnet.io/weftnet/test/oracle/random"
	"weftnet.io/weftnet/test/oracle/raw"
)

// end is where a packet of the suite comes from or goes to, in each family that it has.
type end struct {
	kind    string // pod, far pod, this node, node, world, service, node port
	name    string // by which people ask for it; empty: an address is all it has
	four    netip.Addr
	six     netip.Addr
	offered string // port of the service that has the address: 80/tcp; empty: it has none
}

func (p end) address(six bool) netip.Addr {
	if six {
		return p.six
	}
	return p.four
}

// stage is the kernel with a world in it, and the tables of the agent that would have put it there.
type stage struct {
	*bench
	p         *product.Product
	w         *oracle.World
	snapshot  *state.Snapshot
	ends      map[string][]end // by kind
	kinds     []string
	ipcache   []table.IPCacheRow
	frontends []table.Frontend
	wire      uint32          // device of what comes from elsewhere
	replaces  bool            // programs translate what the outside calls; else kube-proxy does
	used      map[string]bool // rows of connections that have no port to tell them apart
}

// doubled are the second addresses of pods and nodes, and where pods run.
var doubled = map[string]struct{ address, node string }{
	"shop/web": {"fd00:1::3", "a"}, "shop/db": {"fd00:1::4", "a"}, "shop/db-2": {"fd00:1::5", "a"}, "blog/api": {"10.1.4.4", "a"},
	"shop/web-2": {"fd00:2::3", "b"}, "blog/web": {"fd00:2::4", "b"},
	"/a": {"fd00:18::1", ""}, "/b": {"fd00:18::2", ""}, "/c": {"172.18.0.3", ""},
}

// cluster is a random world in both families on several nodes, with services at all kinds of addresses.
func cluster(t *rapid.T) *oracle.World {
	w := random.World(t)
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	add := func(list *[]oracle.Object, format string, args ...any) {
		var o oracle.Object
		if err := json.Unmarshal(fmt.Appendf(nil, format, args...), &o); err != nil {
			t.Fatal(err)
		}
		*list = append(*list, o)
	}
	add(&w.Pods, `{"kind":"Pod","metadata":{"namespace":"shop","name":"db-2","labels":{"app":"db","tier":"back","k8s-app":"kube-dns"}},
		"status":{"podIP":"10.1.3.2"},"spec":{"serviceAccountName":"default","containers":[{"name":"c","ports":[%s]}]}}`,
		one("ports of the twin", ``, `{"name":"http","containerPort":81}`, `{"name":"http","containerPort":80,"hostPort":8085},{"name":"dns","containerPort":53,"protocol":"UDP"}`))
	for _, pod := range w.Pods {
		meta, status := raw.Sub(pod, "metadata"), raw.Sub(pod, "status")
		second := doubled[raw.Text(meta, "namespace")+"/"+raw.Text(meta, "name")]
		raw.Sub(pod, "spec")["nodeName"] = second.node
		status["podIPs"] = []any{oracle.Object{"ip": status["podIP"]}, oracle.Object{"ip": second.address}}
	}
	for _, node := range w.Nodes {
		status := raw.Sub(node, "status")
		second := doubled["/"+raw.Text(raw.Sub(node, "metadata"), "name")]
		status["addresses"] = append(status["addresses"].([]any), oracle.Object{"type": "InternalIP", "address": second.address})
	}
	for i := range 2 {
		add(&w.Services, `{"kind":"Service","metadata":{"namespace":"front","name":"s%d"},"spec":{"clusterIP":"10.96.0.%[1]d","clusterIPs":["10.96.0.%[1]d","fd00:96::%[1]d"],
			"internalTrafficPolicy":%q,"externalIPs":[%q,"2001:db8:77::%[1]d"],"ports":[{"name":"t","port":80,"nodePort":%[4]d},{"name":"u","port":53,"protocol":"UDP","nodePort":%[5]d},{"name":"s","port":80,"protocol":"SCTP"}]}}`,
			i, one("traffic policy", "Cluster", "Cluster", "Local"), one("external", fmt.Sprint("192.0.2.7", i), "172.18.0.2", "172.18.0.1"), 30080+i, one2(t, 30053+i, 20053+i))
		for _, family := range []string{"IPv4", "IPv6"} {
			for at := range rapid.SampledFrom([]int{1, 1, 2, 2, 2, 3, 0}).Draw(t, "backends") {
				backend := one("backend", "shop/web", "shop/db", "shop/db-2", "blog/api", "shop/web-2", "blog/web", "outside", "node")
				add(&w.Slices, `{"kind":"EndpointSlice","metadata":{"namespace":"front","name":"s%d-%s-%d","labels":{"kubernetes.io/service-name":"s%[1]d"}},"addressType":%[2]q,
					"ports":[{"name":"t","port":%[4]d},{"name":"u","protocol":"UDP","port":53},{"name":"s","protocol":"SCTP","port":80}],"endpoints":[{"addresses":[%[5]q],"nodeName":%[6]q,"conditions":{"ready":true}}]}`,
					i, family, at, one2(t, 80, 8080), backendOf(w, backend, family == "IPv6"), doubled[backend].node)
			}
		}
	}
	return w
}

func one2(t *rapid.T, a, b int) int { return rapid.SampledFrom([]int{a, b}).Draw(t, "number") }

// backendOf is the address of an end that may serve.
func backendOf(w *oracle.World, name string, six bool) string {
	own := map[string][2]string{"outside": {"192.0.2.10", "2001:db8:2::9"}, "node": {"172.18.0.2", "fd00:18::2"}}[name]
	if namespace, pod, ok := strings.Cut(name, "/"); ok {
		for _, a := range []string{w.Pod(namespace, pod).Address.String(), doubled[name].address} {
			if strings.Contains(a, ":") {
				own[1] = a
			} else {
				own[0] = a
			}
		}
	}
	if six {
		return own[1]
	}
	return own[0]
}

// play puts a world into the kernel, by the agent's own tables.
func (s *stage) play(w *oracle.World) error {
	p, err := product.New(w)
	if err != nil {
		return err
	}
	s.p, s.w, s.world, s.used, s.lists = p, w, w, map[string]bool{}, map[uint32][]string{}
	if err := s.attach(); err != nil {
		return err
	}
	if err := s.tables2kernel(); err != nil {
		return err
	}
	s.snapshot = p.DB().Snapshot()
	s.ends = s.endsOf()
	s.kinds = slices.Sorted(maps.Keys(s.ends))
	return s.forget()
}

// attach makes NICs of the pods that are here, and says so in the tables of the world.
func (s *stage) attach() error {
	type nic struct {
		w table.Workload
		n table.NIC
	}
	var list []nic
	for w := range s.p.Workloads.All(s.p.DB().Snapshot()) {
		name := w.Namespace + "/" + w.Pod
		if _, there := s.devices[name]; !there {
			device := strings.ReplaceAll(name, "/", "-")
			if err := s.addNIC(device, w.Addresses, w.Identity); err != nil {
				return err
			}
			s.devices[name] = s.devices[device]
		}
		row := s.devices[name]
		row.Identity = w.Identity
		s.devices[name] = row
		list = append(list, nic{w, row})
	}
	return s.p.DB().Write(func(tx *state.Tx) error {
		said := map[string]string{"routing-mode": "native", "enable-ipv4": "true", "enable-ipv6": "true", "kube-proxy-replacement": fmt.Sprint(s.replaces)}
		for name, value := range said {
			s.p.Settings.Put(tx, table.Setting{Name: name, Value: value})
		}
		for _, one := range list {
			s.p.Attachments.Put(tx, table.Attachment{
				ContainerID: one.w.ContainerID, Interface: one.w.Interface, Namespace: one.w.Namespace, Pod: one.w.Pod,
				Addresses: one.w.Addresses, HostName: one.n.Device, Incarnation: one.n.Incarnation,
			})
			s.p.Devices.Put(tx, table.Device{Index: int(one.n.Ifindex), Name: one.n.Device})
		}
		return nil
	})
}

// tables2kernel derives what the kernel gets, and gives it.
func (s *stage) tables2kernel() error {
	db := s.p.DB()
	c, h, f := config.New(s.p.Tables), ipcache.New(s.p.Tables), frontend.New(s.p.Tables, "a")
	for c.Step(db) || h.Step(db) || f.Step(db) {
		continue
	}
	r, ctx := db.Snapshot(), context.Background()
	var ipcache []table.IPCacheRow
	for row := range s.p.IPCache.All(r) {
		ipcache = append(ipcache, row)
	}
	var frontends []table.Frontend
	for row := range s.p.Frontends.All(r) {
		frontends = append(frontends, row)
	}
	gone := slices.DeleteFunc(s.ipcache, func(a table.IPCacheRow) bool {
		return slices.ContainsFunc(ipcache, func(b table.IPCacheRow) bool { return a.Prefix == b.Prefix })
	})
	if err := s.bench.ipcache.Unset(ctx, gone); err != nil {
		return err
	}
	if err := s.bench.ipcache.Set(ctx, ipcache); err != nil {
		return err
	}
	if err := s.lb.Unset(ctx, s.frontends); err != nil {
		return err
	}
	if err := s.lb.Set(ctx, frontends); err != nil {
		return err
	}
	s.ipcache, s.frontends = ipcache, frontends
	none := mac(0)
	s.devices["node"] = table.NIC{Identity: identity.Host, Incarnation: math.MaxUint32, MAC: none, HostMAC: none, SetIndex: s.devices["node"].SetIndex}
	if set, ok := s.p.PolicySets.One(r, table.HostSet); ok {
		if err := s.govern("node", set); err != nil {
			return err
		}
	}
	for w := range s.p.Workloads.All(r) {
		set, ok := s.p.PolicySets.One(r, w.Set)
		if !ok {
			return fmt.Errorf("%s/%s has no policy set", w.Namespace, w.Pod)
		}
		if err := s.govern(w.Namespace+"/"+w.Pod, set); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) govern(name string, set table.PolicySet) error {
	for _, e := range set.Entries {
		number := derived.ListNumber(e.Rules)
		s.lists[number] = nil
		for _, o := range e.Rules {
			s.lists[number] = append(s.lists[number], o.String())
		}
	}
	s.entries[name], s.ranges[name] = set.Entries, set.Ranges
	return s.enforce(name)
}

// endsOf are those that packets of a world come from or go to.
func (s *stage) endsOf() map[string][]end {
	of := map[string][]end{}
	both := func(kind, name, offered string, addresses ...netip.Addr) {
		p := end{kind: kind, name: name, offered: offered}
		for _, a := range addresses {
			if a.Is6() {
				p.six = a
			} else {
				p.four = a
			}
		}
		of[kind] = append(of[kind], p)
	}
	for w := range s.p.Workloads.All(s.snapshot) {
		both("pod", w.Namespace+"/"+w.Pod, "", w.Addresses...)
	}
	for e := range s.p.Endpoints.All(s.snapshot) {
		both("far pod", e.Namespace+"/"+e.Name, "", e.Addresses...)
	}
	for n := range s.p.Nodes.All(s.snapshot) {
		both(map[bool]string{true: "this node", false: "node"}[n.Local], "node:"+n.Name, "", n.Addresses...)
	}
	for _, pair := range [][2]string{{"192.0.2.10", "2001:db8:2::9"}, {"192.0.2.200", "2001:db8:1::2"}, {"8.8.8.8", "fd00::1"}, {"10.200.0.1", "::2"}} {
		both("world", "", "", netip.MustParseAddr(pair[0]), netip.MustParseAddr(pair[1]))
	}
	for _, f := range s.frontends {
		if f.Namespace != "front" || f.Port == 0 || f.Scope != table.ScopeCluster { // not a port of it
			continue
		}
		port := fmt.Sprintf("%d/%s", f.Port, protocolNames[f.Protocol])
		if !f.Address.IsUnspecified() {
			both("service", "", port, f.Address)
			continue
		}
		for n := range s.p.Nodes.All(s.snapshot) {
			for _, a := range n.Addresses {
				if a.Is6() == f.Address.Is6() {
					both("node port", "", port, a)
				}
			}
		}
	}
	return of
}

var protocolNames = map[uint8]string{policy.TCP: "tcp", policy.UDP: "udp", policy.SCTP: "sctp"}
