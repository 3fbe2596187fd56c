package additional

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/openshift"
	"weftnet.io/weftnet/internal/operator/condition"
	"weftnet.io/weftnet/internal/policy/gap"
)

// The label of what was made here.
const (
	label = "app.kubernetes.io/managed-by"
	ours  = "weft-operator"
)

// Where OpenShift's own operator runs.
const (
	foreignNamespace = "openshift-network-operator"
	foreignName      = "network-operator"
)

const (
	soon   = time.Minute      // when something is looked at again that no watch tells of
	remind = 50 * time.Minute // when an event is repeated: Kubernetes forgets events after an hour
)

// Keeper keeps the definitions.
type Keeper struct {
	Client client.Client
	Live   client.Reader // not from a cache: of Deployments one is asked for
	Events events.EventRecorder
	Log    *slog.Logger

	yields bool // to OpenShift's operator, and has said so
}

// Object is an empty Network of OpenShift.
func Object() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(openshift.GroupVersion.WithKind(openshift.Kind))
	return u
}

// Add has a manager keep the definitions of an API server that serves both kinds.
func Add(m manager.Manager, log *slog.Logger) error {
	k := &Keeper{Client: m.GetClient(), Live: m.GetAPIReader(), Events: m.GetEventRecorder("weft-operator"), Log: log}
	all := func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: openshift.Name}}}
	}
	// A cache of its own: the manager's could not begin where nothing serves Networks, and the operator may watch the one of that name alone.
	own, err := cache.New(m.GetConfig(), cache.Options{
		HTTPClient: m.GetHTTPClient(), Scheme: m.GetScheme(), Mapper: m.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{Object(): {Field: fields.OneTermEqualSelector("metadata.name", openshift.Name)}},
	})
	if err != nil {
		return fmt.Errorf("watch Network %s: %w", openshift.Name, err)
	}
	if err := m.Add(own); err != nil {
		return err
	}
	return builder.ControllerManagedBy(m).Named("additional-networks").
		WatchesRawSource(source.Kind[client.Object](own, Object(), &handler.EnqueueRequestForObject{})).
		Watches(&cncfv1.NetworkAttachmentDefinition{}, handler.EnqueueRequestsFromMapFunc(all)).Complete(k)
}

// Reconcile makes the definitions what the Network says.
func (k *Keeper) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	if r.Name != openshift.Name {
		return reconcile.Result{}, nil
	}
	n := Object()
	if err := k.Client.Get(ctx, r.NamespacedName, n); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err) // what it owned goes with it
	}
	if n.GetDeletionTimestamp() != nil {
		return reconcile.Result{}, nil
	}
	foreign, err := k.foreign(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	if foreign {
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	text, err := json.Marshal(n.Object)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("encode Network %s: %w", n.GetName(), err)
	}
	networks, err := openshift.Networks(text)
	if err != nil {
		k.tell(n, []string{err.Error()})
		return reconcile.Result{RequeueAfter: remind}, nil
	}
	return k.keep(ctx, n, networks)
}

// foreign tells whether OpenShift's operator is installed, which makes the same definitions.
func (k *Keeper) foreign(ctx context.Context) (bool, error) {
	d := &metav1.PartialObjectMetadata{}
	d.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"})
	err := k.Live.Get(ctx, types.NamespacedName{Namespace: foreignNamespace, Name: foreignName}, d)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("look for OpenShift's operator, Deployment %s/%s: %w", foreignNamespace, foreignName, err)
	}
	there := err == nil
	if there != k.yields {
		k.yields = there
		if there {
			k.Log.Info("additionalNetworks are left to OpenShift's operator", "deployment", foreignNamespace+"/"+foreignName)
		}
	}
	return there, nil
}

// keep makes, changes and removes definitions. What one lacks keeps no other away.
func (k *Keeper) keep(ctx context.Context, n *unstructured.Unstructured, networks []openshift.Network) (reconcile.Result, error) {
	var problems []string
	var failed []error
	wanted, again := map[string]bool{}, time.Duration(0)
	for _, one := range networks {
		wanted[one.Namespace+"/"+one.Name] = true
		if why := obstacle(one); why != "" {
			problems = append(problems, why)
			continue
		}
		why, err := k.put(ctx, n, one)
		if err != nil {
			failed = append(failed, err)
		}
		if why != "" {
			problems, again = append(problems, why), soon
		}
	}
	failed = append(failed, k.prune(ctx, n, wanted))
	if len(problems) > 0 {
		k.tell(n, problems)
		if again == 0 {
			again = remind
		}
	}
	return reconcile.Result{RequeueAfter: again}, errors.Join(failed...)
}

// obstacle says why no definition is made of a network; empty: one is.
func obstacle(one openshift.Network) string {
	gaps := one.Gaps
	if len(gaps) == 0 {
		_, gaps = attachment.Define(one.Namespace, one.Name, one.Config)
		gaps = slices.Clone(gaps)
		for i := range gaps {
			gaps[i].Field = strings.TrimSuffix(one.Field+": "+gaps[i].Field, ": ")
		}
	}
	if len(gaps) == 0 {
		return ""
	}
	return gap.Text(gaps)
}

// put makes a definition what a network says. A person's own of that name stays, which is a problem to be told.
func (k *Keeper) put(ctx context.Context, n *unstructured.Unstructured, one openshift.Network) (problem string, err error) {
	title := one.Namespace + "/" + one.Name
	d := &cncfv1.NetworkAttachmentDefinition{ObjectMeta: metav1.ObjectMeta{Namespace: one.Namespace, Name: one.Name}}
	err = k.Client.Get(ctx, client.ObjectKeyFromObject(d), d)
	switch {
	case apierrors.IsNotFound(err):
		d.ObjectMeta = metav1.ObjectMeta{
			Namespace: one.Namespace, Name: one.Name, Labels: map[string]string{label: ours}, OwnerReferences: []metav1.OwnerReference{owner(n)},
		}
		d.Spec.Config = one.Config
		err = k.Client.Create(ctx, d)
		switch {
		case apierrors.IsNotFound(err):
			return fmt.Sprintf("there is no namespace %s for NetworkAttachmentDefinition %s", one.Namespace, title), nil
		case apierrors.IsAlreadyExists(err):
			return "", nil // the cache is behind: its change comes as an event
		case err == nil:
			k.Log.Info("made a NetworkAttachmentDefinition of OpenShift's additionalNetworks", "definition", title)
		}
	case err != nil:
	case !owns(n, d):
		return fmt.Sprintf("%s: NetworkAttachmentDefinition %s is there already and not this object's, so it is left as it is; delete one of the two, or rename", one.Field, title), nil
	case d.Spec.Config == one.Config && d.Labels[label] == ours:
		return "", nil
	default:
		d = d.DeepCopy()
		if d.Labels == nil {
			d.Labels = map[string]string{}
		}
		d.Labels[label], d.Spec.Config = ours, one.Config
		err = k.Client.Update(ctx, d)
	}
	if err != nil && !apierrors.IsConflict(err) { // a conflict: who changed it is heard of
		return "", fmt.Errorf("write NetworkAttachmentDefinition %s: %w", title, err)
	}
	return "", nil
}

// prune deletes what was made here of networks that are there no more.
func (k *Keeper) prune(ctx context.Context, n *unstructured.Unstructured, wanted map[string]bool) error {
	var list cncfv1.NetworkAttachmentDefinitionList
	if err := k.Client.List(ctx, &list, client.MatchingLabels{label: ours}); err != nil {
		return fmt.Errorf("list NetworkAttachmentDefinitions: %w", err)
	}
	var failed []error
	for i := range list.Items {
		d := &list.Items[i]
		if title := d.Namespace + "/" + d.Name; owns(n, d) && !wanted[title] {
			version := d.ResourceVersion
			err := k.Client.Delete(ctx, d, client.Preconditions{UID: &d.UID, ResourceVersion: &version})
			if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
				failed = append(failed, fmt.Errorf("delete NetworkAttachmentDefinition %s: %w", title, err))
			} else if err == nil {
				k.Log.Info("deleted a NetworkAttachmentDefinition that OpenShift's additionalNetworks do not name any more", "definition", title)
			}
		}
	}
	return errors.Join(failed...)
}

// owner makes a definition go with the Network.
func owner(n *unstructured.Unstructured) metav1.OwnerReference {
	return *metav1.NewControllerRef(n, n.GroupVersionKind())
}

func owns(n *unstructured.Unstructured, d *cncfv1.NetworkAttachmentDefinition) bool {
	return slices.ContainsFunc(d.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == n.GetUID() })
}

func (k *Keeper) tell(n *unstructured.Unstructured, problems []string) {
	k.Events.Eventf(n, nil, corev1.EventTypeWarning, "NotAttachable", "MakeDefinition", "%s", condition.Limit(strings.Join(problems, "; "), 1024))
}
