package address

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"go4.org/netipx"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
)

// Request is what a NIC of this node needs: an address of each range.
type Request struct {
	Network     string // namespace/name of the NetworkAttachmentDefinition
	NetworkName string // the name in its configuration, as IPAMClaims have it
	Space       string
	Ranges      []Range
	Exact       []netip.Prefix // asked for by name: each takes the place of one out of its subnet
	Holder      cluster.Holder
	Owner       address.Owner       // zero: the address ends with the NIC
	Namespace   string              // of the pod
	Claim       string              // name of an IPAMClaim, which then is the owner; empty: none
	Made        bool                // the operator makes it
	Books       *whereabouts.Ranges // the books of whereabouts are written for this configuration; nil: it has none
}

// Range is a part of a subnet.
type Range struct {
	Subnet netip.Prefix
	From   []netipx.IPRange
}

// record is where an owner's addresses are written down.
type record interface {
	// read tells which they are, with the length of their subnets, and which of them must be these by name.
	read(ctx context.Context) (has, asks []netip.Prefix, err error)
	// write says that they are these. An error of kind Conflict or AlreadyExists: another node has written it.
	write(ctx context.Context, is []netip.Prefix) error
	// refuse says why there are none.
	refuse(ctx context.Context, why error)
}

// Grant gives a NIC its addresses: all of them, or none. One that has some already keeps them whatever the error.
func (b *Book) Grant(ctx context.Context, q Request) ([]netip.Prefix, error) {
	owner, r := b.recordOf(q)
	fresh := !b.holds(ctx, q.Holder)
	for range rounds {
		is, again, err := b.grant(ctx, q, owner, r)
		switch {
		case again:
			continue
		case err != nil:
			if r != nil {
				r.refuse(ctx, err)
			}
			if fresh {
				err = errors.Join(err, b.Return(context.WithoutCancel(ctx), q.Holder.Container, q.Holder.Interface))
			}
			return nil, err
		}
		return is, nil
	}
	return nil, fmt.Errorf("other nodes change the addresses of %s faster than this one can follow: try again", owner)
}

// Return takes back all addresses of a NIC, from the books of whereabouts too.
func (b *Book) Return(ctx context.Context, container, device string) error {
	return errors.Join(b.Release(ctx, container, device), b.others.Free(ctx, container, device))
}

// recordOf is who keeps the addresses when the NIC is gone, and where that is written; nil: none does.
func (b *Book) recordOf(q Request) (string, record) {
	switch {
	case q.Claim != "":
		return ClaimOwner(q.Namespace, q.Claim), &claim{book: b, request: q}
	case q.Owner != (address.Owner{}):
		return q.Owner.String(), &sticky{book: b, request: q}
	}
	return "", nil
}

func (b *Book) grant(ctx context.Context, q Request, owner string, r record) (is []netip.Prefix, again bool, err error) {
	var has []netip.Prefix
	asks := q.Exact
	if r != nil {
		var more []netip.Prefix
		if has, more, err = r.read(ctx); err != nil {
			return nil, false, err
		}
		asks = slices.Concat(asks, more)
	}
	taken := cluster.Want{Space: q.Space, Owner: owner, Holder: q.Holder, Alone: q.Owner.Kind == "StatefulSet"}
	for _, one := range q.Ranges {
		w := taken
		w.From = one.From
		p, err := b.one(ctx, q, w, one, of(one.Subnet, asks), of(one.Subnet, has))
		if err != nil {
			return nil, false, err
		}
		is = append(is, p)
	}
	if r == nil || slices.Equal(is, has) && !needsWrite(r) {
		return is, false, nil
	}
	err = r.write(ctx, is)
	if err == nil {
		return is, false, nil
	}
	if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		return nil, false, err
	}
	has, _, err = r.read(ctx) // another node was first: what it has written counts
	for _, p := range is {
		if err == nil && !slices.Contains(has, p) {
			err = b.drop(ctx, b.own(taken), p.Addr(), "")
		}
	}
	return nil, err == nil, err
}

func needsWrite(r record) bool {
	c, ok := r.(*claim)
	return ok && c.stale()
}

// of is the address of a subnet that stands in a list; zero: none.
func of(subnet netip.Prefix, list []netip.Prefix) netip.Addr {
	for _, p := range list {
		if subnet.Contains(p.Addr()) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// one gives an address of one range: that which is asked for by name, else that which the owner has, else that which the pod has from whereabouts, else any.
func (b *Book) one(ctx context.Context, q Request, w cluster.Want, r Range, asked, had netip.Addr) (netip.Prefix, error) {
	exact := asked
	if !exact.IsValid() {
		exact = had
	}
	if !exact.IsValid() && q.Books != nil {
		var err error
		if exact, err = b.others.Has(ctx, q.Books, r.Subnet, q.Holder); err != nil {
			return netip.Prefix{}, err
		}
	}
	w.Was = ForeignOwner(q.Holder.Pod)
	for range rounds {
		a := exact
		var err error
		if a.IsValid() {
			err = b.Claim(ctx, w, a)
		} else {
			a, err = b.Take(ctx, w)
		}
		if err == nil && q.Books != nil {
			err = b.others.Reserve(ctx, q.Books, r.Subnet, a, q.Holder)
		}
		var foreign *ForeignError
		switch {
		case err == nil:
			return netip.PrefixFrom(a, r.Subnet.Bits()), nil
		case errors.As(err, &foreign):
			if err := b.drop(ctx, b.own(w), a, ForeignOwner(foreign.Pod)); err != nil || exact.IsValid() {
				return netip.Prefix{}, errors.Join(foreign, err)
			}
		default:
			return netip.Prefix{}, err
		}
	}
	return netip.Prefix{}, fmt.Errorf("whereabouts on other nodes takes the addresses of %s faster than this node can follow: try again", r.Subnet)
}

// ForeignOwner is the owner, in blocks, of an address that a pod has from whereabouts.
func ForeignOwner(pod string) string { return "whereabouts, pod " + pod }
