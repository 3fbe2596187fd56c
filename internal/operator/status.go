package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/operator/condition"
	"weftnet.io/weftnet/internal/operator/pace"
)

// judgement is how objects of a kind are judged, and what has them judged again.
type judgement struct {
	kind  *kind.Kind
	judge func(context.Context, kind.Object) (condition.Assessment, error)
	watch func(*builder.Builder) *builder.Builder
}

// judgementOf is that of a kind: policies are judged by their text and by what it depends on, other kinds all alike.
func judgementOf(m manager.Manager, f condition.Facts, k *kind.Kind) judgement {
	if k.Lacks != "" {
		v := condition.Lacking(k.Lacks)
		return judgement{k, func(context.Context, kind.Object) (condition.Assessment, error) { return v, nil }, func(b *builder.Builder) *builder.Builder { return b }}
	}
	list := func() client.ObjectList {
		o, err := m.GetScheme().New(k.WithKind(k.Name + "List"))
		utilruntime.Must(err) // every group has the lists of its kinds
		return o.(client.ObjectList)
	}
	judge := func(ctx context.Context, o kind.Object) (condition.Assessment, error) {
		w, done, err := f.World(ctx)
		if err != nil {
			return condition.Assessment{}, err
		}
		var failed error
		if !k.IsPolicy() {
			w.Others = func() (others []any) { others, failed = othersOf(ctx, m.GetClient(), list(), o); return others }
		}
		v, err := condition.Of(k.Name, o, w)
		err = errors.Join(err, failed)
		return v, errors.Join(err, done())
	}
	return judgement{k, judge, func(b *builder.Builder) *builder.Builder { return f.Watch(b, m.GetClient(), list) }}
}

// othersOf are the objects of a list that are another one than o.
func othersOf(ctx context.Context, c client.Reader, list client.ObjectList, o kind.Object) (others []any, err error) {
	if err := c.List(ctx, list); err != nil {
		return nil, fmt.Errorf("list others of %T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	err = apimeta.EachListItem(list, func(item runtime.Object) error {
		if one, ok := item.(kind.Object); ok && (one.GetNamespace() != o.GetNamespace() || one.GetName() != o.GetName()) {
			others = append(others, one)
		}
		return nil
	})
	return others, err
}

// addAllConditions has the manager say of each object what is enforced of it, of all kinds that every cluster has.
func addAllConditions(m manager.Manager, f condition.Facts) (err error) {
	for k := range kind.ReadBy(kind.Operator) {
		if k.Judged() && !k.Optional {
			err = errors.Join(err, addConditions(m, f, k))
		}
	}
	return err
}

// addConditions does so for one kind: in the status of its objects, or by events if they have none.
func addConditions(m manager.Manager, f condition.Facts, k *kind.Kind) error {
	j := judgementOf(m, f, k)
	if k.Conditions != nil {
		return j.watch(builder.ControllerManagedBy(m).For(k.New())).WithOptions(pace.Many).Complete(&statuses{m.GetClient(), j})
	}
	changes := predicate.GenerationChangedPredicate{}
	return j.watch(builder.ControllerManagedBy(m).For(k.New(), builder.WithPredicates(changes))).WithOptions(pace.Many).
		Complete(&reports{m.GetClient(), m.GetEventRecorder("weft-operator"), j})
}

// statuses writes the conditions of every object of a kind into its status.
type statuses struct {
	client client.Client
	judgement
}

// Reconcile judges one object.
func (s *statuses) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	o := s.kind.New()
	if err := s.client.Get(ctx, r.NamespacedName, o); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	v, err := s.judge(ctx, o)
	if err != nil {
		return reconcile.Result{}, err
	}
	changed := false
	for _, c := range v.Conditions(o.GetGeneration()) {
		changed = apimeta.SetStatusCondition(s.kind.Conditions(o), c) || changed
	}
	if !changed {
		return reconcile.Result{}, nil
	}
	if err := client.IgnoreNotFound(s.client.Status().Update(ctx, o)); err != nil {
		return reconcile.Result{}, fmt.Errorf("write the status of %T %s: %w", o, r.NamespacedName, err)
	}
	return reconcile.Result{}, nil
}

// remind is when an event is repeated: Kubernetes forgets events after an hour.
const remind = 50 * time.Minute

// reports writes events about objects of a kind that has no status.
type reports struct {
	client client.Client
	events events.EventRecorder
	judgement
}

// Reconcile judges one object.
func (s *reports) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	o := s.kind.New()
	if err := s.client.Get(ctx, r.NamespacedName, o); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	v, err := s.judge(ctx, o)
	if err != nil {
		return reconcile.Result{}, err
	}
	if len(v.Problems) == 0 {
		return reconcile.Result{}, nil
	}
	s.events.Eventf(o, nil, corev1.EventTypeWarning, string(v.Reason), "Enforce", "%s", condition.Limit(strings.Join(v.Problems, "; "), 1024))
	return reconcile.Result{RequeueAfter: remind}, nil
}

func nothing(event.UpdateEvent) bool { return false }
