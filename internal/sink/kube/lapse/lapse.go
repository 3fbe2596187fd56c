// Package lapse decides when a node's hold on addresses that may move has lapsed, so that another node may take them: both sides of it.
//
// # The world it models
//
// An address that stays with a workload may move to another node while its NIC on this one lives: where the node is cut off, its pods are made anew
// elsewhere. Each node with such NICs renews a Lease. What follows from a Lease that is not renewed is counted by each side by its own clock:
//
//	 0 s  the node renewed it last
//	40 s  the node itself takes its hold for lapsed, and its NICs fall silent                                 (Hold)
//	45 s  another node, which has looked at the Lease for as long and has not seen it change, may take over   (Others)
//
// How long that is says the node itself (key network-address-hold), and so does its Lease.
//
// # Invariants
//
//   - The node counts from before it sent the renewal, another from when it first saw it: no clock is compared with another's.
//   - A node without a Lease, or with one of no term, never lapses: nothing says that its NICs would fall silent.
//   - After a lapse a NIC may speak again only if the blocks still have its name.
//
// # Example
//
//	hold := lapse.NewHold(config)
//	err := hold.Run(ctx, needs)        // on the one node
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

const (
	patience  = 5 * time.Second // of one
	margin    = 5 * time.Second // in which NICs fall silent
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

// Renew says that the node is there, and for how long that is said; 0: for ever.
func (h *Hold) Renew(ctx context.Context, term time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now, seconds := metav1.NewMicroTime(h.now()), int32(term.Round(time.Second)/time.Second)
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

// Needs are what a node's hold is about.
type Needs struct {
	Term func() time.Duration // 0: the hold never lapses
	Any  func() bool          // there is something that may move

	Lapsed func() error                    // the hold has lapsed
	Back   func(ctx context.Context) error // it is back, or there from the beginning; told again until there is no error
}

// often is how many renewals there are in a term.
const often = 4

// Run renews the Lease while there is a need. A hold that has never been renewed by this process counts as one that was long ago: how long the process
// before has been without the API server is not known. It ends with ctx.
func (h *Hold) Run(ctx context.Context, needs Needs) error {
	var last time.Time
	known, silent := false, false // the first is told, too
	for {
		term := needs.Term()
		wait := time.Second
		if needs.Any() || silent {
			began := h.now()
			err := h.Renew(ctx, term)
			switch {
			case err == nil:
				last, wait = began, max(term/often, time.Second)
			case ctx.Err() != nil:
				return ctx.Err()
			case term > 0 && !silent && h.now().Sub(last) >= term:
				if err := needs.Lapsed(); err != nil {
					return err
				}
				known, silent = true, true
			}
			if (silent || !known) && (err == nil || term == 0) && needs.Back(ctx) == nil {
				known, silent = true, false
			}
			if left := term - h.now().Sub(last); err != nil && !silent && term > 0 {
				wait = min(max(left, 0), wait)
			}
		} else {
			last = h.now() // with nothing to hold there is nothing to lapse
			known = known || needs.Back(ctx) == nil
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
	seconds := l.Spec.LeaseDurationSeconds
	if seconds == nil || *seconds == 0 {
		return false, nil
	}
	return o.now().Sub(s.since) >= time.Duration(*seconds)*time.Second+margin, nil
}
