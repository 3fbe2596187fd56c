package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/operator/verdict"
)

// object is a pointer to a T that is a Kubernetes object.
type object[T any] interface {
	*T
	client.Object
}

// statuses writes the verdict on every object of a kind into its status.
type statuses[T any, P object[T]] struct {
	client     client.Client
	judge      func(context.Context, P) (verdict.Verdict, error)
	conditions func(P) *[]metav1.Condition
}

// Reconcile judges one object.
func (s *statuses[T, P]) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	o := P(new(T))
	if err := s.client.Get(ctx, r.NamespacedName, o); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	v, err := s.judge(ctx, o)
	if err != nil {
		return reconcile.Result{}, err
	}
	changed := false
	for _, c := range v.Conditions(o.GetGeneration()) {
		changed = apimeta.SetStatusCondition(s.conditions(o), c) || changed
	}
	if !changed {
		return reconcile.Result{}, nil
	}
	if err := client.IgnoreNotFound(s.client.Status().Update(ctx, o)); err != nil {
		return reconcile.Result{}, fmt.Errorf("write the status of %T %s: %w", o, r.NamespacedName, err)
	}
	return reconcile.Result{}, nil
}

// judgement is how objects of a kind are judged, and what has them judged again.
type judgement[T any, P object[T]] struct {
	judge func(context.Context, P) (verdict.Verdict, error)
	watch func(*builder.Builder) *builder.Builder
}

// policies are judged by their text and by what it depends on.
func policies[T any, P object[T]](m manager.Manager, f verdict.Facts, kind string, list func() client.ObjectList) judgement[T, P] {
	return judgement[T, P]{
		judge: func(ctx context.Context, o P) (verdict.Verdict, error) {
			w, done, err := f.World(ctx)
			if err != nil {
				return verdict.Verdict{}, err
			}
			v, err := verdict.Of(kind, o, w)
			return v, errors.Join(err, done())
		},
		watch: func(b *builder.Builder) *builder.Builder { return f.Watch(b, m.GetClient(), list) },
	}
}

// always is a judgement that nothing changes.
func always[T any, P object[T]](v verdict.Verdict) judgement[T, P] {
	return judgement[T, P]{func(context.Context, P) (verdict.Verdict, error) { return v, nil }, func(b *builder.Builder) *builder.Builder { return b }}
}

func addStatus[T any, P object[T]](m manager.Manager, j judgement[T, P], conditions func(P) *[]metav1.Condition) error {
	return j.watch(builder.ControllerManagedBy(m).For(P(new(T)))).WithOptions(many).Complete(&statuses[T, P]{m.GetClient(), j.judge, conditions})
}

func addStatuses(m manager.Manager, f verdict.Facts) error {
	return errors.Join(
		addStatus(m, policies[v2.CiliumNetworkPolicy](m, f, language.KindCilium, func() client.ObjectList { return &v2.CiliumNetworkPolicyList{} }),
			func(o *v2.CiliumNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions }),
		addStatus(m, policies[v2.CiliumClusterwideNetworkPolicy](m, f, language.KindClusterwide, func() client.ObjectList { return &v2.CiliumClusterwideNetworkPolicyList{} }),
			func(o *v2.CiliumClusterwideNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions }),
		addStatus(m, always[v2.CiliumBandwidthPolicy](verdict.Lacking("spec.egress: bandwidth is not limited and traffic not marked yet")),
			func(o *v2.CiliumBandwidthPolicy) *[]metav1.Condition { return &o.Status.Conditions }),
		addStatus(m, always[v2.CiliumLoadBalancerIPPool](verdict.Lacking("spec.blocks: services of type LoadBalancer are not given addresses of a pool yet")),
			func(o *v2.CiliumLoadBalancerIPPool) *[]metav1.Condition { return &o.Status.Conditions }),
		addEvents(m, policies[networkingv1.NetworkPolicy](m, f, language.KindKubernetes, func() client.ObjectList { return &networkingv1.NetworkPolicyList{} })),
	)
}

func addTiers(m manager.Manager, f verdict.Facts) error {
	return addStatus(m, policies[v1alpha2.ClusterNetworkPolicy](m, f, language.KindClusterNetwork, func() client.ObjectList { return &v1alpha2.ClusterNetworkPolicyList{} }),
		func(o *v1alpha2.ClusterNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions })
}

func addNetworks(m manager.Manager, _ verdict.Facts) error {
	return addEvents(m, always[cncfv1.NetworkAttachmentDefinition](verdict.Lacking("spec.config: pods are not attached to secondary networks yet (unless Multus itself is installed)")))
}

// remind is when an event is repeated: Kubernetes forgets events after an hour.
const remind = 50 * time.Minute

// reports writes events about objects of a kind that has no status.
type reports[T any, P object[T]] struct {
	client client.Client
	events events.EventRecorder
	judge  func(context.Context, P) (verdict.Verdict, error)
}

// Reconcile judges one object.
func (s *reports[T, P]) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	o := P(new(T))
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
	s.events.Eventf(o, nil, corev1.EventTypeWarning, string(v.Reason), "Enforce", "%s", verdict.Limit(strings.Join(v.Problems, "; "), 1024))
	return reconcile.Result{RequeueAfter: remind}, nil
}

func addEvents[T any, P object[T]](m manager.Manager, j judgement[T, P]) error {
	changes := predicate.GenerationChangedPredicate{}
	return j.watch(builder.ControllerManagedBy(m).For(P(new(T)), builder.WithPredicates(changes))).WithOptions(many).
		Complete(&reports[T, P]{m.GetClient(), m.GetEventRecorder("weft-operator"), j.judge})
}

func nothing(event.UpdateEvent) bool { return false }
