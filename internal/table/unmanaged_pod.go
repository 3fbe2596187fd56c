package table

import (
	"weftnet.io/weftnet/internal/state"
)

// UnmanagedPod is a pod of this node that runs with a network which another CNI plugin, or an agent that has been uninstalled since, has given to it.
type UnmanagedPod struct{ Namespace, Name string }

func (UnmanagedPod) Header() []string { return []string{"Namespace", "Name"} }

func (p UnmanagedPod) Row() []string { return []string{p.Namespace, p.Name} }

var _ = declare(&tables.Unmanaged, "unmanaged-pods", func(r UnmanagedPod) state.Key { return ObjectKey(r.Namespace, r.Name) })
