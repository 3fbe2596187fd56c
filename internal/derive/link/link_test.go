package link_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/derive/link"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// world is a node's tables and the derivations under test.
type world struct {
	*table.Tables
	db      *state.DB
	runners []state.AnyDerivation
}

func newWorld() *world {
	w := &world{}
	w.Tables, w.db = table.New()
	w.runners = append([]state.AnyDerivation{config.New(w.Tables)}, link.Derivations(w.Tables)...)
	return w
}

func (w *world) write(f func(tx *state.Tx)) {
	if err := w.db.Write(func(tx *state.Tx) error { f(tx); return nil }); err != nil {
		panic(err)
	}
}

func (w *world) step() string {
	for _, r := range w.runners {
		r.Step(w.db)
	}
	var out strings.Builder
	s := w.db.Snapshot()
	for l := range w.Links.All(s) {
		fmt.Fprintf(&out, "link %s mtu %d %v\n", l.HostName, l.MTU, l.Addresses)
	}
	for n := range w.Tunnels.All(s) {
		fmt.Fprintf(&out, "tunnel %s port %d mtu %d underlay6 %v\n", n.Name, n.Port, n.MTU, n.Underlay6)
	}
	for r := range w.Routes.All(s) {
		fmt.Fprintf(&out, "route %s dev %s", r.Prefix, r.Device)
		if r.Gateway.IsValid() {
			fmt.Fprintf(&out, " via %s", r.Gateway)
		}
		if r.Source.IsValid() {
			fmt.Fprintf(&out, " src %s", r.Source)
		}
		out.WriteString("\n")
	}
	return out.String()
}

func addrs(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func attachment(id string, incarnation uint32, addresses ...string) table.Attachment {
	return table.Attachment{ContainerID: id, Interface: "eth0", HostName: attach.HostName(id, "eth0", 0), Incarnation: incarnation, Addresses: addrs(addresses...)}
}

// cluster has this node, one on its network and one beyond a router.
func (w *world) cluster(tx *state.Tx, settings ...string) {
	w.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: addrs("192.168.0.1", "fd01::1"), PodCIDRs: prefixes("10.244.1.0/24", "fd00:1::/64")})
	w.Nodes.Put(tx, table.Node{Name: "n2", Addresses: addrs("192.168.0.2", "fd01::2"), PodCIDRs: prefixes("10.244.2.0/24", "fd00:2::/64")})
	w.Nodes.Put(tx, table.Node{Name: "n3", Addresses: addrs("192.168.7.3"), PodCIDRs: prefixes("10.244.3.0/24", "fd00:3::/64")})
	w.Devices.Put(tx, table.Device{Index: 1, Name: "lo", Up: true, MTU: 65536, Addresses: prefixes("127.0.0.1/8")})
	w.Devices.Put(tx, table.Device{Index: 2, Name: "eth0", Up: true, MTU: 1500, Addresses: prefixes("192.168.0.1/24", "fd01::1/64")})
	w.Devices.Put(tx, table.Device{Index: 3, Name: "eth1", Up: true, MTU: 9000, Default: true})
	for i := 0; i < len(settings); i += 2 {
		w.Settings.Put(tx, table.Setting{Name: settings[i], Value: settings[i+1]})
	}
}

func TestWhatANodeNeedsForItsWorkloadsAndThoseOfOthers(t *testing.T) {
	pod := attachment("c1", 1, "10.244.1.7", "fd00:1::7")
	up := func(name string, index int) func(w *world, tx *state.Tx) {
		return func(w *world, tx *state.Tx) {
			w.Devices.Put(tx, table.Device{Index: index, Name: name, Up: true, MTU: 1450})
		}
	}
	for _, c := range []struct {
		name     string
		settings []string
		facts    []func(w *world, tx *state.Tx)
		want     string
	}{
		{name: "tunnel before its device is there", want: `
link weftd72e032fed mtu 1450 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 1450 underlay6 false
`},
		{name: "tunnel", facts: []func(w *world, tx *state.Tx){up(pod.HostName, 7), up("weft_vxlan", 8)}, want: `
link weftd72e032fed mtu 1450 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 1450 underlay6 false
route 10.244.1.7/32 dev weftd72e032fed
route 10.244.2.0/24 dev weft_vxlan src 192.168.0.1
route 10.244.3.0/24 dev weft_vxlan src 192.168.0.1
route fd00:1::7/128 dev weftd72e032fed
route fd00:2::/64 dev weft_vxlan src fd01::1
route fd00:3::/64 dev weft_vxlan src fd01::1
`},
		{name: "other port, MTU given", settings: []string{"tunnel-port", "4789", "mtu", "8000"}, want: `
link weftd72e032fed mtu 7950 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 4789 mtu 7950 underlay6 false
`},
		{name: "IPv6 underlay", facts: []func(w *world, tx *state.Tx){func(w *world, tx *state.Tx) {
			w.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: addrs("fd01::1")})
		}}, want: `
link weftd72e032fed mtu 1430 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 1430 underlay6 true
`},
		{name: "address on no device: the default route counts", facts: []func(w *world, tx *state.Tx){func(w *world, tx *state.Tx) {
			w.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: addrs("192.0.2.1")})
		}}, want: `
link weftd72e032fed mtu 8950 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 8950 underlay6 false
`},
		{name: "native, the network knows the way", settings: []string{"routing-mode", "native"}, facts: []func(w *world, tx *state.Tx){up(pod.HostName, 7)}, want: `
link weftd72e032fed mtu 1500 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 1450 underlay6 false
route 10.244.1.7/32 dev weftd72e032fed
route fd00:1::7/128 dev weftd72e032fed
`},
		{name: "native, calls by DSR go on in a tunnel", settings: []string{"routing-mode", "native", "enable-node-port", "true", "bpf-lb-dsr-dispatch", "geneve"}, want: `
link weftd72e032fed mtu 1450 [10.244.1.7 fd00:1::7]
tunnel weft_geneve port 6081 mtu 1450 underlay6 false
tunnel weft_vxlan port 8472 mtu 1450 underlay6 false
`},
		{name: "no call from outside is led on here", settings: []string{"routing-mode", "native", "bpf-lb-dsr-dispatch", "geneve"}, want: `
link weftd72e032fed mtu 1500 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 1450 underlay6 false
`},
		{name: "native with direct routes, as far as nodes are on the same network", settings: []string{"routing-mode", "native", "auto-direct-node-routes", "true"}, want: `
link weftd72e032fed mtu 1500 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 1450 underlay6 false
route 10.244.2.0/24 dev eth0 via 192.168.0.2
route fd00:2::/64 dev eth0 via fd01::2
`},
		{name: "two attachments claim an address: the later one has it", facts: []func(w *world, tx *state.Tx){
			up(pod.HostName, 7), up(attach.HostName("c2", "eth0", 0), 8),
			func(w *world, tx *state.Tx) { w.Attachments.Put(tx, attachment("c2", 2, "10.244.1.7")) },
		}, settings: []string{"routing-mode", "native"}, want: `
link weft35e0761181 mtu 1500 [10.244.1.7]
link weftd72e032fed mtu 1500 [10.244.1.7 fd00:1::7]
tunnel weft_vxlan port 8472 mtu 1450 underlay6 false
route 10.244.1.7/32 dev weft35e0761181
route fd00:1::7/128 dev weftd72e032fed
`},
	} {
		w := newWorld()
		w.write(func(tx *state.Tx) { w.cluster(tx, c.settings...); w.Attachments.Put(tx, pod) })
		w.step()
		w.write(func(tx *state.Tx) {
			for _, fact := range c.facts {
				fact(w, tx)
			}
		})
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), w.step()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestAnUnknownNodeTakesNoLinkAway(t *testing.T) {
	w := newWorld()
	w.write(func(tx *state.Tx) { w.cluster(tx); w.Attachments.Put(tx, attachment("c1", 1, "10.244.1.7")) })
	w.step()
	w.write(func(tx *state.Tx) {
		w.Nodes.Delete(tx, state.Join("n1"))
		w.Devices.Delete(tx, state.Join(2))
		w.Devices.Delete(tx, state.Join(3))
	})
	if got, want := w.step(), "link weftd72e032fed mtu 0 [10.244.1.7]\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// change does one random thing to the inputs of a node.
func (w *world) change(t *rapid.T, tx *state.Tx) {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	id := rapid.IntRange(1, 4).Draw(t, "id")
	switch rapid.IntRange(0, 7).Draw(t, "what") {
	case 0:
		a := attachment(fmt.Sprint("c", id), uint32(id), pick("address", "10.244.1.7", "10.244.1.8"), pick("IPv6", "fd00:1::7", "fd00:1::8"))
		a.Network = uint32(rapid.IntRange(0, 1).Draw(t, "network"))
		w.Attachments.Put(tx, a)
	case 1:
		w.Attachments.Delete(tx, table.AttachmentKey(fmt.Sprint("c", id), "eth0"))
	case 2, 3:
		name := pick("device", "eth0", "eth1", attach.TunnelDevice, attach.HostName("c1", "eth0", 0), attach.HostName("c2", "eth0", 0))
		d := table.Device{Index: id + 10*len(name), Name: name, Up: rapid.Bool().Draw(t, "up"), MTU: 1000 + id, Default: rapid.Bool().Draw(t, "default")}
		d.Addresses = prefixes(pick("network", "192.168.0.1/24", "192.168.0.1/16", "192.168.7.1/24", "fd01::1/64", "192.168.0.9/32"))
		w.Devices.Put(tx, d)
	case 4:
		for d := range w.Devices.All(tx) {
			if rapid.Bool().Draw(t, "goes") {
				w.Devices.Delete(tx, w.Devices.Key(d))
			}
		}
	case 5:
		key := pick("setting", "routing-mode", "auto-direct-node-routes", "mtu", "tunnel-port", "tunnel", "debug")
		value := map[string][]string{
			"routing-mode": {"native", "tunnel"}, "auto-direct-node-routes": {"true", "false"}, "mtu": {"1400", "9000"},
			"tunnel-port": {"4789", "x"}, "tunnel": {"disabled", "vxlan"}, "debug": {"true", "false"},
		}[key]
		w.Settings.Put(tx, table.Setting{Name: key, Value: pick("value", value...)})
	case 6:
		n := table.Node{Name: fmt.Sprint("n", id), Local: id == 1}
		n.Addresses = addrs(pick("address", "192.168.0.1", "192.168.0.2", "192.168.7.2", "fd01::1"))
		n.PodCIDRs = prefixes(pick("IPv4", "10.244.1.0/24", "10.244.2.0/24", "10.244.1.7/32"), pick("IPv6", "fd00:1::/64", "fd00:2::/64"))
		w.Nodes.Put(tx, n)
	case 7:
		w.Nodes.Delete(tx, state.Join(fmt.Sprint("n", id)))
	}
}

func TestWhatIsDerivedDoesNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			w.write(func(tx *state.Tx) {
				for range rapid.IntRange(1, 3).Draw(t, "changes") {
					w.change(t, tx)
				}
			})
			if rapid.Bool().Draw(t, "step") {
				w.step()
			}
		}
		got := w.step()
		fresh, s := newWorld(), w.db.Snapshot()
		fresh.write(func(tx *state.Tx) {
			copyAll(tx, s, w.Attachments, fresh.Attachments)
			copyAll(tx, s, w.Devices, fresh.Devices)
			copyAll(tx, s, w.Settings, fresh.Settings)
			copyAll(tx, s, w.Nodes, fresh.Nodes)
		})
		if want := fresh.step(); got != want {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func copyAll[R state.Row](tx *state.Tx, s *state.Snapshot, from, to *state.Table[R]) {
	for _, r := range slices.Backward(slices.Collect(from.All(s))) {
		to.Put(tx, r)
	}
}
