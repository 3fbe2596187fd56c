package overlay

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	table "weftnet.io/weftnet/internal/table/overlay"
)

// Finalizer keeps an OverlayNetwork until no pod is in it.
const Finalizer = "weftnet.io/pods"

// again is when it is looked once more whether pods are in a network that is deleted.
const again = 10 * time.Second

// Keeper keeps numbers.
type Keeper struct {
	Client client.Client
	Live   client.Reader // not from a cache: a number that was just given counts
	Now    func() time.Time
	Log    *slog.Logger

	has   map[string]int32    // by name, as seen last
	freed map[int32]time.Time // numbers that rest, since when
}

// Add has a manager keep the numbers of an API server that serves OverlayNetworks.
func Add(m manager.Manager, log *slog.Logger) error {
	k := &Keeper{Client: m.GetClient(), Live: m.GetAPIReader(), Now: time.Now, Log: log}
	return builder.ControllerManagedBy(m).Named("overlay-networks").For(&v1alpha1.OverlayNetwork{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).Complete(k)
}

// Reconcile gives all networks numbers that have none, and lets the one that is asked about go, if it is deleted and nothing is in it.
func (k *Keeper) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	var list v1alpha1.OverlayNetworkList
	if err := k.Live.List(ctx, &list); err != nil {
		return reconcile.Result{}, fmt.Errorf("list OverlayNetworks: %w", err)
	}
	k.note(list.Items)
	var nics *v1alpha1.PodInterfaceList
	claimed := func() (*v1alpha1.PodInterfaceList, error) {
		if nics != nil {
			return nics, nil
		}
		nics = &v1alpha1.PodInterfaceList{}
		return nics, k.Live.List(ctx, nics)
	}
	used := map[int32]bool{}
	if lacks(list.Items) {
		all, err := claimed()
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("list PodInterfaces, for numbers that are in use: %w", err)
		}
		for _, p := range all.Items {
			used[p.Spec.Overlay] = true
		}
	}
	want := numbers(list.Items, func(number int32) bool { return used[number] || k.rests(number) })
	for i := range list.Items {
		o := &list.Items[i]
		if o.DeletionTimestamp != nil {
			if o.Name != r.Name {
				continue
			}
			all, err := claimed()
			if err != nil {
				return reconcile.Result{}, fmt.Errorf("list PodInterfaces, for pods in OverlayNetwork %s: %w", o.Name, err)
			}
			return k.release(ctx, o, all)
		}
		if err := k.give(ctx, o, want[o.Name]); err != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{}, nil
}

// lacks tells whether a network needs a number that it has not.
func lacks(list []v1alpha1.OverlayNetwork) bool {
	seen := map[int32]bool{0: true}
	for _, o := range list {
		if seen[o.Status.Number] {
			return true
		}
		seen[o.Status.Number] = true
	}
	return false
}

// note remembers which numbers there are, and since when those rest that are no more.
func (k *Keeper) note(list []v1alpha1.OverlayNetwork) {
	before := k.has
	k.has = map[string]int32{}
	if k.freed == nil {
		k.freed = map[int32]time.Time{}
	}
	there := map[int32]bool{}
	for _, o := range list {
		k.has[o.Name], there[o.Status.Number] = o.Status.Number, true
	}
	for _, n := range before {
		if n != 0 && !there[n] {
			k.freed[n] = k.Now()
		}
	}
	for n, since := range k.freed {
		if k.Now().Sub(since) >= Rest {
			delete(k.freed, n)
		}
	}
}

func (k *Keeper) rests(number int32) bool {
	_, resting := k.freed[number]
	return resting
}

// give writes a number that a network does not have yet. The finalizer comes first: what has a number may have pods.
func (k *Keeper) give(ctx context.Context, o *v1alpha1.OverlayNetwork, number int32) error {
	if controllerutil.AddFinalizer(o, Finalizer) {
		if err := client.IgnoreNotFound(k.Client.Update(ctx, o)); err != nil {
			return fmt.Errorf("keep OverlayNetwork %s while pods are in it: %w", o.Name, err)
		}
	}
	switch {
	case o.Status.Number == number:
		return nil
	case number == 0:
		k.Log.Warn("an OverlayNetwork gets no number: all are given, or rest", "network", o.Name, "highest", table.Last)
		return nil
	}
	was := o.Status.Number
	o.Status.Number = number
	if err := client.IgnoreNotFound(k.Client.Status().Update(ctx, o)); err != nil {
		return fmt.Errorf("give OverlayNetwork %s the number %d: %w", o.Name, number, err)
	}
	k.has[o.Name] = number
	k.Log.Info("an OverlayNetwork has a number", "network", o.Name, "number", number, "instead of", was)
	return nil
}

// release lets a network go that is deleted, once no pod is in it.
func (k *Keeper) release(ctx context.Context, o *v1alpha1.OverlayNetwork, all *v1alpha1.PodInterfaceList) (reconcile.Result, error) {
	for _, p := range all.Items {
		if n := o.Status.Number; n != 0 && p.Spec.Overlay == n {
			return reconcile.Result{RequeueAfter: again}, nil
		}
	}
	if controllerutil.RemoveFinalizer(o, Finalizer) {
		if err := client.IgnoreNotFound(k.Client.Update(ctx, o)); err != nil {
			return reconcile.Result{}, fmt.Errorf("let OverlayNetwork %s go: %w", o.Name, err)
		}
	}
	return reconcile.Result{}, nil
}
