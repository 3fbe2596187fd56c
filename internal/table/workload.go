package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Workload is an Attachment joined with what Kubernetes says of its pod.
type Workload struct {
	ContainerID string
	Interface   string
	Namespace   string
	Pod         string
	UID         string
	Network     uint32
	Addresses   []netip.Addr
	NamedPorts  []NamedPort
	Subject             // its labels and identity to the kernel
	Second      Subject // while that changes: its next ones, or its last; the kernel needs this set, too
}

func (Workload) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Addresses", "Identity", "Labels"}
}

func (w Workload) Row() []string {
	return []string{w.ContainerID, w.Interface, w.Namespace + "/" + w.Pod, column.List(w.Addresses), fmt.Sprint(w.Identity), w.Labels.String()}
}

// BySet is an index of Workloads: keys of the policy sets.
const BySet = "set"

var _ = declare(&tables.Workloads, "workloads", func(r Workload) state.Key { return AttachmentKey(r.ContainerID, r.Interface) },
	state.Index[Workload]{Name: ByPod, Keys: func(r Workload) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Pod)} }},
	state.Index[Workload]{Name: BySet, Keys: func(r Workload) (keys []state.Key) {
		for _, s := range r.Subjects() {
			if s.Set != "" {
				keys = append(keys, s.Set)
			}
		}
		return keys
	}},
	state.Index[Workload]{Name: ByIdentity, Keys: func(r Workload) (keys []state.Key) {
		for _, s := range r.Subjects() {
			keys = append(keys, state.Join(uint32(s.Identity)))
		}
		return keys
	}},
	state.Index[Workload]{Name: ByLabels, Keys: func(r Workload) []state.Key {
		if claims := r.Claims(); claims.Len() > 0 {
			return []state.Key{state.Join(claims.String())}
		}
		return nil
	}},
	byAddress(func(r Workload) []netip.Addr { return r.Addresses }))

// Subject is who a workload is to policy.
type Subject struct {
	Labels   identity.Labels // empty while the pod is not known
	Identity identity.Number // 0 while the cluster has not agreed on one
	Set      state.Key       // of the PolicySet that governs it; empty while the identity is 0
}

// Subjects are the one or two that a workload is.
func (w Workload) Subjects() []Subject {
	if w.Second == (Subject{}) {
		return []Subject{w.Subject}
	}
	return []Subject{w.Subject, w.Second}
}

// Claims are labels of a workload that need a number; empty: none.
func (w Workload) Claims() identity.Labels {
	for _, s := range w.Subjects() {
		if s.Identity == 0 {
			return s.Labels
		}
	}
	return identity.Labels{}
}
