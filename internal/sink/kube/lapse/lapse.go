// Package lapse decides when a node's hold on addresses that may move has lapsed, so that another node may take them: both sides of it.
//
// # The world it models
//
// An address that stays with a workload may move to another node while its NIC on this one lives: where the node is cut off, its pods are made anew
// elsewhere. Each node with such NICs renews a Lease. What follows from a Lease that is not renewed is counted by each side by its own clock:
//
//	   0 s   the node renewed it last
//	Term     the node itself takes its hold for lapsed, and its NICs fall silent                                (Hold)
//	Term+5   another node, which has looked at the Lease for as long and has not seen it change, may take over  (Others)
//
// # Invariants
//
//   - The node counts from before it sent the renewal, another from when it first saw it: no clock is compared with another's.
//   - A node without a Lease has never lapsed: nothing says that its NICs would fall silent.
//   - After a lapse a NIC may speak again only if the blocks still have its name.
//
// # Example
//
//	hold := lapse.NewHold(config)
//	err := hold.Run(ctx)               // on the one node
//	over, err := others.Over(ctx, "a") // on the other
package lapse

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/sink/kube/object"
)

// Term is how long a node holds what it has without a word from the API server.
const Term = 40 * time.Second

const (
	every     = 10 * time.Second // between renewals
	patience  = 5 * time.Second  // of one
	margin    = 5 * time.Second  // in which NICs fall silent
	namespace = metav1.NamespaceSystem
)

// Name is that of a node's Lease.
func Name(node string) string { return "weft-addresses." + node }

type leases = object.Client[coordinationv1.Lease, *coordinationv1.Lease]

func connect(api *rest.Config) (leases, error) {
	return object.Connect[coordinationv1.Lease](api, coordinationv1.AddToScheme, coordinationv1.SchemeGroupVersion, "leases")
}

// Hold is what a node knows of its own.
type Hold struct {
	client leases
	node   string
	now    func() time.Time
}

// NewHold makes that of a node. now nil: time.Now.
func NewHold(api *rest.Config, node string, now func() time.Time) (*Hold, error) {
	c, err := connect(api)
	if now == nil {
		now = time.Now
	}
	return &Hold{c, node, now}, err
}

// Renew says that the node is there.
func (h *Hold) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now, seconds := metav1.NewMicroTime(h.now()), int32(Term/time.Second)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &h.node, RenewTime: &now, LeaseDurationSeconds: &seconds}
	o, err := h.client.Get(ctx, namespace, Name(h.node))
	if apierrors.IsNotFound(err) {
		return h.client.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name(h.node)}, Spec: spec})
	}
	if err != nil {
		return err
	}
	o.Spec = spec
	return h.client.Update(ctx, o)
}

// Run renews the Lease for as long as needed says so, and tells when the hold lapses, and when it is back: again and again until that succeeds.
// It ends with ctx.
func (h *Hold) Run(ctx context.Context, needed func() (now bool, changed <-chan struct{}), lapsed func() error, back func(ctx context.Context) error) error {
	last, silent := h.now(), false
	for {
		want, changed := needed()
		if !want {
			if last = h.now(); silent {
				silent = back(ctx) != nil
			}
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		began := h.now()
		err := h.Renew(ctx)
		switch {
		case err == nil:
			if last = began; silent {
				silent = back(ctx) != nil
			}
		case h.now().Sub(last) >= Term && !silent:
			if err := lapsed(); err != nil {
				return err
			}
			silent = true
		}
		wait := every
		if left := Term - h.now().Sub(last); err != nil && !silent {
			wait = min(max(left, 0), every/5)
		} else if silent {
			wait = every / 5
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Others is what a node knows of the others'.
type Others struct {
	client leases
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]sight // by node
}

type sight struct {
	version string // of the Lease
	since   time.Time
}

// NewOthers makes one that has seen nothing. now nil: time.Now.
func NewOthers(api *rest.Config, now func() time.Time) (*Others, error) {
	c, err := connect(api)
	if now == nil {
		now = time.Now
	}
	return &Others{client: c, now: now, seen: map[string]sight{}}, err
}

// Over tells whether a node's hold has lapsed. It is asked again and again: the first look at a Lease begins its term.
func (o *Others) Over(ctx context.Context, node string) (bool, error) {
	l, err := o.client.Get(ctx, namespace, Name(node))
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read Lease %s/%s: %w", namespace, Name(node), err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s, known := o.seen[node]
	if !known || s.version != l.ResourceVersion {
		o.seen[node] = sight{l.ResourceVersion, o.now()}
		return false, nil
	}
	return o.now().Sub(s.since) >= Term+margin, nil
}
