package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/cilium/v2alpha1"
	"weftnet.io/weftnet/internal/language/netobject"
)

// rest is how long a prefix stays free that a node has given back: until packets for its pods have died out everywhere.
const rest = 10 * time.Minute

// Keeper gives parts of pools to nodes. Every request is about all nodes.
type Keeper struct {
	Client client.Client // reads from the cache
	Live   client.Reader // reads from the API server
	Events events.EventRecorder
	Log    *slog.Logger
	Now    func() time.Time

	held    map[netip.Prefix]bool      // by some node, when last looked
	resting map[netip.Prefix]time.Time // since when no node holds it
	told    map[string]string          // what nodes lack
}

// Add has the manager run one.
func Add(m manager.Manager, log *slog.Logger) error {
	k := &Keeper{Client: m.GetClient(), Live: m.GetAPIReader(), Events: m.GetEventRecorder("weft-operator"), Log: log, Now: time.Now}
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{{}} })
	return builder.ControllerManagedBy(m).Named("pod-ip-pools").
		Watches(&v2alpha1.CiliumPodIPPool{}, all).
		Watches(&v2.CiliumNode{}, all).
		Complete(k)
}

// Reconcile looks at all nodes. The cache tells whether any lacks something; what they get is computed from what the API server has.
func (k *Keeper) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	var pools v2alpha1.CiliumPodIPPoolList
	if err := k.Client.List(ctx, &pools); err != nil {
		return reconcile.Result{}, fmt.Errorf("list CiliumPodIPPools: %w", err)
	}
	var nodes v2.CiliumNodeList
	if err := k.Client.List(ctx, &nodes); err != nil {
		return reconcile.Result{}, fmt.Errorf("list CiliumNodes: %w", err)
	}
	k.note(nodes.Items)
	parts := map[string][]netobject.Part{}
	for i := range pools.Items {
		parts[pools.Items[i].Name] = netobject.Parts(&pools.Items[i])
	}
	if len(k.changes(nodes.Items, assign(parts, read(nodes.Items), k.rests()))) == 0 {
		return reconcile.Result{}, nil
	}
	if err := k.Live.List(ctx, &nodes); err != nil {
		return reconcile.Result{}, fmt.Errorf("list CiliumNodes: %w", err)
	}
	answers := assign(parts, read(nodes.Items), k.rests())
	var errs []error
	for _, o := range k.changes(nodes.Items, answers) {
		errs = append(errs, k.give(ctx, o, answers[o.Name]))
	}
	return reconcile.Result{}, errors.Join(errs...)
}

// read is what counts of nodes. A prefix that cannot be read counts as none.
func read(list []v2.CiliumNode) (out []node) {
	for i := range list {
		o := &list[i]
		n := node{name: o.Name, created: o.CreationTimestamp.Time, requested: o.Spec.IPAM.Pools.Requested, allocated: o.Spec.IPAM.Pools.Allocated}
		for _, text := range o.Spec.IPAM.PodCIDRs {
			if p, err := netip.ParsePrefix(text); err == nil {
				n.prefixes = append(n.prefixes, p.Masked())
			}
		}
		out = append(out, n)
	}
	return out
}

// changes lists the nodes that do not have what they should, or lack what has not been told yet.
func (k *Keeper) changes(list []v2.CiliumNode, answers map[string]answer) (out []*v2.CiliumNode) {
	for i := range list {
		o, a := &list[i], answers[list[i].Name]
		if !same(o.Spec.IPAM.Pools.Allocated, a.allocated) || k.told[o.Name] != a.problem {
			out = append(out, o)
		}
	}
	return out
}

func same(a, b []v2.NodePoolAllocation) bool { return len(a)+len(b) == 0 || reflect.DeepEqual(a, b) }

// give writes an answer into a node, and tells what is missing.
func (k *Keeper) give(ctx context.Context, o *v2.CiliumNode, a answer) error {
	if had := o.Spec.IPAM.Pools.Allocated; !same(had, a.allocated) {
		o.Spec.IPAM.Pools.Allocated = a.allocated
		if err := k.Client.Update(ctx, o); err != nil {
			return fmt.Errorf("give CiliumNode %s parts of pools: %w", o.Name, err)
		}
		k.Log.Info("a node has other parts of pools", "node", o.Name, "parts", a.allocated, "before", had)
	}
	if k.told[o.Name] == a.problem {
		return nil
	}
	if k.told == nil {
		k.told = map[string]string{}
	}
	k.told[o.Name] = a.problem
	if a.problem != "" {
		k.Log.Warn("a node lacks addresses of a pool", "node", o.Name, "problem", a.problem)
		k.Events.Eventf(o, nil, corev1.EventTypeWarning, "NoPoolAddresses", "Assign", "%s", a.problem)
	}
	return nil
}

// note lets prefixes rest that no node has any more.
func (k *Keeper) note(list []v2.CiliumNode) {
	held := map[netip.Prefix]bool{}
	for i := range list {
		for _, x := range list[i].Spec.IPAM.Pools.Allocated {
			for _, text := range x.CIDRs {
				if p, err := netip.ParsePrefix(text); err == nil {
					held[p.Masked()] = true
				}
			}
		}
	}
	if k.resting == nil {
		k.resting = map[netip.Prefix]time.Time{}
	}
	for p := range k.held {
		if !held[p] {
			k.resting[p] = k.Now()
		}
	}
	for p := range held {
		delete(k.resting, p)
	}
	k.held = held
}

func (k *Keeper) rests() (out []netip.Prefix) {
	for p, since := range k.resting {
		if k.Now().Sub(since) < rest {
			out = append(out, p)
		} else {
			delete(k.resting, p)
		}
	}
	return out
}
