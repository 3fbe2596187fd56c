package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/settings"
)

const (
	nodeGrace  = 5 * time.Minute  // a Node may be registered anew
	prefixRest = 10 * time.Minute // until packets for pods of the earlier node have died out everywhere
)

var nodeCount = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "cilium_operator_ipam_nodes", Help: "Number of nodes, and of those that lack a pod prefix (in-deficit).",
}, []string{"category"})

func init() { metrics.Registry.MustRegister(nodeCount) }

// nodes gives pod prefixes to CiliumNodes and removes those whose Node is gone. Every request is about all nodes.
type nodes struct {
	client client.Client // reads from the cache
	live   client.Reader // reads from the API server
	events events.EventRecorder
	log    *slog.Logger
	now    func() time.Time

	held    map[netip.Prefix]bool      // by some node, when last looked
	resting map[netip.Prefix]time.Time // since when no node holds it
	gone    map[string]time.Time       // CiliumNodes without Node, and since when
}

func addNodes(m manager.Manager, log *slog.Logger) error {
	r := &nodes{
		client: m.GetClient(), live: m.GetAPIReader(), events: m.GetEventRecorder("weft-operator"), log: log, now: time.Now,
		held: map[netip.Prefix]bool{}, resting: map[netip.Prefix]time.Time{}, gone: map[string]time.Time{},
	}
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	comesOrGoes := predicate.Funcs{UpdateFunc: nothing}
	return builder.ControllerManagedBy(m).Named("nodes").
		Watches(&v2.CiliumNode{}, all).
		Watches(&corev1.Node{}, all, builder.WithPredicates(comesOrGoes)).
		Watches(&corev1.ConfigMap{}, all).
		Complete(r)
}

// Reconcile looks at all nodes.
func (r *nodes) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	var list v2.CiliumNodeList
	if err := r.client.List(ctx, &list); err != nil {
		return reconcile.Result{}, fmt.Errorf("list CiliumNodes: %w", err)
	}
	wait, err := r.collect(ctx, list.Items)
	return reconcile.Result{RequeueAfter: wait}, errors.Join(err, r.provide(ctx, list.Items))
}

// collect deletes CiliumNodes whose Node has been gone for long, and tells when to look again; 0 is never.
func (r *nodes) collect(ctx context.Context, list []v2.CiliumNode) (wait time.Duration, err error) {
	since := map[string]time.Time{}
	for i := range list {
		o := &list[i]
		err := r.client.Get(ctx, client.ObjectKey{Name: o.Name}, &corev1.Node{})
		if err == nil {
			continue
		}
		if !apierrors.IsNotFound(err) {
			return 0, fmt.Errorf("read Node %s: %w", o.Name, err)
		}
		at, known := r.gone[o.Name]
		if !known {
			at = r.now()
		}
		if left := nodeGrace - r.now().Sub(at); left > 0 {
			since[o.Name] = at
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		if err := r.remove(ctx, o); err != nil {
			since[o.Name] = at
			r.gone = since
			return wait, err
		}
	}
	r.gone = since
	return wait, nil
}

// remove deletes a CiliumNode if the API server itself says that there is no such Node.
func (r *nodes) remove(ctx context.Context, o *v2.CiliumNode) error {
	err := r.live.Get(ctx, client.ObjectKey{Name: o.Name}, &corev1.Node{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	if err := deleteExactly(ctx, r.client, o); err != nil {
		return fmt.Errorf("delete CiliumNode %s, whose Node is gone: %w", o.Name, err)
	}
	r.log.Info("deleted a CiliumNode whose Node is gone", "node", o.Name, "prefixes", o.Spec.IPAM.PodCIDRs)
	return nil
}

// deleteExactly deletes an object in the version given. That it is gone already is no error.
func deleteExactly(ctx context.Context, c client.Client, o client.Object) error {
	uid, version := o.GetUID(), o.GetResourceVersion()
	return client.IgnoreNotFound(c.Delete(ctx, o, client.Preconditions{UID: &uid, ResourceVersion: &version}))
}

// provide gives prefixes to the nodes that lack them. The cache tells whether any does; what they get is computed from
// what the API server has.
func (r *nodes) provide(ctx context.Context, cached []v2.CiliumNode) error {
	var c corev1.ConfigMap
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: kind.ConfigNamespace, Name: kind.ConfigName}, &c); err != nil {
		return fmt.Errorf("read the configuration, without which no node gets a pod prefix: ConfigMap %s/%s: %w", kind.ConfigNamespace, kind.ConfigName, err)
	}
	config, problems := settings.Parse(func(key string) (string, bool) { v, ok := c.Data[key]; return v, ok })
	for _, p := range problems {
		r.log.Warn("the configuration has a value that makes no sense", "key", p.Key, "value", p.Value, "problem", p.Message)
	}
	if config.IPAM != settings.ClusterPool {
		return nil
	}
	r.noteReleased(cached)
	have := holders(cached)
	if len(changes(cached, assign(wanted(config.Pools, have), have, r.rest()))) == 0 {
		r.count(cached)
		return nil
	}
	var list v2.CiliumNodeList
	if err := r.live.List(ctx, &list); err != nil {
		return fmt.Errorf("list CiliumNodes: %w", err)
	}
	have = holders(list.Items)
	grants := assign(wanted(config.Pools, have), have, r.rest())
	var errs []error
	for _, o := range changes(list.Items, grants) {
		errs = append(errs, r.give(ctx, o, grants[o.Name]))
	}
	r.count(list.Items)
	return errors.Join(errs...)
}

// holders reads what nodes have. A prefix that cannot be read counts as none.
func holders(list []v2.CiliumNode) []holder {
	out := make([]holder, 0, len(list))
	for i := range list {
		o := &list[i]
		h := holder{name: o.Name, created: o.CreationTimestamp.Time}
		for _, text := range o.Spec.IPAM.PodCIDRs {
			if p, err := netip.ParsePrefix(text); err == nil {
				h.prefixes = append(h.prefixes, p.Masked())
			}
		}
		out = append(out, h)
	}
	return out
}

// changes lists the nodes that do not say what they were granted.
func changes(list []v2.CiliumNode, grants map[string]grant) (out []*v2.CiliumNode) {
	for i := range list {
		o := &list[i]
		g := grants[o.Name]
		if !slices.Equal(o.Spec.IPAM.PodCIDRs, texts(g.prefixes)) || o.Status.IPAM.OperatorStatus.Error != g.problem {
			out = append(out, o)
		}
	}
	return out
}

func texts(prefixes []netip.Prefix) []string {
	var out []string
	for _, p := range prefixes {
		out = append(out, p.String())
	}
	return out
}

// give writes a grant into a node.
func (r *nodes) give(ctx context.Context, o *v2.CiliumNode, g grant) error {
	problem := o.Status.IPAM.OperatorStatus.Error
	if had, want := o.Spec.IPAM.PodCIDRs, texts(g.prefixes); !slices.Equal(had, want) {
		o.Spec.IPAM.PodCIDRs = want
		if err := r.client.Update(ctx, o); err != nil {
			return fmt.Errorf("give CiliumNode %s the prefixes %v: %w", o.Name, want, err)
		}
		r.log.Info("gave a node pod prefixes", "node", o.Name, "prefixes", want, "before", had)
		if len(had) > 0 && !contains(want, had) {
			r.events.Eventf(o, nil, corev1.EventTypeWarning, "PodPrefixConflict", "Assign",
				"%v was held by an older node too; this node has %v now, and pods with other addresses must be restarted", had, want)
		}
	}
	if problem == g.problem {
		return nil
	}
	o.Status.IPAM.OperatorStatus.Error = g.problem
	if err := r.client.Status().Update(ctx, o); err != nil {
		return fmt.Errorf("write the status of CiliumNode %s: %w", o.Name, err)
	}
	if g.problem != "" {
		r.log.Warn("a node lacks a pod prefix", "node", o.Name, "problem", g.problem)
		r.events.Eventf(o, nil, corev1.EventTypeWarning, "NoPodPrefix", "Assign", "%s", g.problem)
	}
	return nil
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// noteReleased lets prefixes rest that no node has any more.
func (r *nodes) noteReleased(list []v2.CiliumNode) {
	held := map[netip.Prefix]bool{}
	for _, h := range holders(list) {
		for _, p := range h.prefixes {
			held[p] = true
			delete(r.resting, p)
		}
	}
	for p := range r.held {
		if !held[p] {
			r.resting[p] = r.now()
		}
	}
	r.held = held
}

func (r *nodes) rest() map[netip.Prefix]bool {
	out := map[netip.Prefix]bool{}
	for p, since := range r.resting {
		if r.now().Sub(since) < prefixRest {
			out[p] = true
		} else {
			delete(r.resting, p)
		}
	}
	return out
}

func (r *nodes) count(list []v2.CiliumNode) {
	lacking := 0
	for i := range list {
		if list[i].Status.IPAM.OperatorStatus.Error != "" {
			lacking++
		}
	}
	nodeCount.WithLabelValues("total").Set(float64(len(list)))
	nodeCount.WithLabelValues("in-deficit").Set(float64(lacking))
}

// podMetadata is the kind as which pods are cached.
func podMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return o
}
