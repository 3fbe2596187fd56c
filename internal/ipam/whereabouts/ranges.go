package whereabouts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/static"
	"weftnet.io/weftnet/internal/policy/gap"
)

// Ranges is what a configuration says.
type Ranges struct {
	Name        string  // of the CNI configuration
	Network     string  // network_name: the space; empty: that of all configurations without one
	Of          []Range // a NIC gets one address of each
	Overlapping bool    // no address of the space twice; else: of the range
	SliceBits   int     // length of a node's part of a range; 0: ranges are not divided
	Gateway     netip.Addr
	Addresses   []address.Address // every NIC gets these too
	Routes      []address.Route
	DNS         address.DNS
}

// Range is a subnet, and what of it may be given out.
type Range struct {
	Subnet netip.Prefix
	Free   *netipx.IPSet // for NICs
}

// All are the addresses that may be given out, in order.
func (r Range) All() iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, span := range r.Free.Ranges() {
			for a := span.From(); ; a = a.Next() {
				if !yield(a) {
					return
				}
				if a == span.To() {
					break
				}
			}
		}
	}
}

// text is a configuration as it is written, or the flat file.
type text struct {
	Range       string              `json:"range"`
	RangeStart  string              `json:"range_start"`
	RangeEnd    string              `json:"range_end"`
	Exclude     []string            `json:"exclude"`
	IPRanges    []rangeText         `json:"ipRanges"`
	Network     string              `json:"network_name"`
	Overlapping *bool               `json:"enable_overlapping_ranges"`
	SliceSize   string              `json:"node_slice_size"`
	Gateway     string              `json:"gateway"`
	Addresses   []static.Text       `json:"addresses"`
	Routes      []address.RouteText `json:"routes"`
	DNS         address.DNS         `json:"dns"`
	EtcdHost    string              `json:"etcd_host"`
	Path        string              `json:"configuration_path"`
}

type rangeText struct {
	Range   string   `json:"range"`
	Start   string   `json:"range_start"`
	End     string   `json:"range_end"`
	Exclude []string `json:"exclude"`
}

// FlatFiles are where the plugin looks for a flat file, after configuration_path of the configuration.
var FlatFiles = []string{"/etc/kubernetes/cni/net.d/whereabouts.d/whereabouts.conf", "/etc/cni/net.d/whereabouts.d/whereabouts.conf"}

// places are the directories that a configuration_path may name a file of. It is written by who may write a definition, and read by an agent that may
// read every file of the node.
var places = []string{"/etc/cni/net.d", "/etc/kubernetes/cni/net.d"}

// FlatFile is the configuration_path of a configuration; empty: none, or one that is not read, as the gaps say.
func FlatFile(config []byte) (string, []gap.Gap) {
	var r address.Reader
	var whole struct{ IPAM text }
	_ = json.Unmarshal(config, &whole) // Parse tells what is wrong with it
	return whole.IPAM.flatFile(&r), r.Gaps
}

func (t text) flatFile(r *address.Reader) string {
	below := func(place string) bool { return strings.HasPrefix(t.Path, place+"/") }
	if t.Path == "" || path.Clean(t.Path) == t.Path && !strings.Contains(t.Path, "\x00") && slices.ContainsFunc(places, below) {
		return t.Path
	}
	r.Reject("ipam.configuration_path", "%q is not read: write the path of a file below %s, without . and ..", t.Path, strings.Join(places, " or "))
	return ""
}

// Rangeless tells whether a configuration leaves the range to the flat file.
func Rangeless(config []byte) bool {
	var whole struct{ IPAM text }
	err := json.Unmarshal(config, &whole)
	return err == nil && whole.IPAM.Range == "" && len(whole.IPAM.IPRanges) == 0 && len(whole.IPAM.Addresses) == 0
}

// Parse reads the configuration of the plugin that makes the NIC, with the text of the flat file, if there is one. With a gap of reason
// Invalid nothing can be granted.
func Parse(config, flat []byte) (Ranges, []gap.Gap) {
	var r address.Reader
	var whole struct {
		Name string `json:"name"`
		IPAM text   `json:"ipam"`
	}
	if err := json.Unmarshal(config, &whole); err != nil {
		r.Reject("ipam", "it cannot be read: %v", err)
		return Ranges{}, r.Gaps
	}
	t := whole.IPAM
	t.flatFile(&r)
	if len(flat) > 0 {
		var file text
		if err := json.Unmarshal(flat, &file); err != nil {
			r.Reject("ipam", "the flat file of whereabouts on the node cannot be read: %v", err)
			return Ranges{}, r.Gaps
		}
		t.fill(file)
	}
	out := Ranges{
		Name: whole.Name, Network: t.Network, Overlapping: t.Overlapping == nil || *t.Overlapping,
		Gateway: r.Address("ipam.gateway", t.Gateway), Addresses: static.List(&r, "ipam.addresses", t.Addresses),
		Routes: r.Routes("ipam.routes", t.Routes), DNS: t.DNS,
	}
	if t.EtcdHost != "" {
		r.Ignore("ipam.etcd_host", "addresses are kept in objects of Kubernetes, as by every version of whereabouts since 0.6; what is in etcd is not taken over")
	}
	if t.Range != "" {
		out.add(&r, "ipam", rangeText{t.Range, t.RangeStart, t.RangeEnd, t.Exclude})
	} else {
		for _, left := range []struct {
			name string
			set  bool
		}{{"range_start", t.RangeStart != ""}, {"range_end", t.RangeEnd != ""}, {"exclude", len(t.Exclude) > 0}} {
			if left.set {
				r.Ignore("ipam."+left.name, "it belongs to ipam.range, which is not there")
			}
		}
	}
	for i, one := range t.IPRanges {
		out.add(&r, fmt.Sprintf("ipam.ipRanges[%d]", i), one)
	}
	if t.Range == "" && len(t.IPRanges) == 0 && len(t.Addresses) == 0 {
		r.Reject("ipam.range", "there is no range to give addresses from, such as 192.168.2.0/24")
	}
	out.slice(&r, t.SliceSize)
	return out, r.Gaps
}

// fill takes what a configuration leaves out from the flat file. Whether ranges overlap is said by the configuration alone.
func (t *text) fill(file text) {
	for _, field := range []struct {
		into *string
		from string
	}{
		{&t.Range, file.Range},
		{&t.RangeStart, file.RangeStart},
		{&t.RangeEnd, file.RangeEnd},
		{&t.Network, file.Network},
		{&t.SliceSize, file.SliceSize},
		{&t.Gateway, file.Gateway},
		{&t.EtcdHost, file.EtcdHost},
		{&t.DNS.Domain, file.DNS.Domain},
	} {
		*field.into = cmp.Or(*field.into, field.from)
	}
	t.Exclude, t.IPRanges = either(t.Exclude, file.Exclude), either(t.IPRanges, file.IPRanges)
	t.Addresses, t.Routes = either(t.Addresses, file.Addresses), either(t.Routes, file.Routes)
	t.DNS.Nameservers, t.DNS.Search = either(t.DNS.Nameservers, file.DNS.Nameservers), either(t.DNS.Search, file.DNS.Search)
	t.DNS.Options = either(t.DNS.Options, file.DNS.Options)
}

func either[T any](own, other []T) []T {
	if len(own) > 0 {
		return own
	}
	return other
}

// add reads one range.
func (out *Ranges) add(r *address.Reader, field string, t rangeText) {
	first, subnetText, both := strings.Cut(t.Range, "-")
	if !both {
		subnetText = t.Range
	}
	subnet, err := address.ParsePrefix(subnetText)
	if err != nil {
		r.Reject(field+".range", "%q is no range: write a subnet such as 192.168.2.0/24, or its first and last address, 192.168.2.10-192.168.2.20/24", t.Range)
		return
	}
	from, to := lenient(r, field+".range_start", t.Start), lenient(r, field+".range_end", t.End)
	if both {
		start, err := address.Parse(first)
		if err != nil || !subnet.Contains(start) {
			r.Reject(field+".range", "it begins at %q, which is no address of %s", first, subnet.Masked())
			return
		}
		from, to = start, subnet.Addr()
	}
	subnet = subnet.Masked()
	if subnet.Addr().BitLen()-subnet.Bits() < 2 {
		r.Reject(field+".range", "%s has no address between its first and its last: take a longer range, or list single addresses with type static", subnet)
		return
	}
	lowest, highest := subnet.Addr().Next(), netipx.PrefixLastIP(subnet).Prev()
	if inside(from, lowest, highest) {
		lowest = from
	} else if from.IsValid() && from != subnet.Addr() {
		r.Ignore(field+".range_start", "%s is not between the first and the last address of %s, so the range begins at %s", from, subnet, lowest)
	}
	if inside(to, lowest, highest) {
		highest = to
	} else if to.IsValid() {
		r.Ignore(field+".range_end", "%s is not between %s and the last address of %s, so the range ends at %s", to, lowest, subnet, highest)
	}
	if most := farthest(subnet); highest.Compare(most) > 0 {
		highest = most
	}
	if lowest.Compare(highest) > 0 {
		r.Reject(field+".range_start", "only the first 2^63 addresses of %s can be given out, and %s is behind them", subnet, lowest)
		return
	}
	var b netipx.IPSetBuilder
	b.AddRange(netipx.IPRangeFrom(lowest, highest))
	for i, text := range t.Exclude {
		p, err := excluded(text)
		if err != nil {
			r.Reject(fmt.Sprintf("%s.exclude[%d]", field, i), "%q is neither an address nor a subnet", text)
			continue
		}
		if !p.Overlaps(subnet) {
			r.Ignore(fmt.Sprintf("%s.exclude[%d]", field, i), "%s is not in %s", p, subnet)
		}
		b.RemovePrefix(p)
	}
	free, err := b.IPSet()
	if err != nil || len(free.Ranges()) == 0 {
		r.Reject(field+".exclude", "nothing remains of %s", subnet)
		return
	}
	if slices.ContainsFunc(out.Of, func(o Range) bool { return o.Subnet == subnet }) && !out.Overlapping {
		r.Reject(field+".range", "%s stands here twice, and with enable_overlapping_ranges false a NIC would get one address of it twice", subnet)
		return
	}
	out.Of = append(out.Of, Range{Subnet: subnet, Free: free})
}

// lenient reads an address that the plugin passes over when it cannot read it.
func lenient(r *address.Reader, field, text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	a, err := address.Parse(text)
	if err != nil {
		r.Ignore(field, "%q is no address", text)
	}
	return a
}

func inside(a, lowest, highest netip.Addr) bool {
	return a.IsValid() && a.Is4() == lowest.Is4() && lowest.Compare(a) <= 0 && a.Compare(highest) <= 0
}

// excluded reads a subnet or an address that is not given out.
func excluded(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := address.Parse(text)
		return netip.PrefixFrom(a, a.BitLen()), err
	}
	p, err := address.ParsePrefix(text)
	return p.Masked(), err
}

// farthest is the last address whose distance from the subnet's first one can be written in a pool.
func farthest(subnet netip.Prefix) netip.Addr {
	last := netipx.PrefixLastIP(subnet)
	if subnet.Addr().Is4() || subnet.Bits() > 64 {
		return last
	}
	b := subnet.Addr().As16()
	b[8] = 0x7f
	for i := 9; i < 16; i++ {
		b[i] = 0xff
	}
	return netip.AddrFrom16(b)
}

// slice reads how long a node's part of a range is.
func (out *Ranges) slice(r *address.Reader, size string) {
	if size == "" {
		return
	}
	n, err := strconv.Atoi(strings.TrimPrefix(size, "/"))
	if err != nil || n < 1 || n > 128 {
		r.Reject("ipam.node_slice_size", "%q is no length of a node's part, such as /26", size)
		return
	}
	for _, one := range out.Of {
		if host := one.Subnet.Addr().BitLen() - n; n < one.Subnet.Bits() || host < 2 {
			r.Reject("ipam.node_slice_size", "%s cannot be divided into parts of /%d", one.Subnet, n)
			return
		}
	}
	out.SliceBits = n
}
