// Package kube speaks to the lab's Kubernetes API: apply a set of objects, and ask whether they have become what they should.
//
// Objects are applied with server-side apply under the field manager weft-lab, so that applying twice changes nothing and applying a
// changed chart removes fields that are gone. Questions return nil for yes, and for no an error that says what is still lacking;
// waiting is the caller's business.
package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

const manager = "weft-lab"

// Client talks to one cluster.
type Client struct {
	Typed   kubernetes.Interface
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// Open makes a client from a kubeconfig file.
func Open(kubeconfig string) (*Client, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	cfg.QPS, cfg.Burst, cfg.Timeout = 200, 400, 30*time.Second
	cfg.WarningHandler = rest.NoWarnings{}
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{typed, dyn, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typed.Discovery()))}, nil
}

// Decode reads the objects of a YAML stream. Empty documents are skipped.
func Decode(text []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var o unstructured.Unstructured
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read YAML: %w", err)
		}
		if len(o.Object) == 0 {
			continue
		}
		if o.GetKind() == "" || o.GetAPIVersion() == "" || o.GetName() == "" {
			return nil, fmt.Errorf("read YAML: document %d lacks apiVersion, kind or metadata.name", len(out)+1)
		}
		out = append(out, &o)
	}
}

// Name prints an object for messages: Deployment kube-system/coredns.
func Name(o *unstructured.Unstructured) string {
	if ns := o.GetNamespace(); ns != "" {
		return o.GetKind() + " " + ns + "/" + o.GetName()
	}
	return o.GetKind() + " " + o.GetName()
}

func (c *Client) resource(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	m, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset() // a custom resource that came since
		m, err = c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		return c.dynamic.Resource(m.Resource).Namespace(namespace), nil
	}
	return c.dynamic.Resource(m.Resource), nil
}

// Apply makes the objects exist as given, in order. It waits for a custom resource definition to be served before it goes on.
func (c *Client) Apply(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		r, err := c.resource(o.GroupVersionKind(), o.GetNamespace())
		if err != nil {
			return fmt.Errorf("apply %s: %w", Name(o), err)
		}
		if _, err := r.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
			return fmt.Errorf("apply %s: %w", Name(o), err)
		}
		if o.GetKind() == "CustomResourceDefinition" {
			if err := c.awaitEstablished(ctx, r, o.GetName()); err != nil {
				return fmt.Errorf("apply %s: %w", Name(o), err)
			}
		}
	}
	return nil
}

func (c *Client) awaitEstablished(ctx context.Context, r dynamic.ResourceInterface, name string) error {
	for {
		o, err := r.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if condition(o, "Established") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not served: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func condition(o *unstructured.Unstructured, kind string) bool {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, it := range list {
		if m, ok := it.(map[string]any); ok && m["type"] == kind {
			return m["status"] == "True"
		}
	}
	return false
}

// Delete removes objects; those that are gone, or whose kind is unknown, are no error.
func (c *Client) Delete(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		r, err := c.resource(o.GroupVersionKind(), o.GetNamespace())
		if meta.IsNoMatchError(err) {
			continue
		}
		if err == nil {
			err = r.Delete(ctx, o.GetName(), metav1.DeleteOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", Name(o), err)
		}
	}
	return nil
}

// Serves asks whether the API server is ready and its controllers have made the default service account.
func (c *Client) Serves(ctx context.Context) error {
	if _, err := c.Typed.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return err
	}
	_, err := c.Typed.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

// NodesRegistered asks whether the first n nodes have registered, and labels them as the end-to-end tests expect.
func (c *Client) NodesRegistered(ctx context.Context, n int) error {
	nodes, err := c.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(nodes.Items) < n {
		return fmt.Errorf("%d of %d nodes have registered", len(nodes.Items), n)
	}
	patch := []byte(`{"metadata":{"labels":{"beta.kubernetes.io/os":"linux"}}}`)
	for _, node := range nodes.Items {
		if node.Labels["beta.kubernetes.io/os"] != "" {
			continue
		}
		if _, err := c.Typed.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// NodesReady asks whether all nodes are Ready.
func (c *Client) NodesReady(ctx context.Context) error {
	nodes, err := c.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var waiting []string
	for _, n := range nodes.Items {
		if ready, why := Ready(&n); !ready {
			waiting = append(waiting, n.Name+": "+why)
		}
	}
	if len(waiting) > 0 {
		return errors.New(strings.Join(waiting, "; "))
	}
	return nil
}

// Ready reports a node's Ready condition and, if it is not, the reason.
func Ready(n *corev1.Node) (ok bool, why string) {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue, c.Message
		}
	}
	return false, "kubelet has reported nothing yet"
}

// RolledOut asks whether a DaemonSet or Deployment runs its present template everywhere, and if not, which pods hold it up.
func (c *Client) RolledOut(ctx context.Context, kind, namespace, name string) error {
	var want, have, updated int32
	var observed, generation int64
	var selector *metav1.LabelSelector
	switch kind {
	case "DaemonSet":
		d, err := c.Typed.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		want, have, updated = d.Status.DesiredNumberScheduled, d.Status.NumberAvailable, d.Status.UpdatedNumberScheduled
		observed, generation, selector = d.Status.ObservedGeneration, d.Generation, d.Spec.Selector
	case "Deployment":
		d, err := c.Typed.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		want, have, updated = *d.Spec.Replicas, d.Status.AvailableReplicas, d.Status.UpdatedReplicas
		observed, generation, selector = d.Status.ObservedGeneration, d.Generation, d.Spec.Selector
	default:
		return nil // nothing to wait for
	}
	if observed == generation && want > 0 && have >= want && updated >= want {
		return nil
	}
	trouble, hopeless := c.trouble(ctx, namespace, selector)
	err := fmt.Errorf("%d of %d pods of %s %s/%s are available%s", have, want, kind, namespace, name, trouble)
	if hopeless {
		return fmt.Errorf("%w%w", err, ErrHopeless)
	}
	return err
}

// ErrHopeless marks an answer that waiting will not change: a container ends again and again.
var ErrHopeless = errors.New("") // the answer itself says enough

// hopelessRestarts is how often a container may end before waiting for it is given up.
const hopelessRestarts = 3

// trouble explains in a few words why pods are not ready.
func (c *Client) trouble(ctx context.Context, namespace string, selector *metav1.LabelSelector) (words string, hopeless bool) {
	pods, err := c.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
	if err != nil {
		return "", false
	}
	for _, p := range pods.Items {
		why := Waiting(&p)
		if why == "" {
			continue
		}
		words += fmt.Sprintf("\n    %s on %s: %s", p.Name, p.Spec.NodeName, why)
		for _, s := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if w := s.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" && s.RestartCount >= hopelessRestarts {
				hopeless = true
			}
		}
	}
	return words, hopeless
}

// LastWords returns the end of the log of every container of a DaemonSet or Deployment that is not ready, the previous life of a
// container that was restarted included. It is for error messages and returns what it can get.
func (c *Client) LastWords(ctx context.Context, kind, namespace, name string) string {
	var selector *metav1.LabelSelector
	switch kind {
	case "DaemonSet":
		if d, err := c.Typed.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			selector = d.Spec.Selector
		}
	case "Deployment":
		if d, err := c.Typed.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			selector = d.Spec.Selector
		}
	}
	pods, err := c.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
	if selector == nil || err != nil {
		return ""
	}
	var out strings.Builder
	lines := int64(12)
	for _, p := range pods.Items {
		for _, s := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if s.Ready {
				continue
			}
			for _, previous := range []bool{true, false} {
				opts := &corev1.PodLogOptions{Container: s.Name, Previous: previous, TailLines: &lines}
				b, err := c.Typed.CoreV1().Pods(namespace).GetLogs(p.Name, opts).DoRaw(ctx)
				if err == nil && len(b) > 0 {
					fmt.Fprintf(&out, "\n  %s on %s, container %s:\n    %s", p.Name, p.Spec.NodeName, s.Name,
						strings.ReplaceAll(strings.TrimSpace(string(b)), "\n", "\n    "))
				}
			}
		}
	}
	return out.String()
}

// Waiting says why a pod is not ready, or nothing if it is.
func Waiting(p *corev1.Pod) string {
	why := "not ready"
	for _, c := range p.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue:
			return "not scheduled: " + c.Message
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue:
			return ""
		case c.Type == corev1.PodReady && c.Message != "":
			why = c.Message
		}
	}
	for _, s := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if w := s.State.Waiting; w != nil && w.Reason != "PodInitializing" {
			return strings.TrimSpace("container " + s.Name + ": " + w.Reason + " " + w.Message)
		}
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return fmt.Sprintf("container %s ended with status %d %s", s.Name, t.ExitCode, t.Message)
		}
	}
	return why
}

// Prefixes gives the prefixes that the operator has given to a node for its pods: CiliumNode spec.ipam.podCIDRs.
func (c *Client) Prefixes(ctx context.Context, node string) ([]netip.Prefix, error) {
	resource := schema.GroupVersionResource{Group: "cilium.io", Version: "v2", Resource: "ciliumnodes"}
	o, err := c.dynamic.Resource(resource).Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read CiliumNode %s: %w", node, err)
	}
	list, _, err := unstructured.NestedStringSlice(o.Object, "spec", "ipam", "podCIDRs")
	if err != nil {
		return nil, fmt.Errorf("CiliumNode %s: %w", node, err)
	}
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("CiliumNode %s: spec.ipam.podCIDRs: %w", node, err)
		}
		out = append(out, p)
	}
	return out, nil
}
