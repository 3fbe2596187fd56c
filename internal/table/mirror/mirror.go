// Package mirror tells for which pod a NIC was made, also where the runtime knows the pod by another UID than the API server does.
//
// # The world it models
//
// A static pod is made from a file on its node, by the kubelet alone, which gives it a UID of its own: a hash of the file. It then makes an
// object that mirrors the pod, so that people see it, and the API server gives that another UID. The runtime says the kubelet's one in its CNI
// calls; the object has it in an annotation (kubernetes.io/config.mirror, k8s.io/kubernetes/pkg/kubelet/types).
//
// # Invariants
//
//   - The annotation says no more than that a container is this pod's, whatever wrote it: its name is still what counts.
//
// # Example
//
//	if p, ok := t.Pods.One(r, table.ObjectKey(a.Namespace, a.Pod)); ok && mirror.Of(p, a.UID) {
package mirror

import "weftnet.io/weftnet/internal/table"

// Of tells whether a runtime that says this UID means the pod. One that says none means whatever has the name.
func Of(p table.Pod, uid string) bool {
	return uid == "" || uid == p.UID || uid == p.Mirrors
}
