package ipcache

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/station"
)

var (
	allIPv4 = netip.MustParsePrefix("0.0.0.0/0")
	allIPv6 = netip.MustParsePrefix("::/0")
)

// New makes the derivation that fills t.IPCache.
func New(t *table.Tables) *state.Derivation[table.IPCacheRow] {
	d := newCache(t)
	return &state.Derivation[table.IPCacheRow]{
		Name: "ipcache",
		Out:  t.IPCache,
		Inputs: append([]state.Input{
			state.On(t.Workloads, func(_ state.Reader, w table.Workload) []state.Key { return keys(w.Network, w.Addresses) }),
			state.On(t.Attachments, func(r state.Reader, a table.Attachment) []state.Key { return d.ofWorkload(r, t.Attachments.Key(a)) }),
			state.On(t.Devices, d.ofDevice),
			state.On(t.Nodes, d.ofNode),
			state.On(t.Endpoints, func(_ state.Reader, e table.Endpoint) []state.Key { return keys(0, e.Addresses) }),
			state.On(t.Configs, d.ofConfig),
			state.On(station.Members, func(r state.Reader, m station.Member) []state.Key { return d.ofMember(r, m) }),
			state.On(t.Workloads, ofMembers),
			state.On(t.Devices, func(r state.Reader, dev table.Device) []state.Key { return ofUplink(r, dev) }),
		}, d.peerInputs()...),
		KeyOf:   func(h table.IPCacheRow) state.Key { return key(h.Network, h.Prefix) },
		Compute: d.compute,
	}
}

// Needs of an attachment: others know its addresses.
func Needs(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	return nil, func(_ state.Reader, a table.Attachment) (needs []table.Need) {
		for _, address := range a.Addresses {
			needs = append(needs, table.Need{What: "address " + address.String(), Table: t.IPCache.Name(), Key: key(a.Network, single(address))})
		}
		return needs
	}
}

func key(network uint32, p netip.Prefix) state.Key { return state.Join(network, p) }

func keys(network uint32, addresses []netip.Addr) []state.Key {
	out := make([]state.Key, 0, len(addresses))
	for _, a := range addresses {
		out = append(out, key(network, single(a)))
	}
	return out
}

// readKey is the inverse of key.
func readKey(k state.Key) (network uint32, p netip.Prefix) {
	number, prefix, _ := strings.Cut(k.String(), "/")
	n, _ := strconv.ParseUint(number, 10, 32)
	p, _ = netip.ParsePrefix(prefix)
	return uint32(n), p
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// cache computes the table. Its memos are indexes that the tables do not have.
type cache struct {
	t        *table.Tables
	config   *state.Memo[settings.Config]
	nodes    *state.Memo[nodeIndex]
	devices  *state.Memo[map[netip.Addr]claim]       // addresses of this node
	livingOn *state.Memo[map[netip.Addr][]state.Key] // address of a node -> keys of the addresses there
}

// nodeIndex finds nodes by what they have.
type nodeIndex struct {
	byAddress map[netip.Addr][]table.Node
	byPrefix  map[netip.Prefix][]table.Node
	local     []table.Node // at most one
}

func newCache(t *table.Tables) *cache {
	d := &cache{t: t}
	d.config = state.NewMemo(t.Config, t.Configs)
	d.nodes = state.NewMemo(func(r state.Reader) nodeIndex {
		p := nodeIndex{byAddress: map[netip.Addr][]table.Node{}, byPrefix: map[netip.Prefix][]table.Node{}}
		for n := range t.Nodes.All(r) {
			if n.Local {
				p.local = append(p.local, n)
			}
			for _, a := range n.Addresses {
				p.byAddress[a] = append(p.byAddress[a], n)
			}
			for _, c := range n.PodCIDRs {
				p.byPrefix[c] = append(p.byPrefix[c], n)
			}
		}
		return p
	}, t.Nodes)
	d.devices = state.NewMemo(func(r state.Reader) map[netip.Addr]claim {
		own := map[netip.Addr]claim{}
		for dev := range t.Devices.All(r) {
			for a, c := range addressesOf(dev) {
				own[a] = max(own[a], c)
			}
		}
		return own
	}, t.Devices)
	d.livingOn = state.NewMemo(func(r state.Reader) map[netip.Addr][]state.Key {
		on := map[netip.Addr][]state.Key{}
		for e := range t.Endpoints.All(r) {
			on[e.Node] = append(on[e.Node], keys(0, e.Addresses)...)
		}
		return on
	}, t.Endpoints)
	return d
}

// claim says whether an address is this node's own.
type claim int

const (
	notOwn    claim = iota
	broadcast       // that of a subnet: what is sent there is sent to this node, too
	own
)

// toAll is the broadcast address of every link: what is sent there is sent to this node, too.
var toAll = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// addressesOf lists the addresses of a device at which other machines and workloads may call this node. Link-local ones, and those that
// every node has, are among them: here they are this node's, and no other node learns of them.
func addressesOf(d table.Device) map[netip.Addr]claim {
	if len(d.Addresses) == 0 {
		return nil // most are those of workloads
	}
	out := map[netip.Addr]claim{}
	for _, p := range d.Addresses {
		a := p.Addr().WithZone("")
		if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() {
			continue
		}
		out[a] = own
		if a.Is4() && p.Bits() < 31 { // RFC 3021: two machines need none
			last := a.As4()
			for i := p.Bits(); i < 32; i++ {
				last[i/8] |= 0x80 >> (i % 8)
			}
			if all := netip.AddrFrom4(last); out[all] == notOwn {
				out[all] = broadcast
			}
		}
	}
	return out
}

func (d *cache) ofDevice(r state.Reader, dev table.Device) []state.Key {
	own := slices.Collect(maps.Keys(addressesOf(dev)))
	out := append(keys(0, own), d.living(r, own)...)
	for a := range d.t.Attachments.By(r, table.ByDevice, state.Join(dev.Name)) {
		out = append(out, d.ofWorkload(r, d.t.Attachments.Key(a))...)
	}
	return out
}

func (d *cache) ofWorkload(r state.Reader, attachment state.Key) []state.Key {
	w, ok := d.t.Workloads.One(r, attachment)
	if !ok {
		return nil
	}
	return keys(w.Network, w.Addresses)
}

func (d *cache) ofNode(r state.Reader, n table.Node) []state.Key {
	out := keys(0, n.Addresses)
	for _, p := range n.PodCIDRs {
		out = append(out, key(0, p))
	}
	out = append(out, ofVTEPs(d.config.Of(r))...)
	if n.Local {
		out = append(out, key(0, allIPv4), key(0, allIPv6), key(0, single(toAll)))
	}
	return append(out, d.living(r, n.Addresses)...)
}

// living names the addresses of the endpoints on a node that has these addresses.
func (d *cache) living(r state.Reader, node []netip.Addr) (out []state.Key) {
	if len(node) > 0 {
		on := d.livingOn.Of(r)
		for _, a := range node {
			out = append(out, on[a]...)
		}
	}
	return out
}

// ofConfig names all keys if the change is of a concern that all rows depend on.
func (d *cache) ofConfig(r state.Reader, changed table.Config) []state.Key {
	out := []state.Key{key(0, allIPv4), key(0, allIPv6), key(0, single(toAll))}
	if changed.Concern == settings.OfServices {
		for n := range d.t.Nodes.All(r) {
			out = append(out, keys(0, n.Addresses)...)
		}
		return append(out, keys(0, slices.Collect(maps.Keys(d.devices.Of(r))))...)
	}
	if changed.Concern != settings.OfAddressing && changed.Concern != settings.OfRouting {
		return out
	}
	c := d.config.Of(r)
	out = append(out, key(0, c.NativeIPv4), key(0, c.NativeIPv6))
	out = append(out, ofVTEPs(c)...)
	for n := range d.t.Nodes.All(r) {
		out = append(out, d.ofNode(r, n)...)
	}
	for _, there := range d.livingOn.Of(r) {
		out = append(out, there...)
	}
	for a := range d.t.Attachments.All(r) {
		out = append(out, d.ofWorkload(r, d.t.Attachments.Key(a))...)
	}
	return out
}

func (d *cache) compute(r state.Reader, k state.Key) []table.IPCacheRow {
	network, p := readKey(k)
	if !p.IsValid() {
		return nil
	}
	if p.IsSingleIP() {
		if network == 0 && d.isOwn(r, p.Addr()) {
			return []table.IPCacheRow{d.portless(r, thisNode(p), d.nodes.Of(r).local)}
		}
		if h, ok := d.attached(r, network, p); ok {
			return []table.IPCacheRow{h}
		}
	}
	if network != 0 {
		return d.shared(r, network, p)
	}
	if p.IsSingleIP() {
		if h, ok := d.elsewhere(r, p); ok {
			return []table.IPCacheRow{h}
		}
		if d.devices.Of(r)[p.Addr()] == broadcast || p.Addr() == toAll && d.knows(r) {
			return []table.IPCacheRow{d.portless(r, thisNode(p), d.nodes.Of(r).local)}
		}
	}
	if h, ok := d.prefix(r, p); ok {
		return []table.IPCacheRow{h}
	}
	return nil
}

// ofVTEPs names the addresses of VTEPs, and what lies behind them.
func ofVTEPs(c settings.Config) (out []state.Key) {
	for _, v := range c.VTEPs {
		out = append(out, key(0, single(v.Endpoint)), key(0, v.Prefix))
	}
	return out
}

// vtep is the claim of a VTEP: to its own address, from which packets come, and to what lies behind it. A prefix within a pod prefix of
// a node is that node's.
func (d *cache) vtep(r state.Reader, p netip.Prefix) (table.IPCacheRow, bool) {
	c := d.config.Of(r)
	for _, v := range c.VTEPs {
		h := table.IPCacheRow{Prefix: p, Identity: world(c, p), Flags: table.IPCacheVTEP}
		switch {
		case p == single(v.Endpoint):
			return h, true
		case p == v.Prefix && !d.nodes.Of(r).give(p):
			h.Tunnel, h.MAC = v.Endpoint, v.MAC
			return h, true
		}
	}
	return table.IPCacheRow{}, false
}

// give tells whether a prefix is part of a node's pod prefix.
func (p nodeIndex) give(part netip.Prefix) bool {
	for whole := range p.byPrefix {
		if whole.Bits() <= part.Bits() && whole.Contains(part.Addr()) {
			return true
		}
	}
	return false
}

func (d *cache) isOwn(r state.Reader, a netip.Addr) bool {
	for _, n := range d.nodes.Of(r).local {
		if slices.Contains(n.Addresses, a) {
			return true
		}
	}
	return d.devices.Of(r)[a] == own
}

func thisNode(p netip.Prefix) table.IPCacheRow {
	return table.IPCacheRow{Prefix: p, Identity: identity.Host, Flags: table.IPCacheLocal | table.IPCacheNode | table.IPCacheCluster}
}

// portless says so of the row of an address of a node at which it offers no node ports.
func (d *cache) portless(r state.Reader, h table.IPCacheRow, of []table.Node) table.IPCacheRow {
	var first []netip.Addr
	if len(of) > 0 {
		first = of[0].Addresses
	}
	if !d.config.Of(r).Outside.At.Has(h.Prefix.Addr(), first) {
		h.Flags |= table.IPCachePortless
	}
	return h
}

// knows tells whether this node or any configuration is known yet.
func (d *cache) knows(r state.Reader) bool {
	return len(d.nodes.Of(r).local) > 0 || d.t.Configs.Len(r) > 0
}

// attached is the claim of a NIC of this node: of several, the one attached last.
func (d *cache) attached(r state.Reader, network uint32, p netip.Prefix) (h table.IPCacheRow, ok bool) {
	latest := uint32(0)
	for w := range d.t.Workloads.By(r, table.ByAddress, state.Join(p.Addr())) {
		a, attached := d.t.Attachments.One(r, table.AttachmentKey(w.ContainerID, w.Interface))
		if w.Network != network || w.Identity == 0 || !attached || ok && a.Incarnation < latest {
			continue
		}
		for dev := range d.t.Devices.By(r, table.ByName, state.Join(a.HostName)) {
			h, ok, latest = table.IPCacheRow{
				Network: network, Prefix: p, Identity: w.Identity, Ifindex: uint32(dev.Index),
				Flags: table.IPCacheLocal | table.IPCacheCluster,
			}, true, a.Incarnation
		}
	}
	if network == 0 && d.config.Of(r).Routing == settings.Native {
		h.Flags |= table.IPCacheDirect // its packets are on the wire as they are
	}
	return h, ok
}

// elsewhere is the claim of another node, or of a workload there.
func (d *cache) elsewhere(r state.Reader, p netip.Prefix) (table.IPCacheRow, bool) {
	nodes := d.nodes.Of(r)
	if n := nodes.byAddress[p.Addr()]; len(n) > 0 {
		h := table.IPCacheRow{Prefix: p, Identity: identity.RemoteNode, Flags: table.IPCacheNode | table.IPCacheCluster}
		return d.portless(r, d.reach(r, h, n[0].Underlay()), n), true
	}
	var winner table.Endpoint
	home := false
	for e := range d.t.Endpoints.By(r, table.ByAddress, state.Join(p.Addr())) {
		if e.Identity == 0 || !e.Node.IsValid() || d.isOwn(r, e.Node) || !nodes.speaks(e) {
			continue
		}
		if here := nodes.atHome(e, p.Addr()); here && !home || here == home && cmp.Compare(e.UID, winner.UID) >= 0 {
			winner, home = e, here
		}
	}
	if winner.Identity == 0 {
		return table.IPCacheRow{}, false
	}
	return d.reach(r, table.IPCacheRow{Prefix: p, Identity: winner.Identity, Flags: table.IPCacheCluster}, nodes.underlay(winner.Node)), true
}

// underlay is where the tunnel of the node ends that has an address.
func (p nodeIndex) underlay(node netip.Addr) netip.Addr {
	if n := p.byAddress[node]; len(n) > 0 {
		return n[0].Underlay()
	}
	return node
}

// speaks tells whether an endpoint was written by the node that it names, as far as that node is known: it alone says who its pods are.
func (p nodeIndex) speaks(e table.Endpoint) bool {
	there := p.byAddress[e.Node]
	return len(there) == 0 || slices.ContainsFunc(there, func(n table.Node) bool { return wrote(n, e) })
}

// atHome tells whether the node of an endpoint gives out the endpoint's address.
func (p nodeIndex) atHome(e table.Endpoint, a netip.Addr) bool {
	return slices.ContainsFunc(p.byAddress[e.Node], func(n table.Node) bool {
		return wrote(n, e) && slices.ContainsFunc(n.PodCIDRs, func(c netip.Prefix) bool { return c.Contains(a) })
	})
}

// longest is the length of the longest value of a label. A longer node name is in the label as a digest, which cannot be compared.
const longest = 63

func wrote(n table.Node, e table.Endpoint) bool {
	return e.NodeName == "" || e.NodeName == n.Name || len(n.Name) > longest
}

// prefix is the claim to a prefix: of nodes that have it as a pod prefix, of a VTEP, of the configuration.
func (d *cache) prefix(r state.Reader, p netip.Prefix) (table.IPCacheRow, bool) {
	c := d.config.Of(r)
	nodes := d.nodes.Of(r)
	owners := nodes.byPrefix[p]
	beyond, isBeyond := d.vtep(r, p)
	switch {
	case slices.ContainsFunc(owners, func(n table.Node) bool { return n.Local }):
		return table.IPCacheRow{Prefix: p, Identity: identity.Unmanaged, Flags: table.IPCacheLocal | table.IPCacheCluster}, true
	case len(owners) > 0:
		h := table.IPCacheRow{Prefix: p, Identity: identity.Unmanaged, Flags: table.IPCacheCluster}
		return d.reach(r, h, owners[0].Underlay()), true
	case isBeyond:
		return beyond, true
	case p == c.NativeIPv4 || p == c.NativeIPv6:
		return table.IPCacheRow{Prefix: p, Identity: world(c, p), Flags: table.IPCacheCluster}, true
	case (p == allIPv4 || p == allIPv6) && d.knows(r):
		return table.IPCacheRow{Prefix: p, Identity: world(c, p)}, true
	}
	return table.IPCacheRow{}, false
}

// reach says how packets get to an address on another node. In native mode the row has the tunnel's address, too: when the mode changes
// the host's routes still lead packets into the tunnel for a moment, and they have to get there.
func (d *cache) reach(r state.Reader, h table.IPCacheRow, underlay netip.Addr) table.IPCacheRow {
	if h.Tunnel = underlay; d.config.Of(r).Routing == settings.Native {
		h.Flags |= table.IPCacheDirect
	}
	return h
}

func world(c settings.Config, p netip.Prefix) identity.Number {
	switch {
	case !c.IPv4 || !c.IPv6:
		return identity.World
	case p.Addr().Is4():
		return identity.WorldIPv4
	}
	return identity.WorldIPv6
}
