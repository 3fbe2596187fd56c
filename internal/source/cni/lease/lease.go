// Package lease gives attachments their addresses and incarnation numbers, and remembers on disk what must not be given
// twice.
//
// # The world it models
//
// A lease is what an attachment holds for as long as it lives: one address per family that is on, out of the pod CIDRs of
// the node, and a number that no attachment of this node has had before or will have. Which addresses are free is the
// business of package ipam; this package brings it the facts it lives on (the node's row, the settings, the time) and
// keeps what it must not forget in the file numbers.json:
//
//	{"incarnation": 512, "next": {"10.244.1.0/24": "10.244.1.77"}, "beyond": ["10.244.1.200"]}
//
// Incarnation numbers up to that one may have been used: a block is reserved at a time. The addresses of a prefix below
// next have been used, and those beyond. They are written down when one of them is given back: as long as it is held, the attachment's own
// record on disk tells.
//
// # Invariants
//
//   - What has been given out before a crash is not given out after it as if it were new: addresses rest, numbers never
//     come again. If the file is lost, a gap of 16 million numbers sees to that.
//   - Errors are CNI errors: code 7 for what can never be had, 11 for what may be had later.
//
// # Example
//
//	book, warnings := lease.Open(tables, "/var/lib/weft", time.Minute, attachments, now)
//	got, err := book.Take(snapshot, "c0ffee/eth0", nil, now) // got.Addresses, got.Incarnation
package lease

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"weftnet.io/weftnet/internal/ipam"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// numbers is what must outlive the process besides the attachments themselves.
type numbers struct {
	Incarnation uint32 `json:"incarnation"` // none above this has been used
	ipam.Marks
}

// Valid makes numbers that cannot be read a damaged record.
func (n numbers) Valid() error {
	for p, a := range n.Next {
		if !p.IsValid() || !a.IsValid() {
			return fmt.Errorf("next: %s: %s", p, a)
		}
	}
	for _, a := range n.Beyond {
		if !a.IsValid() {
			return errors.New("beyond: an address that is none")
		}
	}
	return nil
}

const (
	numbersName = "numbers"
	block       = 256     // incarnations that one write reserves
	lost        = 1 << 24 // incarnations to leave out when it is not known which were used
)

// Lease is what an attachment holds.
type Lease struct {
	Addresses   []netip.Addr // IPv4 first
	Incarnation uint32
}

// Book knows all leases of a node.
type Book struct {
	mu     sync.Mutex // guards all below
	tables *table.Tables
	disk   journal.Dir[numbers]
	saved  numbers // as on disk
	last   uint32  // incarnation used
	family [2]family
}

// family is what a node knows of one address family.
type family struct {
	name    string // IPv4, IPv6
	setting string // that turns it off
	is4     bool
	pool    *ipam.Pool
	own     []netip.Prefix // those of pool that are of no named one
}

// Open takes up what the attachments of the journal hold. An address rests for rest after it was given back. warnings
// tell what could not be taken up as it was.
func Open(t *table.Tables, stateDir string, rest time.Duration, held []table.Attachment, now time.Time) (b *Book, warnings []error) {
	b = &Book{tables: t, disk: journal.Dir[numbers]{Path: stateDir}}
	b.family = [2]family{{"IPv4", "enable-ipv4", true, ipam.New(rest), nil}, {"IPv6", "enable-ipv6", false, ipam.New(rest), nil}}
	for _, at := range held {
		b.last = max(b.last, at.Incarnation)
		for _, x := range at.Addresses {
			if at.Network != 0 {
				break // no prefix of this node has it
			}
			if err := b.of(x).pool.Restore(Owner(at.ContainerID, at.Interface), x); err != nil {
				warnings = append(warnings, fmt.Errorf("attachment %s %s: %w", at.ContainerID, at.Interface, err))
			}
		}
	}
	b.disk.Sweep()
	saved, ok, err := b.disk.One(numbersName)
	if ok {
		b.saved, b.last = saved, max(b.last, saved.Incarnation)
		for _, x := range saved.Beyond {
			b.of(x).pool.Rest(ipam.Marks{Beyond: []netip.Addr{x}}, now)
		}
	} else if err != nil || len(held) > 0 {
		b.last += lost
		warnings = append(warnings, errors.Join(fmt.Errorf("incarnation numbers go on from %d, since the last one used is not known", b.last), err))
	}
	return b, warnings
}

func (b *Book) of(x netip.Addr) *family {
	if x.Is4() {
		return &b.family[0]
	}
	return &b.family[1]
}

// follow brings the pools up to what the node owns by now.
func (b *Book) follow(r state.Reader, now time.Time) {
	for i := range b.family {
		f := &b.family[i]
		want, own := prefixes(b.tables, r, f.is4)
		if f.own = own; !slices.Equal(want, f.pool.Prefixes()) {
			f.pool.SetPrefixes(want...)
			f.pool.Rest(ipam.Marks{Next: b.saved.Next}, now)
		}
	}
}

// prefixes are all that the node has of a family, and its own, which are of no named pool.
func prefixes(t *table.Tables, r state.Reader, is4 bool) (all, own []netip.Prefix) {
	n, _ := t.LocalNode(r)
	named := map[netip.Prefix]bool{}
	for _, parts := range n.Pools {
		for _, p := range parts {
			named[p.Masked()] = true
		}
	}
	for _, p := range n.PodCIDRs {
		if p = p.Masked(); p.Addr().Is4() != is4 || slices.Contains(all, p) {
			continue
		}
		if all = append(all, p); !named[p] {
			own = append(own, p)
		}
	}
	return all, own
}

// from are the prefixes that an address of a pool comes from; empty: the node's own.
func (b *Book) from(r state.Reader, f *family, pool string) (out []netip.Prefix, err error) {
	if pool == "" {
		if len(f.own) == 0 {
			return nil, b.noPrefix(r, f)
		}
		return f.own, nil
	}
	n, _ := b.tables.LocalNode(r)
	for _, p := range n.Pools[pool] {
		if p = p.Masked(); p.Addr().Is4() == f.is4 && slices.Contains(f.pool.Prefixes(), p) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, later(fmt.Sprintf("node %s has no %s part of pool %s yet", n.Name, f.name, pool),
			fmt.Sprintf("the operator gives it one in ciliumnode/%s, spec.ipam.pools.allocated, while there is a CiliumPodIPPool %s with room in that family", n.Name, pool))
	}
	return out, nil
}

// enabled tells whether workloads get an address of a family: as the configuration says, or if it says nothing of it, if the
// node has any to give.
func (b *Book) enabled(r state.Reader, f *family) bool {
	c := b.tables.Config(r)
	on, said := c.IPv6, c.SaidIPv6
	if f.is4 {
		on, said = c.IPv4, c.SaidIPv4
	}
	if !said {
		return len(f.own) > 0
	}
	return on
}

// Ready tells why the node could not give addresses to a new workload, if so.
func (b *Book) Ready(r state.Reader, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.follow(r, now); !b.tables.Configs.IsSynced(r) {
		return b.noPrefix(r, nil)
	}
	any := false
	for i := range b.family {
		f := &b.family[i]
		if !b.enabled(r, f) {
			continue
		}
		any = true
		if len(f.own) == 0 {
			return b.noPrefix(r, f)
		}
		if err := f.pool.Free(now, f.own...); err != nil {
			return err
		}
	}
	if !any {
		return b.noPrefix(r, nil)
	}
	return nil
}

// noPrefix explains why there is nothing to give. It is the way of a node that has just joined.
func (b *Book) noPrefix(r state.Reader, f *family) error {
	if !b.tables.Configs.IsSynced(r) {
		return later("the agent has not read the configuration yet", "ConfigMap kube-system/cilium-config has not come from the API server")
	}
	if n, known := b.tables.LocalNode(r); known {
		what := "pod CIDR"
		if f != nil {
			what = f.name + " pod CIDR"
		}
		return later(fmt.Sprintf("node %s has no %s yet", n.Name, what),
			fmt.Sprintf("the operator gives it one in ciliumnode/%s, spec.ipam.podCIDRs; with ipam: kubernetes it comes from node.spec.podCIDRs", n.Name))
	}
	return later("the agent does not know its own node yet", "its CiliumNode has not come from the API server")
}

// Take gives an owner an address of each family, of the pool of that (of: IPv4, IPv6; empty: the node's own prefixes), those it asks for if any (at most
// one per family), and an incarnation number. An owner that holds addresses already keeps them.
func (b *Book) Take(r state.Reader, owner string, of [2]string, asked []netip.Addr, now time.Time) (got Lease, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.follow(r, now); !b.tables.Configs.IsSynced(r) {
		return got, b.noPrefix(r, nil)
	}
	defer func() {
		if err != nil {
			b.giveBack(owner, now)
		}
	}()
	for i := range b.family {
		f := &b.family[i]
		at := slices.IndexFunc(asked, func(x netip.Addr) bool { return x.Is4() == f.is4 })
		switch {
		case !b.enabled(r, f) && at >= 0:
			return got, types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("address %s: %s is off on this node", asked[at], f.name), "setting "+f.setting)
		case !b.enabled(r, f):
			continue
		}
		from, err := b.from(r, f, of[i])
		if err != nil {
			return got, err
		}
		var x netip.Addr
		if at >= 0 {
			x, err = asked[at], f.pool.Claim(owner, asked[at], now)
		} else {
			x, err = f.pool.Allocate(owner, now, from...)
		}
		if err != nil {
			return got, refusal(err)
		}
		got.Addresses = append(got.Addresses, x)
	}
	if len(got.Addresses) == 0 {
		return got, b.noPrefix(r, nil)
	}
	got.Incarnation, err = b.incarnation()
	return got, err
}

// Owner is who holds the addresses of an attachment: the container ID, a slash and the interface, which has none.
func Owner(containerID, ifname string) string { return containerID + "/" + ifname }

// incarnation is the next number. It is reserved on disk before it is used, a block at a time.
func (b *Book) incarnation() (uint32, error) {
	if b.last > math.MaxUint32-block {
		return 0, types.NewError(types.ErrInternal, "the node has used up its incarnation numbers", "drain it, delete "+journal.StateDir+" and restart it")
	}
	if b.last >= b.saved.Incarnation {
		next := b.marked()
		next.Incarnation = b.last + block
		if err := b.save(next); err != nil {
			return 0, err
		}
	}
	b.last++
	return b.last, nil
}

// refusal says with which code an address is refused. Full pools empty, and rests end: both are worth another try.
func refusal(err error) error {
	claim := (*ipam.ClaimError)(nil)
	if errors.As(err, &claim) && !claim.Later {
		return types.NewError(types.ErrInvalidNetworkConfig, err.Error(), "")
	}
	return later(err.Error(), "pods that end give their addresses back after a while; a larger or further pod CIDR for the node helps for good")
}

// End writes down that what owner holds has been used. It comes before the record of the attachment goes from disk, or a
// crash between that and Release would cut the rest short.
func (b *Book) End(owner string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.family[:], func(f family) bool { x, ok := f.pool.Held(owner); return ok && !b.saved.Used(x) }) {
		return nil
	}
	return b.save(b.marked())
}

// Release takes back what owner holds, which begins to rest.
func (b *Book) Release(owner string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.giveBack(owner, now)
}

func (b *Book) giveBack(owner string, now time.Time) {
	for i := range b.family {
		b.family[i].pool.Release(owner, now)
	}
}

// marked is what numbers should say now. Marks of prefixes that the node has no more stay, for it may get them back.
func (b *Book) marked() numbers {
	n := numbers{Incarnation: b.saved.Incarnation, Marks: ipam.Marks{Next: maps.Clone(b.saved.Next)}}
	if n.Next == nil {
		n.Next = map[netip.Prefix]netip.Addr{}
	}
	for i := range b.family {
		m := b.family[i].pool.Marks()
		maps.Copy(n.Next, m.Next)
		for _, x := range m.Beyond {
			n.Use(x)
		}
	}
	return n
}

func (b *Book) save(n numbers) error {
	if err := b.disk.Put(numbersName, n); err != nil {
		return types.NewError(types.ErrIOFailure, err.Error(), "is the disk full?")
	}
	b.saved = n
	return nil
}

// Owners are all who hold an address.
func (b *Book) Owners() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append(b.family[0].pool.Owners(), b.family[1].pool.Owners()...)
}

func later(message, details string) error {
	return types.NewError(types.ErrTryAgainLater, message, details)
}
