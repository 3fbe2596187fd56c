package kube

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/sink/kube/object"
)

// NodeLabel names the node that a CiliumEndpoint belongs to.
const NodeLabel = v2.EndpointNodeLabel

// UnusedSince is the annotation by which the operator marks an identity before it deletes it: when it was first seen out
// of use, in RFC 3339.
const UnusedSince = "weftnet.io/unused-since"

var install = (&runtime.SchemeBuilder{corev1.AddToScheme, v2.AddToScheme}).AddToScheme

func connect[T any, P object.Object[T]](api *rest.Config, gv schema.GroupVersion, resource string) (object.Client[T, P], error) {
	return object.Connect[T, P](api, install, gv, resource)
}
