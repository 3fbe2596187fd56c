// Package spec has the objects of a cluster that scripts describe.
//
// # Example
//
//	o := spec.Pod{Name: "db-0", Set: "db"}.Object("a") // on node a, pod of a StatefulSet
package spec

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is what a pod shall be.
type Pod struct {
	Namespace   string // empty: default
	Name        string
	Labels      map[string]string
	Ports       map[string]uint16 // named ones, TCP
	Annotations map[string]string
	Set         string // name of the StatefulSet that is its controller; empty: it has none
}

// Object is the pod as the API server has it, on a node.
func (s Pod) Object(node string) *corev1.Pod {
	o := &corev1.Pod{}
	o.Namespace, o.Name, o.Labels, o.Annotations = s.Namespace, s.Name, s.Labels, s.Annotations
	if s.Set != "" {
		yes := true
		o.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: s.Set, Controller: &yes}}
	}
	o.Spec.NodeName, o.Spec.ServiceAccountName = node, "default"
	ports := []corev1.ContainerPort{}
	for name, port := range s.Ports {
		ports = append(ports, corev1.ContainerPort{Name: name, ContainerPort: int32(port), Protocol: corev1.ProtocolTCP})
	}
	slices.SortFunc(ports, func(a, b corev1.ContainerPort) int { return strings.Compare(a.Name, b.Name) })
	o.Spec.Containers = []corev1.Container{{Name: "main", Ports: ports}}
	return o
}
