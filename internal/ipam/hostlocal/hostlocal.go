// Package hostlocal reads the configuration of the IPAM plugin host-local, and says what is wrong with it by field.
//
// # The world it models
//
// Addresses belong to a node alone: the plugin keeps them in files below dataDir. A NIC gets one address of each set; a set is
// a list of ranges of one family, from which the first that has an address left gives it.
//
//	subnet, rangeStart, rangeEnd, gateway     the older form: one set of one range
//	ranges: [[{subnet, …}], …]                sets
//	resolvConf                                a file of the node with name servers; it wins over dns
//
// Nodes do not know of each other's files, so each needs a range of its own, or two of them give one address twice.
//
// # Invariants
//
//   - What this package accepts the plugin does, and the other way round (TestThePluginAgrees).
//   - A range that names no gateway has the subnet's first address as such, which is not given out.
//
// Source: containernetworking/plugins 1.9.1, documentation of host-local.
//
// # Example
//
//	conf, gaps := hostlocal.Parse(config) // conf.Sets[0][0].Subnet
package hostlocal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"

	"go4.org/netipx"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/policy/gap"
)

// DataDir is where the plugin keeps addresses if the configuration does not say.
const DataDir = "/var/lib/cni/networks"

// Config is what a configuration says.
type Config struct {
	Name       string // of the CNI configuration: the folder below DataDir
	Sets       [][]Range
	Routes     []address.Route
	ResolvConf string // a file of the node; empty: none
	DataDir    string
	DNS        address.DNS
}

// Range is a part of a subnet, both ends included.
type Range struct {
	Subnet      netip.Prefix
	First, Last netip.Addr
	Gateway     netip.Addr
}

type rangeText struct {
	Subnet     string `json:"subnet"`
	RangeStart string `json:"rangeStart"`
	RangeEnd   string `json:"rangeEnd"`
	Gateway    string `json:"gateway"`
}

// Parse reads the configuration of the plugin that makes the NIC. With a gap of reason Invalid nothing can be granted.
func Parse(config []byte) (Config, []gap.Gap) {
	var r address.Reader
	var whole struct {
		Name       string `json:"name"`
		CNIVersion string `json:"cniVersion"`
		IPAM       struct {
			rangeText
			Ranges     [][]rangeText       `json:"ranges"`
			Routes     []address.RouteText `json:"routes"`
			ResolvConf string              `json:"resolvConf"`
			DataDir    string              `json:"dataDir"`
			DNS        address.DNS         `json:"dns"`
		} `json:"ipam"`
	}
	if err := json.Unmarshal(config, &whole); err != nil {
		r.Reject("ipam", "it cannot be read: %v", err)
		return Config{}, r.Gaps
	}
	i := whole.IPAM
	c := Config{
		Name: whole.Name, Routes: r.Routes("ipam.routes", i.Routes), ResolvConf: i.ResolvConf,
		DataDir: cmp.Or(i.DataDir, DataDir), DNS: i.DNS,
	}
	var fields []string
	if i.Subnet != "" {
		c.Sets, fields = append(c.Sets, set(&r, "ipam", []rangeText{i.rangeText}, true)), append(fields, "ipam.subnet")
	}
	for n, texts := range i.Ranges {
		field := fmt.Sprintf("ipam.ranges[%d]", n)
		c.Sets, fields = append(c.Sets, set(&r, field, texts, false)), append(fields, field)
	}
	if len(c.Sets) == 0 {
		r.Reject("ipam.ranges", `there is no range to give addresses from, such as [[{"subnet": "10.1.2.0/24"}]]`)
	}
	for n, one := range c.Sets {
		for m, other := range c.Sets[:n] {
			if overlap(one, other) {
				r.Reject(fields[n], "it has addresses of %s too, and a NIC gets one of each: take other ranges", fields[m])
			}
		}
	}
	return c, r.Gaps
}

// set reads the ranges of one set.
func set(r *address.Reader, field string, texts []rangeText, bare bool) (out []Range) {
	if len(texts) == 0 {
		r.Reject(field, "the set is empty, so a NIC could not get its address")
	}
	for i, text := range texts {
		at := field
		if !bare {
			at = fmt.Sprintf("%s[%d]", field, i)
		}
		one, ok := parse(r, at, text)
		switch {
		case !ok:
		case len(out) > 0 && out[0].Subnet.Addr().Is4() != one.Subnet.Addr().Is4():
			r.Reject(at+".subnet", "%s is not of the family of %s, which is in the same set: put it into a set of its own", one.Subnet, out[0].Subnet)
		case overlap([]Range{one}, out):
			r.Reject(at, "it overlaps another range of its set")
		default:
			out = append(out, one)
		}
	}
	return out
}

func parse(r *address.Reader, field string, text rangeText) (Range, bool) {
	subnet, err := address.ParsePrefix(text.Subnet)
	switch {
	case err != nil:
		r.Reject(field+".subnet", "%q is no subnet, such as 10.1.2.0/24", text.Subnet)
		return Range{}, false
	case subnet.Masked() != subnet:
		r.Reject(field+".subnet", "%s is an address in a subnet; the subnet is %s", subnet, subnet.Masked())
		return Range{}, false
	case subnet.Addr().BitLen()-subnet.Bits() < 2:
		r.Reject(field+".subnet", "%s is too small to give addresses from", subnet)
		return Range{}, false
	}
	one := Range{Subnet: subnet, First: subnet.Addr().Next(), Last: netipx.PrefixLastIP(subnet), Gateway: subnet.Addr().Next()}
	if subnet.Addr().Is4() {
		one.Last = one.Last.Prev()
	}
	before := len(r.Gaps)
	for _, end := range []struct {
		name, text string
		into       *netip.Addr
	}{{"rangeStart", text.RangeStart, &one.First}, {"rangeEnd", text.RangeEnd, &one.Last}} {
		a := r.Address(field+"."+end.name, end.text)
		if a.IsValid() && !subnet.Contains(a) {
			r.Reject(field+"."+end.name, "%s is not in %s", a, subnet)
		} else if a.IsValid() {
			*end.into = a
		}
	}
	if a := r.Address(field+".gateway", text.Gateway); a.IsValid() {
		one.Gateway = a
	}
	if len(r.Gaps) == before && one.First.Compare(one.Last) > 0 {
		r.Reject(field+".rangeEnd", "%s is before %s, at which the range begins", one.Last, one.First)
	}
	return one, len(r.Gaps) == before
}

func overlap(a, b []Range) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Subnet.Addr().Is4() == y.Subnet.Addr().Is4() && x.First.Compare(y.Last) <= 0 && y.First.Compare(x.Last) <= 0 {
				return true
			}
		}
	}
	return false
}
