package address

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/internal/language/attachment"
)

// sets are the StatefulSets that one sweep asks for, each once.
type sets map[types.NamespacedName]*unstructured.Unstructured

func (s *Sweeper) set(ctx context.Context, seen sets, namespace, name string) (*unstructured.Unstructured, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if o, ok := seen[key]; ok {
		return o, nil
	}
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"})
	if err := s.Live.Get(ctx, key, o); apierrors.IsNotFound(err) {
		o = nil // what it owns goes with it
	} else if err != nil {
		return nil, fmt.Errorf("read StatefulSet %s: %w", key, err)
	}
	seen[key] = o
	return o, nil
}

// has tells whether a StatefulSet is to have a pod. What is not said is what Kubernetes takes for it.
func has(o *unstructured.Unstructured, pod string) bool {
	replicas, said, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if !said {
		replicas = 1
	}
	start, _, err2 := unstructured.NestedInt64(o.Object, "spec", "ordinals", "start")
	text, ours := strings.CutPrefix(pod, o.GetName()+"-")
	n, err3 := strconv.ParseInt(text, 10, 64)
	return !ours || err != nil || err2 != nil || err3 != nil || n >= start && n < start+replicas
}

// scaled tells whether the pod of a StatefulSet has been one that it was scaled down by for so long that its addresses are given back, and tells of
// that. what is the object that keeps them.
func (s *Sweeper) scaled(ctx context.Context, seen sets, what, namespace, set, pod string, held bool) (bool, error) {
	keep, err := s.Keep(ctx)
	if err != nil || keep == 0 {
		return false, err
	}
	o, err := s.set(ctx, seen, namespace, set)
	if err != nil || o == nil {
		return false, err
	}
	if !s.goneFor(what, held || has(o, pod), keep) {
		return false, nil
	}
	why := fmt.Sprintf("%s is given back: the StatefulSet has had no pod %s for %v (network-sticky-retention)", what, pod, keep)
	s.Log.Info(why, "statefulset", namespace+"/"+set)
	if s.Events != nil {
		s.Events.Eventf(o, nil, corev1.EventTypeNormal, "AddressesGivenBack", "GiveBack", "%s", why)
	}
	delete(s.missing, what)
	return true, nil
}

// goneFor tells whether something has been missing for that long.
func (s *Sweeper) goneFor(what string, there bool, long time.Duration) bool {
	if there {
		delete(s.missing, what)
		return false
	}
	since, known := s.missing[what]
	if !known {
		since = s.Now()
		s.missing[what] = since
	}
	return s.Now().Sub(since) >= long
}

// podOf is the pod of a StatefulSet that an owner's text names (address.Owner), and that.
func podOf(owner string) (set, pod string, ok bool) {
	text, ok := strings.CutPrefix(owner, "StatefulSet ")
	title, pod, both := strings.Cut(text, ", pod ")
	_, set, named := strings.Cut(title, "/")
	return set, pod, ok && both && named
}

// claimed is the pod of a StatefulSet that the operator has made a claim for, and that.
func claimed(o *claimv1.IPAMClaim) (set, pod string, ok bool) {
	for _, by := range o.OwnerReferences {
		if by.Kind == "StatefulSet" {
			set = by.Name
		}
	}
	pod = o.Annotations[attachment.PodAnnotation]
	return set, pod, o.Labels[attachment.MadeLabel] == attachment.MadeBy && set != "" && pod != ""
}

// remove deletes one that keeps addresses, in the version that was read.
func remove(ctx context.Context, o metav1.Object, by func(context.Context) error) error {
	if err := by(ctx); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s/%s, which keeps addresses: %w", o.GetNamespace(), o.GetName(), err)
	}
	return nil
}
