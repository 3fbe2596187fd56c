package address

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/cluster"
)

// Condition of IPAMClaims, with its reasons.
const (
	ConditionAllocated = "IPsAllocated"

	ReasonAllocated = "SuccessfulAllocation"
	ReasonConflict  = "IPAddressConflict"
	ReasonFailed    = "AllocationFailed"
)

// claim is the record of a virtual machine's NIC whose pod names an IPAMClaim.
type claim struct {
	book    *Book
	request Request
	had     *claimv1.IPAMClaim
}

func (c *claim) read(ctx context.Context) (has, asks []netip.Prefix, err error) {
	q := c.request
	c.had, err = c.book.claims.Get(ctx, q.Namespace, q.Claim)
	if apierrors.IsNotFound(err) {
		if c.had = nil; q.Made {
			return nil, nil, fmt.Errorf("IPAMClaim %s/%s is not there: the operator makes it, since the network has allowPersistentIPs; see that cilium-operator runs", q.Namespace, q.Claim)
		}
		return nil, nil, fmt.Errorf("IPAMClaim %s/%s is not there, and the pod names it in ipam-claim-reference: make it, or take the reference out", q.Namespace, q.Claim)
	}
	if err != nil {
		c.had = nil
		return nil, nil, fmt.Errorf("read IPAMClaim %s/%s: %w", q.Namespace, q.Claim, err)
	}
	if err := c.check(ctx); err != nil {
		return nil, nil, err
	}
	if has, err = c.prefixes("status.ips", c.had.Status.IPs); err == nil {
		asks, err = c.prefixes("spec.ipRequests", c.had.Spec.IPRequests)
	}
	return has, asks, err
}

func (c *claim) prefixes(field string, list []string) (out []netip.Prefix, err error) {
	for i, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("IPAMClaim %s/%s: %s[%d]: %q is no address with the length of its subnet", c.request.Namespace, c.request.Claim, field, i, text)
		}
		out = append(out, p)
	}
	return out, nil
}

// ClaimOwner is the owner, in blocks, of the addresses of an IPAMClaim.
func ClaimOwner(namespace, name string) string { return "IPAMClaim " + namespace + "/" + name }

// CollisionError says that a claim is another's.
type CollisionError struct{ Claim, Has, Asks string }

func (e *CollisionError) Error() string {
	return fmt.Sprintf("IPAMClaim %s is held by %s, and %s asks for it: a claim keeps the addresses of one NIC of one workload", e.Claim, e.Has, e.Asks)
}

// check tells whether the claim is for this NIC, and for this workload.
func (c *claim) check(ctx context.Context) error {
	q, o := c.request, c.had
	name := q.Namespace + "/" + q.Claim
	pod := "pod " + q.Holder.Pod
	switch {
	case o.Spec.Network != q.NetworkName:
		return fmt.Errorf("IPAMClaim %s: spec.network is %q, and %s names it for network %q", name, o.Spec.Network, pod, q.NetworkName)
	case o.Spec.Interface != "" && o.Spec.Interface != q.Holder.Interface:
		return fmt.Errorf("IPAMClaim %s: spec.interface is %q, and %s names it for its interface %q", name, o.Spec.Interface, pod, q.Holder.Interface)
	}
	for _, owner := range o.OwnerReferences {
		if address.Keeps(owner.Kind) && !q.Owner.Is(owner.Kind, owner.Name) {
			who := pod
			if q.Owner.Name != "" {
				who = fmt.Sprintf("%s of %s", pod, q.Owner)
			}
			return &CollisionError{name, fmt.Sprintf("%s %s/%s", owner.Kind, q.Namespace, owner.Name), who}
		}
	}
	if q.Owner.Kind == "VirtualMachine" || o.Status.OwnerPod == "" || q.Namespace+"/"+o.Status.OwnerPod == q.Holder.Pod {
		return nil
	}
	// Two pods, none of them a virtual machine's, which may have two while it moves: the claim is the other's as long as it holds an address.
	held, err := c.book.holders(ctx, func(u cluster.Use, _ cluster.Holder) bool { return u.Owner == ClaimOwner(q.Namespace, q.Claim) })
	for _, h := range held {
		if err == nil && h.Pod != q.Holder.Pod {
			return &CollisionError{name, "pod " + h.Pod, pod}
		}
	}
	return err
}

// stale tells whether the status names another pod, or says that the last attempt failed.
func (c *claim) stale() bool {
	return c.request.Namespace+"/"+c.had.Status.OwnerPod != c.request.Holder.Pod || !meta.IsStatusConditionTrue(c.had.Status.Conditions, ConditionAllocated)
}

func (c *claim) write(ctx context.Context, is []netip.Prefix) error {
	o := c.had.DeepCopy()
	o.Status.IPs = texts(is)
	o.Status.OwnerPod = c.request.Holder.Pod[len(c.request.Namespace)+1:]
	meta.SetStatusCondition(&o.Status.Conditions, metav1.Condition{
		Type: ConditionAllocated, Status: metav1.ConditionTrue, Reason: ReasonAllocated, ObservedGeneration: o.Generation,
		Message: "the addresses belong to this claim, and stay with it",
	})
	return c.book.claims.UpdateStatus(ctx, o)
}

// refuse says in the claim why it has no addresses. A claim that has some is another's, or keeps them: its status stays.
func (c *claim) refuse(ctx context.Context, why error) {
	if c.had == nil || slices.ContainsFunc(c.had.Status.Conditions, func(o metav1.Condition) bool { return o.Type == ConditionAllocated && o.Status == metav1.ConditionTrue }) {
		return
	}
	reason := ReasonFailed
	var held *cluster.HeldError
	var collision *CollisionError
	if errors.As(why, &held) || errors.As(why, &collision) {
		reason = ReasonConflict
	}
	o := c.had.DeepCopy()
	if o.Status.IPs == nil {
		o.Status.IPs = []string{}
	}
	meta.SetStatusCondition(&o.Status.Conditions, metav1.Condition{
		Type: ConditionAllocated, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: o.Generation, Message: why.Error(),
	})
	if err := c.book.claims.UpdateStatus(ctx, o); err != nil {
		c.book.log.Warn("an IPAMClaim does not say why it has no addresses", "claim", o.Namespace+"/"+o.Name, "error", err)
	}
}
