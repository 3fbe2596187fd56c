// Package object reads and writes objects of one kind, each by one request to the API server.
//
// # The world it models
//
// An object has a resource version that changes with every write. An update carries the version that it is based on, a deletion uid
// and version, and the API server refuses either if the object has changed: of several writers one succeeds, and the others read again.
// So of several that create an object of one name.
//
// # Invariants
//
//   - Nothing is cached: Get and List answer what the API server has.
//   - Errors are those of the API server, for apierrors.IsNotFound, IsConflict and IsAlreadyExists to tell apart.
//
// # Example
//
//	nodes, err := object.Connect[v2.CiliumNode](api, v2.AddToScheme, v2.SchemeGroupVersion, v2.NodeResource)
//	n, err := nodes.Get(ctx, "", "node-a")
//	n.Spec.BootID = boot
//	err = nodes.Update(ctx, n)
package object

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Object is a pointer to a T that is a Kubernetes object.
type Object[T any] interface {
	*T
	metav1.Object
	runtime.Object
}

// Client is the API of one kind of object.
type Client[T any, P Object[T]] struct {
	client   *rest.RESTClient
	resource string
}

// Connect makes a client; install teaches a scheme the kind.
func Connect[T any, P Object[T]](api *rest.Config, install func(*runtime.Scheme) error, gv schema.GroupVersion, resource string) (Client[T, P], error) {
	scheme := runtime.NewScheme()
	if err := install(scheme); err != nil {
		panic(err) // two types claim one name: a mistake in this program
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	c := rest.CopyConfig(api)
	c.GroupVersion, c.NegotiatedSerializer, c.APIPath = &gv, serializer.NewCodecFactory(scheme).WithoutConversion(), "/apis"
	if gv.Group == "" {
		c.APIPath = "/api"
	}
	if c.QPS == 0 {
		c.QPS, c.Burst = 50, 200 // an agent that starts claims and publishes for all its pods at once
	}
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return Client[T, P]{}, fmt.Errorf("connect to the API server %s for %s: %w", api.Host, resource, err)
	}
	return Client[T, P]{client, resource}, nil
}

// Get reads one.
func (o Client[T, P]) Get(ctx context.Context, namespace, name string) (P, error) {
	out := P(new(T))
	err := o.client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(o.resource).Name(name).Do(ctx).Into(out)
	return out, err
}

// Create makes one, and changes in to what the API server made of it.
func (o Client[T, P]) Create(ctx context.Context, in P) error {
	return o.client.Post().NamespaceIfScoped(in.GetNamespace(), in.GetNamespace() != "").Resource(o.resource).Body(in).Do(ctx).Into(in)
}

// Update writes one, and changes in to what the API server made of it.
func (o Client[T, P]) Update(ctx context.Context, in P) error {
	return o.put(ctx, in, "")
}

// UpdateStatus writes the status of one.
func (o Client[T, P]) UpdateStatus(ctx context.Context, in P) error {
	return o.put(ctx, in, "status")
}

func (o Client[T, P]) put(ctx context.Context, in P, sub string) error {
	r := o.client.Put().NamespaceIfScoped(in.GetNamespace(), in.GetNamespace() != "").Resource(o.resource).Name(in.GetName())
	if sub != "" {
		r = r.SubResource(sub)
	}
	return r.Body(in).Do(ctx).Into(in)
}

// Delete removes exactly this version of this object.
func (o Client[T, P]) Delete(ctx context.Context, in P) error {
	uid, version := in.GetUID(), in.GetResourceVersion()
	return o.client.Delete().NamespaceIfScoped(in.GetNamespace(), in.GetNamespace() != "").Resource(o.resource).Name(in.GetName()).
		Body(&metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}}).Do(ctx).Error()
}

// List reads the objects of all namespaces with a label.
func (o Client[T, P]) List(ctx context.Context, label string, into runtime.Object) error {
	return o.client.Get().Resource(o.resource).
		VersionedParams(&metav1.ListOptions{LabelSelector: label}, metav1.ParameterCodec).Do(ctx).Into(into)
}

// ListWhere reads the objects of all namespaces that a field selector selects.
func (o Client[T, P]) ListWhere(ctx context.Context, field string, into runtime.Object) error {
	return o.client.Get().Resource(o.resource).
		VersionedParams(&metav1.ListOptions{FieldSelector: field}, metav1.ParameterCodec).Do(ctx).Into(into)
}

// PatchStatus changes what a merge patch (RFC 7396) says of one, by its subresource status.
func (o Client[T, P]) PatchStatus(ctx context.Context, namespace, name string, patch []byte) error {
	return o.client.Patch(types.MergePatchType).NamespaceIfScoped(namespace, namespace != "").Resource(o.resource).Name(name).
		SubResource("status").Body(patch).Do(ctx).Error()
}

// Getter is what a reflector lists and watches with.
func (o Client[T, P]) Getter() cache.Getter { return o.client }
