package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// NodeLabel names the node that a CiliumEndpoint belongs to.
const NodeLabel = v2.EndpointNodeLabel

// UnusedSince is the annotation by which the operator marks an identity before it deletes it: when it was first seen out
// of use, in RFC 3339.
const UnusedSince = "weftnet.io/unused-since"

// object is a pointer to a T that is a Kubernetes object.
type object[T any] interface {
	*T
	metav1.Object
	runtime.Object
}

// objects is the API of one kind of object.
type objects[T any, P object[T]] struct {
	client   *rest.RESTClient
	resource string
}

func connect[T any, P object[T]](api *rest.Config, gv schema.GroupVersion, resource string) (objects[T, P], error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		panic(err) // two types claim one name: a mistake in this program
	}
	if err := v2.AddToScheme(scheme); err != nil {
		panic(err)
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
		return objects[T, P]{}, fmt.Errorf("connect to the API server %s for %s: %w", api.Host, resource, err)
	}
	return objects[T, P]{client, resource}, nil
}

func (o objects[T, P]) get(ctx context.Context, namespace, name string) (P, error) {
	out := P(new(T))
	err := o.client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(o.resource).Name(name).Do(ctx).Into(out)
	return out, err
}

func (o objects[T, P]) create(ctx context.Context, in P) error {
	return o.client.Post().NamespaceIfScoped(in.GetNamespace(), in.GetNamespace() != "").Resource(o.resource).Body(in).Do(ctx).Error()
}

func (o objects[T, P]) update(ctx context.Context, in P) error {
	return o.client.Put().NamespaceIfScoped(in.GetNamespace(), in.GetNamespace() != "").Resource(o.resource).Name(in.GetName()).Body(in).Do(ctx).Error()
}

// delete removes exactly this version of this object.
func (o objects[T, P]) delete(ctx context.Context, in P) error {
	uid, version := in.GetUID(), in.GetResourceVersion()
	return o.client.Delete().NamespaceIfScoped(in.GetNamespace(), in.GetNamespace() != "").Resource(o.resource).Name(in.GetName()).
		Body(&metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}}).Do(ctx).Error()
}

// list reads the objects of all namespaces with a label.
func (o objects[T, P]) list(ctx context.Context, label string, into runtime.Object) error {
	return o.client.Get().Resource(o.resource).
		VersionedParams(&metav1.ListOptions{LabelSelector: label}, metav1.ParameterCodec).Do(ctx).Into(into)
}
