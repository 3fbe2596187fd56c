package operator

import (
	"context"
	"fmt"
	"log/slog"
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
	"weftnet.io/weftnet/internal/source/kube/check"
	"weftnet.io/weftnet/internal/source/kube/rule"
	"weftnet.io/weftnet/internal/table"
)

// ConditionEnforced is the condition type that tells whether all of an object is in force. Its message names what is not.
const ConditionEnforced = "Enforced"

// verdict is what there is to say about an object.
type verdict struct {
	valid    bool
	problems []string // each names its field; of an invalid object why it is invalid, else what is not enforced
	traps    []string // what is enforced and does not do what it seems to
}

func verdictOf(p table.PolicyObject) verdict { return verdict{valid: p.Valid, problems: p.Problems} }

// toldOf is the verdict in the words of `weft policy check` and of the webhook: with what was probably meant, and how to
// write it.
func toldOf(kind string, object any, p table.PolicyObject) verdict {
	findings, err := check.Object(kind, object, check.Options{})
	if err != nil {
		return verdictOf(p) // it came as JSON, so this does not happen
	}
	v := verdict{valid: p.Valid}
	for _, f := range findings {
		switch {
		case f.Severity == check.Error || f.Check == "partial":
			v.problems = append(v.problems, f.Sentence())
		case f.Severity == check.Warning:
			v.traps = append(v.traps, f.Sentence())
		}
	}
	if !p.Valid && len(v.problems) == 0 {
		v.problems = p.Problems
	}
	return v
}

// conditions puts a verdict into words, for the generation of the object that it is about.
func (v verdict) conditions(generation int64) []metav1.Condition {
	all := limit(strings.Join(v.problems, "; "), 32<<10)
	valid := metav1.Condition{Type: v2.ConditionValid, Status: metav1.ConditionTrue, Reason: "WellFormed", Message: "well formed"}
	enforced := metav1.Condition{Type: ConditionEnforced, Status: metav1.ConditionTrue, Reason: "Enforced", Message: "all of it is enforced"}
	switch {
	case !v.valid:
		valid.Status, valid.Reason, valid.Message = metav1.ConditionFalse, "Invalid", all
		enforced.Status, enforced.Reason, enforced.Message = metav1.ConditionFalse, "Invalid", "nothing of it is enforced, because it is invalid"
	case len(v.problems) > 0:
		valid.Message = limit("well formed, but not all of it is enforced: "+all, 32<<10)
		enforced.Status, enforced.Reason, enforced.Message = metav1.ConditionFalse, "NotImplemented", all
	}
	if v.valid && len(v.traps) > 0 {
		valid.Message = limit(valid.Message+"; but "+strings.Join(v.traps, "; "), 32<<10)
	}
	valid.ObservedGeneration, enforced.ObservedGeneration = generation, generation
	return []metav1.Condition{valid, enforced}
}

func limit(text string, size int) string {
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:size-3], "") + "..."
}

// object is a pointer to a T that is a Kubernetes object.
type object[T any] interface {
	*T
	client.Object
}

// statuses writes the verdict on every object of a kind into its status.
type statuses[T any, P object[T]] struct {
	client     client.Client
	judge      func(P) verdict
	conditions func(P) *[]metav1.Condition
}

// Reconcile judges one object.
func (s *statuses[T, P]) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	o := P(new(T))
	if err := s.client.Get(ctx, r.NamespacedName, o); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	changed := false
	for _, c := range s.judge(o).conditions(o.GetGeneration()) {
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

func addStatus[T any, P object[T]](m manager.Manager, judge func(P) verdict, conditions func(P) *[]metav1.Condition) error {
	return builder.ControllerManagedBy(m).For(P(new(T))).WithOptions(many).Complete(&statuses[T, P]{m.GetClient(), judge, conditions})
}

func addStatuses(m manager.Manager, _ *slog.Logger) error {
	for _, add := range []func() error{
		func() error {
			return addStatus(m, func(o *v2.CiliumNetworkPolicy) verdict { return toldOf(rule.KindCilium, o, rule.Cilium(o)) },
				func(o *v2.CiliumNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions })
		},
		func() error {
			return addStatus(m, func(o *v2.CiliumClusterwideNetworkPolicy) verdict {
				return toldOf(rule.KindClusterwide, o, rule.Clusterwide(o))
			},
				func(o *v2.CiliumClusterwideNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions })
		},
		func() error {
			return addStatus(m, func(*v2.CiliumBandwidthPolicy) verdict {
				return verdict{valid: true, problems: []string{"spec.egress: bandwidth is not limited and traffic not marked yet"}}
			}, func(o *v2.CiliumBandwidthPolicy) *[]metav1.Condition { return &o.Status.Conditions })
		},
		func() error {
			return addStatus(m, func(*v2.CiliumLoadBalancerIPPool) verdict {
				return verdict{valid: true, problems: []string{"spec.blocks: services of type LoadBalancer are not given addresses of a pool yet"}}
			}, func(o *v2.CiliumLoadBalancerIPPool) *[]metav1.Condition { return &o.Status.Conditions })
		},
		func() error {
			return addEvents(m, func(o *networkingv1.NetworkPolicy) verdict { return verdictOf(rule.Kubernetes(o)) })
		},
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

func addTiers(m manager.Manager) error {
	return addStatus(m, func(o *v1alpha2.ClusterNetworkPolicy) verdict {
		return toldOf(rule.KindClusterNetwork, o, rule.ClusterNetwork(o))
	}, func(o *v1alpha2.ClusterNetworkPolicy) *[]metav1.Condition { return &o.Status.Conditions })
}

func addNetworks(m manager.Manager) error {
	return addEvents(m, func(*cncfv1.NetworkAttachmentDefinition) verdict {
		return verdict{valid: true, problems: []string{"spec.config: pods are not attached to secondary networks yet (unless Multus itself is installed)"}}
	})
}

// remind is when an event is repeated: Kubernetes forgets events after an hour.
const remind = 50 * time.Minute

// reports writes events about objects of a kind that has no status.
type reports[T any, P object[T]] struct {
	client client.Client
	events events.EventRecorder
	judge  func(P) verdict
}

// Reconcile judges one object.
func (s *reports[T, P]) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	o := P(new(T))
	if err := s.client.Get(ctx, r.NamespacedName, o); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	v := s.judge(o)
	if len(v.problems) == 0 {
		return reconcile.Result{}, nil
	}
	reason := "NotImplemented"
	if !v.valid {
		reason = "Invalid"
	}
	s.events.Eventf(o, nil, corev1.EventTypeWarning, reason, "Enforce", "%s", limit(strings.Join(v.problems, "; "), 1024))
	return reconcile.Result{RequeueAfter: remind}, nil
}

func addEvents[T any, P object[T]](m manager.Manager, judge func(P) verdict) error {
	changes := predicate.GenerationChangedPredicate{}
	return builder.ControllerManagedBy(m).For(P(new(T)), builder.WithPredicates(changes)).WithOptions(many).
		Complete(&reports[T, P]{m.GetClient(), m.GetEventRecorder("weft-operator"), judge})
}

func nothing(event.UpdateEvent) bool { return false }
