package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/policy/gap"
	book "weftnet.io/weftnet/internal/sink/kube/address"
	"weftnet.io/weftnet/internal/sink/kube/lapse"
	"weftnet.io/weftnet/internal/table/grant"
)

// API is how the API server is reached.
type API = *rest.Config

// Config says for which node.
type Config struct {
	API  API
	Node string
	Root string // prefix of host paths of flat files; empty: none
	Log  *slog.Logger
}

// Cluster grants addresses that the whole cluster shares.
type Cluster struct {
	Config
	book   *book.Book
	slices *book.Mirror // the parts of nodes that a controller of whereabouts gives
	hold   *lapse.Hold
}

// A claim waits until its block is written. With the 50 writes a second that agents have for other objects, three that give and take without a
// pause came to 420 claims a second, with these to 710, on two CPUs that were busy otherwise (soak claims).
const writes, writesAtOnce = 200, 400 // per second

// New makes the one of a node.
func New(c Config) (*Cluster, error) {
	if c.API.QPS == 0 {
		c.API = rest.CopyConfig(c.API)
		c.API.QPS, c.API.Burst = writes, writesAtOnce
	}
	others, err := lapse.NewOthers(c.API, nil)
	if err != nil {
		return nil, err
	}
	hold, err := lapse.NewHold(c.API, c.Node, nil)
	if err != nil {
		return nil, err
	}
	config := book.Config{API: c.API, Node: c.Node, Log: c.Log, Over: others.Over}
	b, err := book.New(config)
	if err != nil {
		return nil, err
	}
	m, err := book.NewMirror(config)
	if err != nil {
		return nil, err
	}
	return &Cluster{Config: c, book: b, slices: m, hold: hold}, nil
}

// Types are those of ipam that it serves.
func (*Cluster) Types() []string { return []string{attachment.ClusterIPAM, attachment.Whereabouts} }

// every is how often blocks that are free altogether are given back.
const every = time.Minute

// Run gives back what this node has no use for, until ctx ends. Before it begins the orders of NICs that live must have been granted.
func (c *Cluster) Run(ctx context.Context) error { return c.book.Run(ctx, every) }

// Held lists the NICs of this node that have addresses.
func (c *Cluster) Held(ctx context.Context) ([]grant.Order, error) {
	holders, err := c.book.Held(ctx)
	var list []grant.Order
	for _, h := range holders {
		namespace, pod, _ := strings.Cut(h.Pod, "/")
		list = append(list, grant.Order{ContainerID: h.Container, Interface: h.Interface, Namespace: namespace, Pod: pod})
	}
	return list, err
}

// Return takes back all addresses of a NIC.
func (c *Cluster) Return(ctx context.Context, o grant.Order) error {
	return c.book.Return(ctx, o.ContainerID, o.Interface)
}

// Grant gives a NIC its addresses.
func (c *Cluster) Grant(ctx context.Context, o grant.Order) (address.Grant, error) {
	r, err := c.read(o.Terms)
	if err != nil {
		return address.Grant{}, err
	}
	q, err := c.request(ctx, o, r)
	if err != nil {
		return address.Grant{}, err
	}
	c.book.Restore(o.ContainerID, o.Interface)
	for _, t := range o.Not {
		if err := c.book.Shun(ctx, q.Space, q.Holder, t.Address, t.By); err != nil {
			return address.Grant{}, err
		}
	}
	prefixes, err := c.book.Grant(ctx, q)
	if err != nil {
		return address.Grant{}, err
	}
	g := address.Grant{Routes: slices.Clone(r.Routes), DNS: r.DNS}
	for _, p := range prefixes {
		a := address.Address{Prefix: p}
		if p.Contains(r.Gateway) {
			a.Gateway = r.Gateway
		}
		g.Addresses = append(g.Addresses, a)
	}
	g.Addresses = append(g.Addresses, r.Addresses...)
	if grant.Has(g, o.Not) {
		t := o.Not[len(o.Not)-1]
		return address.Grant{}, fmt.Errorf("%s, which the network gives every NIC, is that of %s: change ipam.addresses of %s, or take it from that one", t.Address, t.By, o.Definition)
	}
	g.Complete()
	return g, nil
}

// read reads what is ordered, with the flat file of the node.
func (c *Cluster) read(t grant.Terms) (whereabouts.Ranges, error) {
	config := []byte(t.Config)
	var flat []byte
	if t.Type == attachment.Whereabouts {
		var err error
		if flat, err = c.flat(config); err != nil {
			return whereabouts.Ranges{}, err
		}
	}
	r, gaps := whereabouts.Parse(config, flat)
	if gaps = address.Invalid(gaps); len(gaps) > 0 {
		return r, errors.New(gap.Text(gaps))
	}
	return r, nil
}

// request is what is asked of the book.
func (c *Cluster) request(ctx context.Context, o grant.Order, r whereabouts.Ranges) (q book.Request, err error) {
	q = book.Request{
		Network: o.Definition, NetworkName: r.Name, Space: r.Network, Namespace: o.Namespace, Claim: o.Terms.Claim, Made: o.Terms.Made,
		Holder: cluster.Holder{Node: c.Node, Container: o.ContainerID, Interface: o.Interface, Pod: o.PodRef()},
	}
	q.Owner = o.Terms.Owner
	if o.Terms.Type == attachment.Whereabouts {
		q.Books = &r
		if !r.Overlapping && len(r.Of) > 0 {
			q.Space = whereabouts.PoolName(r.Network, "", r.Of[0].Subnet)
		}
	}
	if len(r.Of) == 0 {
		if len(o.Terms.Asked) > 0 {
			return q, fmt.Errorf("ips: the network has no range, so it gives no NIC an address of its own, and not %s", o.Terms.Asked[0].Addr())
		}
		return q, nil
	}
	for _, one := range r.Of {
		from := one.Free
		if q.Books != nil {
			if from, err = c.part(ctx, r, one); err != nil {
				return q, err
			}
		}
		q.Ranges = append(q.Ranges, book.Range{Subnet: one.Subnet, From: without(from, append(taken(o.Not), r.Gateway)...)})
	}
	if len(o.Has) > 0 {
		q.Exact = of(o.Has, r)
		return q, nil
	}
	q.Exact, err = exact(o.Terms.Asked, r)
	return q, err
}

// of are those of a NIC's addresses that ranges have given it.
func of(has []netip.Prefix, r whereabouts.Ranges) (out []netip.Prefix) {
	for _, p := range has {
		own := slices.ContainsFunc(r.Addresses, func(a address.Address) bool { return a.Prefix == p })
		if !own && slices.ContainsFunc(r.Of, func(one whereabouts.Range) bool { return one.Subnet == p.Masked() }) {
			out = append(out, p)
		}
	}
	return out
}

// part is what of a range this node gives out.
func (c *Cluster) part(ctx context.Context, r whereabouts.Ranges, one whereabouts.Range) (*netipx.IPSet, error) {
	slice, divided, err := c.slices.Slice(ctx, r)
	if err != nil || !divided || !one.Subnet.Overlaps(slice) {
		return one.Free, err
	}
	var b netipx.IPSetBuilder
	b.AddSet(one.Free)
	var in netipx.IPSetBuilder
	in.AddPrefix(slice)
	set, err := in.IPSet()
	if err != nil {
		return nil, err
	}
	b.Intersect(set)
	return b.IPSet()
}

// taken are the addresses that others have.
func taken(not []grant.Taken) (list []netip.Addr) {
	for _, t := range not {
		list = append(list, t.Address)
	}
	return list
}

// without is a set without some addresses; invalid ones are none.
func without(set *netipx.IPSet, less ...netip.Addr) []netipx.IPRange {
	var b netipx.IPSetBuilder
	b.AddSet(set)
	for _, a := range less {
		if a.IsValid() {
			b.Remove(a)
		}
	}
	out, err := b.IPSet()
	if err != nil {
		return set.Ranges() // of a set and addresses: there is no such error
	}
	return out.Ranges()
}

// exact are the addresses that a pod asks for by name.
func exact(asked []netip.Prefix, r whereabouts.Ranges) (out []netip.Prefix, err error) {
	taken := map[netip.Prefix]netip.Addr{}
	for i, p := range asked {
		a := p.Addr().Unmap()
		field := fmt.Sprintf("ips[%d]", i)
		at := slices.IndexFunc(r.Of, func(one whereabouts.Range) bool { return one.Subnet.Contains(a) })
		if at < 0 {
			return nil, fmt.Errorf("%s: %s is in none of the network's subnets, such as %s: ask for another", field, a, r.Of[0].Subnet)
		}
		subnet := r.Of[at].Subnet
		last := netipx.PrefixLastIP(subnet)
		switch {
		case a == subnet.Addr() || a.Is4() && a == last:
			return nil, fmt.Errorf("%s: %s is the first or the last address of %s, and no NIC's: ask for another", field, a, subnet)
		case a == r.Gateway:
			return nil, fmt.Errorf("%s: %s is the gateway of %s: ask for another", field, a, subnet)
		case taken[subnet].IsValid():
			return nil, fmt.Errorf("%s: %s is of %s, as %s is: a NIC has one address of each range", field, a, subnet, taken[subnet])
		}
		taken[subnet] = a
		out = append(out, netip.PrefixFrom(a, subnet.Bits()))
	}
	return out, nil
}
