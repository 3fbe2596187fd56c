package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-distribution promises to a caller, asked of endpoints that have
// the hints that the EndpointSlice controller writes for it: of that document alone, with no hint in it.
func TestATrafficDistributionKeepsCallsNear(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		distribution := rapid.SampledFrom([]string{"", "PreferClose", "PreferSameZone", "PreferSameNode"}).Draw(rt, "distribution")
		zoneOf := map[string]string{}
		for _, n := range []string{"n1", "n2", "n3", "n4"} {
			zoneOf[n] = rapid.SampledFrom([]string{"z1", "z2"}).Draw(rt, "zone of "+n)
		}
		node := rapid.SampledFrom([]string{"n1", "n2", "n3", "n4"})
		var list []Endpoint
		for i := range rapid.IntRange(0, 6).Draw(rt, "endpoints") {
			e := Endpoint{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Node: node.Draw(rt, "node")}
			switch rapid.IntRange(0, 3).Draw(rt, "state") {
			case 0:
				e.Serving, e.Terminating = true, true
			case 1:
			default:
				e.Ready, e.Serving = true, true
			}
			if e.Ready && distribution != "" {
				e.ForZones = []string{zoneOf[e.Node]}
			}
			if e.Ready && distribution == "PreferSameNode" {
				e.ForNodes = []string{e.Node}
			}
			list = append(list, e)
		}
		here := Place{Node: node.Draw(rt, "here")}
		here.Zone = zoneOf[here.Node]

		choose := func(may func(Endpoint) bool) (out []string) {
			for _, e := range list {
				if may(e) {
					out = append(out, e.Address.String())
				}
			}
			return out
		}
		preferences := []func(Endpoint) bool{
			func(e Endpoint) bool { return e.Ready && e.Node == here.Node && distribution == "PreferSameNode" },
			func(e Endpoint) bool { return e.Ready && zoneOf[e.Node] == here.Zone && distribution != "" },
			func(e Endpoint) bool { return e.Ready },
			func(e Endpoint) bool { return e.Serving && e.Terminating },
		}
		var want []string
		for _, p := range preferences {
			if want = choose(p); len(want) > 0 {
				break
			}
		}
		have, keeps := called(list, here, true)
		if !slices.Equal(want, have) {
			rt.Fatalf("%q at %v: calls go to %v, want %v\n%+v", distribution, here, have, want, list)
		}
		if serving := choose(func(e Endpoint) bool { return e.Serving }); !slices.Equal(serving, keeps) {
			rt.Fatalf("%q at %v: %v keep their connections, want %v", distribution, here, keeps, serving)
		}
	})
}

// Whatever is written as hints: the same as a walk over all of them, by the safeguards of
// https://kubernetes.io/docs/concepts/services-networking/topology-aware-routing/#safeguards.
func TestHintsCountOnlyIfAllHaveThemAndOneIsForHere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		some := func(names ...string) *rapid.Generator[[]string] {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 2, rapid.ID)
		}
		var list []Endpoint
		for i := range rapid.IntRange(0, 5).Draw(rt, "endpoints") {
			ready := rapid.IntRange(0, 3).Draw(rt, "ready") > 0
			list = append(list, Endpoint{
				Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Ready: ready, Serving: true, Terminating: !ready,
				Hints: Hints{ForNodes: some("n1", "n2").Draw(rt, "nodes"), ForZones: some("z1", "z2", "").Draw(rt, "zones")},
			})
		}
		here := Place{Node: rapid.SampledFrom([]string{"n1", "n3"}).Draw(rt, "node"), Zone: rapid.SampledFrom([]string{"z1", "z3", ""}).Draw(rt, "zone")}
		counts := rapid.Bool().Draw(rt, "hints count")

		ready, nodeHints, zoneHints, forNode, forZone := 0, 0, 0, 0, 0
		for _, e := range list {
			if !e.Ready {
				continue
			}
			ready++
			nodeHints += one(len(e.ForNodes) > 0)
			zoneHints += one(len(e.ForZones) > 0)
			forNode += one(slices.Contains(e.ForNodes, here.Node))
			forZone += one(here.Zone != "" && slices.Contains(e.ForZones, here.Zone))
		}
		var want []string
		for _, e := range list {
			var takes bool
			switch {
			case ready == 0:
				takes = true
			case counts && nodeHints == ready && forNode > 0:
				takes = e.Ready && slices.Contains(e.ForNodes, here.Node)
			case counts && zoneHints == ready && forZone > 0:
				takes = e.Ready && slices.Contains(e.ForZones, here.Zone)
			default:
				takes = e.Ready
			}
			if takes {
				want = append(want, e.Address.String())
			}
		}
		if have, _ := called(list, here, counts); !slices.Equal(want, have) {
			rt.Fatalf("at %v: calls go to %v, want %v\n%+v", here, have, want, list)
		}
	})
}

func TestALocalPolicyAsksNoHints(t *testing.T) {
	e := Endpoint{Address: netip.MustParseAddr("10.0.0.1"), Node: "n1", Ready: true, Serving: true, Hints: Hints{ForNodes: []string{"n2"}, ForZones: []string{"z2"}}}
	far := Endpoint{Address: netip.MustParseAddr("10.0.0.2"), Node: "n1", Ready: true, Serving: true, Hints: Hints{ForNodes: []string{"n1"}, ForZones: []string{"z1"}}}
	s := Service{Addresses: []netip.Addr{netip.MustParseAddr("10.96.0.1")}, Ports: []Port{{Protocol: 6, Port: 80}}, Local: true, Hints: true}
	out := Frontends(s, []Slice{{Ports: []Port{{Protocol: 6, Port: 80}}, Endpoints: []Endpoint{e, far}}}, Place{"n1", "z1"})
	if have := fmt.Sprint(out[0].Backends); len(out[0].Backends) != 2 || !out[0].Backends[0].Takes() || !out[0].Backends[1].Takes() {
		t.Errorf("backends %s, want both of this node", have)
	}
}

// called gives who gets new connections, and all who may have some, in the order of their addresses.
func called(list []Endpoint, here Place, hints bool) (takes, all []string) {
	s := Service{Addresses: []netip.Addr{netip.MustParseAddr("10.96.0.1")}, Ports: []Port{{Protocol: 6, Port: 80}}, Hints: hints}
	for _, f := range Frontends(s, []Slice{{Ports: []Port{{Protocol: 6, Port: 80}}, Endpoints: list}}, here) {
		for _, b := range f.Backends {
			if all = append(all, b.Address.String()); b.Takes() {
				takes = append(takes, b.Address.String())
			}
		}
	}
	return takes, all
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
