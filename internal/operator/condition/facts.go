package condition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings"
)

// Facts reads what policies depend on beside their own text.
type Facts struct {
	Client client.Reader
	Live   client.Reader // of what is not cached: asked for single objects that few policies name; nil: that is not known
	Groups bool          // the API server knows CiliumCIDRGroups
}

// World reads the configuration, and looks for objects when it is asked for them. What went wrong then is in the error that
// done gives.
func (f Facts) World(ctx context.Context) (w gap.World, done func() error, err error) {
	var c corev1.ConfigMap
	if err := client.IgnoreNotFound(f.Client.Get(ctx, client.ObjectKey{Namespace: kind.ConfigNamespace, Name: kind.ConfigName}, &c)); err != nil {
		return w, nil, fmt.Errorf("read ConfigMap %s/%s: %w", kind.ConfigNamespace, kind.ConfigName, err)
	}
	w = gap.NewWorld(func(key string) (string, bool) { v, ok := c.Data[key]; return v, ok })
	var namespaces corev1.NamespaceList
	if err := f.Client.List(ctx, &namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return w, nil, fmt.Errorf("list namespaces, which may be audited: %w", err)
	}
	for _, n := range namespaces.Items {
		if language.Audits(n.Annotations) {
			w.Audited = append(w.Audited, identity.Namespace(n.Name, n.Labels))
		}
	}
	slices.SortFunc(w.Audited, func(a, b identity.Labels) int { return cmp.Compare(a.String(), b.String()) })
	var failed error
	there := func(key client.ObjectKey, o client.Object) bool {
		err := f.Client.Get(ctx, key, o)
		if client.IgnoreNotFound(err) != nil {
			failed = errors.Join(failed, fmt.Errorf("look for %T %s: %w", o, key, err))
		}
		return !apierrors.IsNotFound(err)
	}
	w.Service = func(namespace, name string) bool {
		return there(client.ObjectKey{Namespace: namespace, Name: name}, ServiceMetadata())
	}
	w.PodCIDRs = func() []netip.Prefix {
		prefixes, err := f.podCIDRs(ctx, w.Config)
		failed = errors.Join(failed, err)
		return prefixes
	}
	if f.Live != nil {
		w.Headless = func(namespace, name string) bool {
			var s corev1.Service
			if err := f.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s); client.IgnoreNotFound(err) != nil {
				failed = errors.Join(failed, fmt.Errorf("read service %s/%s: %w", namespace, name, err))
			}
			return s.Spec.ClusterIP == corev1.ClusterIPNone || s.Spec.Type == corev1.ServiceTypeExternalName
		}
		w.OnHost = func(namespace string, of identity.Selector) string {
			pod, err := f.onHost(ctx, namespace, of)
			failed = errors.Join(failed, err)
			return pod
		}
	}
	if f.Groups {
		w.Group = func(name string) ([]string, bool) {
			var g v2.CiliumCIDRGroup
			found := there(client.ObjectKey{Name: name}, &g)
			return kind.CIDRGroupProblems(&g), found
		}
	}
	return w, func() error { return failed }, nil
}

// podCIDRs are the prefixes that pods have addresses of: those that nodes get theirs out of, or else theirs.
func (f Facts) podCIDRs(ctx context.Context, c settings.Config) (list []netip.Prefix, err error) {
	if c.IPAM == settings.ClusterPool {
		for _, pool := range c.Pools {
			list = append(list, pool.Prefixes...)
		}
		return list, nil
	}
	var nodes v2.CiliumNodeList
	if err := f.Client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list CiliumNodes, which have prefixes of pods: %w", err)
	}
	for i := range nodes.Items {
		for _, text := range nodes.Items[i].Spec.IPAM.PodCIDRs {
			if p, err := netip.ParsePrefix(text); err == nil {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

// onHost finds a pod of a namespace that is on the host network and has the labels that a selector asks for.
func (f Facts) onHost(ctx context.Context, namespace string, of identity.Selector) (string, error) {
	for next := ""; ; {
		var pods corev1.PodList
		err := f.Live.List(ctx, &pods, client.InNamespace(namespace), client.MatchingFields{"spec.hostNetwork": "true"}, client.Limit(500), client.Continue(next))
		if err != nil {
			return "", fmt.Errorf("list pods of namespace %s on the host network: %w", namespace, err)
		}
		for _, p := range pods.Items {
			labels := make(map[string]string, len(p.Labels))
			for key, value := range p.Labels {
				labels[identity.SourceK8s+":"+key] = value
			}
			if p.Spec.HostNetwork && of.Matches(identity.NewLabels(labels)) {
				return p.Namespace + "/" + p.Name, nil
			}
		}
		if next = pods.Continue; next == "" {
			return "", nil
		}
	}
}

// ServiceMetadata is the kind as which services are cached: that they are there is all that counts.
func ServiceMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	return o
}

// audits sees changes of namespaces that are audited, or were.
var audits = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return language.Audits(e.Object.GetAnnotations()) },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return language.Audits(e.ObjectOld.GetAnnotations()) || language.Audits(e.ObjectNew.GetAnnotations())
	},
	DeleteFunc: func(e event.DeleteEvent) bool { return language.Audits(e.Object.GetAnnotations()) },
}

// Watch has a controller judge its objects again when what they depend on changes: all of them if it is the configuration or
// a namespace that is audited, those that name objects if it is such an object.
func (f Facts) Watch(b *builder.Builder, c client.Reader, list func() client.ObjectList) *builder.Builder {
	again := func(which func(client.Object) bool) handler.EventHandler {
		return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) (out []reconcile.Request) {
			objects := list()
			if err := c.List(ctx, objects, client.UnsafeDisableDeepCopy); err != nil {
				return nil // the cache is filled before it is asked
			}
			_ = apimeta.EachListItem(objects, func(o runtime.Object) error {
				if object, ok := o.(client.Object); ok && which(object) {
					out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
				}
				return nil
			})
			return out
		})
	}
	every := func(client.Object) bool { return true }
	b = b.Watches(&corev1.ConfigMap{}, again(every)).
		Watches(&corev1.Namespace{}, again(every), builder.WithPredicates(audits)).
		WatchesMetadata(ServiceMetadata(), again(namesObjects), builder.WithPredicates(predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}))
	if f.Groups {
		b = b.Watches(&v2.CiliumCIDRGroup{}, again(namesObjects))
	}
	return b
}

// namesObjects tells whether a policy names services or groups of prefixes.
func namesObjects(o client.Object) bool {
	switch o := o.(type) {
	case *v2.CiliumNetworkPolicy:
		return anyNames(o.Spec, o.Specs)
	case *v2.CiliumClusterwideNetworkPolicy:
		return anyNames(o.Spec, o.Specs)
	case *v2.CiliumLocalRedirectPolicy:
		return o.Spec.RedirectFrontend.ServiceMatcher != nil
	}
	return false
}

func anyNames(spec *v2.Rule, specs []v2.Rule) bool {
	if spec != nil && names(spec) {
		return true
	}
	for i := range specs {
		if names(&specs[i]) {
			return true
		}
	}
	return false
}

func names(r *v2.Rule) bool {
	group := func(set []v2.CIDRRule) bool {
		for _, c := range set {
			if c.CIDRGroupRef != "" {
				return true
			}
		}
		return false
	}
	for _, e := range r.Ingress {
		if group(e.FromCIDRSet) {
			return true
		}
	}
	for _, e := range r.IngressDeny {
		if group(e.FromCIDRSet) {
			return true
		}
	}
	for _, e := range r.Egress {
		if len(e.ToServices) > 0 || group(e.ToCIDRSet) {
			return true
		}
	}
	for _, e := range r.EgressDeny {
		if len(e.ToServices) > 0 || group(e.ToCIDRSet) {
			return true
		}
	}
	return false
}
