package claim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/netobject"
)

// No watch tells of machines and claims.
const (
	soon = time.Minute     // when a machine that is not there is looked for again
	look = 5 * time.Minute // when is looked again whether a claim is there
)

// Keeper makes claims.
type Keeper struct {
	Client client.Client // pods as metadata, with what Keep leaves of them
	Live   client.Reader // claims, virtual machines
	Log    *slog.Logger
}

// Pod is the kind as which pods are read.
func Pod() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return o
}

// Keep is what leaves of a pod's metadata, for a cache, what slim leaves of it and what is needed here: nothing, for a pod that asks for no networks.
func Keep(slim func(any) (any, error)) func(any) (any, error) {
	return func(object any) (any, error) {
		kept, err := slim(object)
		pod, ok := object.(metav1.Object)
		into, same := kept.(*metav1.PartialObjectMetadata)
		if err != nil || !ok || !same || netobject.Asked(pod.GetAnnotations()) == "" {
			return kept, err
		}
		into.Annotations, into.Labels = map[string]string{cncfv1.NetworksAnnotation: netobject.Asked(pod.GetAnnotations())}, pod.GetLabels()
		into.OwnerReferences, into.DeletionTimestamp = pod.GetOwnerReferences(), pod.GetDeletionTimestamp()
		return kept, nil
	}
}

// Add has the manager run one.
func Add(m manager.Manager, log *slog.Logger) error {
	k := &Keeper{Client: m.GetClient(), Live: m.GetAPIReader(), Log: log}
	return builder.ControllerManagedBy(m).Named("ipam-claims").For(Pod()).
		Watches(&cncfv1.NetworkAttachmentDefinition{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.Request {
			return k.asking(ctx)
		})).
		Complete(k)
}

// asking are the pods that ask for networks, in whatever namespace: they name definitions of others.
func (k *Keeper) asking(ctx context.Context) (list []reconcile.Request) {
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := k.Client.List(ctx, pods); err != nil {
		k.Log.Warn("list pods that may need an IPAMClaim", "error", err)
	}
	for _, p := range pods.Items {
		if netobject.Asked(p.Annotations) != "" {
			list = append(list, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}})
		}
	}
	return list
}

// Reconcile makes the claims of one pod.
func (k *Keeper) Reconcile(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
	pod := Pod()
	if err := k.Client.Get(ctx, r.NamespacedName, pod); err != nil || pod.DeletionTimestamp != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	owner := attachment.Owner(&corev1.Pod{ObjectMeta: pod.ObjectMeta})
	requests, gaps := attachment.Requests(netobject.Asked(pod.Annotations), pod.Namespace)
	if owner == (address.Owner{}) || len(gaps) > 0 {
		return reconcile.Result{}, nil
	}
	var failed []error
	again := time.Duration(0)
	for _, q := range requests {
		next, err := k.ensure(ctx, owner, q)
		failed = append(failed, err)
		if next > 0 && (again == 0 || next < again) {
			again = next
		}
	}
	return reconcile.Result{RequeueAfter: again}, errors.Join(failed...)
}

// ensure makes the claim of one request, if it is to have one and there is none. again is when to look next; 0: when something changes.
func (k *Keeper) ensure(ctx context.Context, owner address.Owner, q attachment.Request) (again time.Duration, err error) {
	n := &cncfv1.NetworkAttachmentDefinition{}
	if err := k.Client.Get(ctx, types.NamespacedName{Namespace: q.Namespace, Name: q.Name}, n); err != nil {
		return 0, client.IgnoreNotFound(err) // it is looked at again when it comes
	}
	d, gaps := attachment.Define(n.Namespace, n.Name, n.Spec.Config)
	if len(gaps) > 0 {
		return 0, nil
	}
	name := d.Claim(q, owner)
	if name == "" {
		return 0, nil
	}
	c := &claimv1.IPAMClaim{ObjectMeta: metav1.ObjectMeta{Namespace: owner.Namespace, Name: name}}
	if err := k.Live.Get(ctx, client.ObjectKeyFromObject(c), c); !apierrors.IsNotFound(err) {
		return look, err
	}
	by, err := k.reference(ctx, owner)
	if err != nil || by == nil {
		return soon, err
	}
	c.Labels = map[string]string{attachment.MadeLabel: attachment.MadeBy}
	if owner.Pod != "" {
		c.Annotations = map[string]string{attachment.PodAnnotation: owner.Pod}
	}
	c.OwnerReferences = []metav1.OwnerReference{*by}
	c.Spec.Network = d.Network
	if q.Twin {
		c.Spec.Interface = q.Interface
	}
	if err := k.Client.Create(ctx, c); err != nil {
		if apierrors.IsAlreadyExists(err) {
			return look, nil
		}
		return 0, fmt.Errorf("make IPAMClaim %s/%s of %s: %w", c.Namespace, c.Name, owner, err)
	}
	k.Log.Info("made an IPAMClaim", "claim", c.Namespace+"/"+c.Name, "owner", owner.String(), "network", q.Namespace+"/"+q.Name)
	return look, nil
}

// reference names an owner as objects do; nil: it is not there.
func (k *Keeper) reference(ctx context.Context, owner address.Owner) (*metav1.OwnerReference, error) {
	if owner.UID != "" {
		return &metav1.OwnerReference{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: types.UID(owner.UID)}, nil
	}
	for _, kind := range []string{owner.Kind, "VirtualMachineInstance"} { // an instance may have no machine
		o := &metav1.PartialObjectMetadata{}
		o.SetGroupVersionKind(schema.FromAPIVersionAndKind(owner.APIVersion, kind))
		err := k.Live.Get(ctx, types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}, o)
		if err == nil {
			return &metav1.OwnerReference{APIVersion: owner.APIVersion, Kind: kind, Name: o.Name, UID: o.UID}, nil
		}
		if !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("read %s %s/%s, which is to own an IPAMClaim: %w", kind, owner.Namespace, owner.Name, err)
		}
	}
	return nil, nil
}
