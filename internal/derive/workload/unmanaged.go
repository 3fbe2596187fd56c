package workload

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// newUnmanaged computes Unmanaged: pods that have an address and no NIC of ours. A pod whose DEL
// is done and that the API server still has is among them for a moment.
func newUnmanaged(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[table.UnmanagedPod]{
		Name:  "unmanaged-pods",
		Out:   t.Unmanaged,
		KeyOf: func(p table.UnmanagedPod) state.Key { return table.ObjectKey(p.Namespace, p.Name) },
		Inputs: []state.Input{
			state.On(t.Pods, func(_ state.Reader, p table.Pod) []state.Key { return []state.Key{t.Pods.Key(p)} }),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key {
				return []state.Key{table.ObjectKey(a.Namespace, a.Pod)}
			}),
		},
		Compute: func(r state.Reader, key state.Key) []table.UnmanagedPod {
			p, ok := t.Pods.One(r, key)
			if !ok || !p.Addressed || p.HostNetwork || p.Finished {
				return nil
			}
			for range t.Attachments.By(r, table.ByPod, key) {
				return nil
			}
			return []table.UnmanagedPod{{Namespace: p.Namespace, Name: p.Name}}
		},
	}
}
