package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/kube/object"
	sinkpeer "weftnet.io/weftnet/internal/sink/kube/peer"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/peer"
)

// Networks writes the rows of table network.Statuses into annotations of pods.
type Networks struct {
	db   *state.DB
	node string
	pods object.Client[corev1.Pod, *corev1.Pod]
}

var _ reconcile.Sink[network.Status] = (*Networks)(nil)

// NewNetworks makes the sink of network.Statuses for the node of this name.
func NewNetworks(api *rest.Config, db *state.DB, node string) (*Networks, error) {
	pods, err := connect[corev1.Pod](api, corev1.SchemeGroupVersion, "pods")
	return &Networks{db, node, pods}, err
}

// Loop keeps the annotations equal to the table.
func (s *Networks) Loop() *reconcile.Loop[network.Status] {
	return &reconcile.Loop[network.Status]{Table: network.Statuses, Sink: s, WaitSynced: true}
}

// Dump lists the annotations of pods that have a row: Multus may have written those of others.
func (s *Networks) Dump(ctx context.Context) (iter.Seq2[state.Key, network.Status], error) {
	have, snap := map[state.Key]network.Status{}, s.db.Snapshot()
	if network.Statuses.Len(snap) == 0 {
		return maps.All(have), nil
	}
	var list corev1.PodList
	err := s.pods.ListWhere(ctx, "spec.nodeName="+s.node, &list)
	if err != nil {
		return nil, fmt.Errorf("list the pods of this node: %w", err)
	}
	for _, p := range list.Items {
		key := table.ObjectKey(p.Namespace, p.Name)
		text, written := p.Annotations[cncfv1.NetworkStatusAnnotation]
		if _, ours := network.Statuses.One(snap, key); ours && written {
			if p.Annotations[cncfv1.OldNetworkStatusAnnotation] != text {
				text = "" // one of the two is another's, or of an agent that wrote one only
			}
			have[key] = network.Status{Namespace: p.Namespace, Pod: p.Name, UID: string(p.UID), Text: text}
		}
	}
	return maps.All(have), nil
}

// Set writes annotations.
func (s *Networks) Set(ctx context.Context, rows []network.Status) error {
	return reconcile.Each(network.Statuses, rows, func(row network.Status) error { return s.write(ctx, row, &row.Text) })
}

// Unset takes annotations away, of pods that are still there.
func (s *Networks) Unset(ctx context.Context, rows []network.Status) error {
	return reconcile.Each(network.Statuses, rows, func(row network.Status) error {
		if err := s.write(ctx, row, nil); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
		return nil
	})
}

// write patches exactly the pod that the row is about: of another one of its name the API server refuses to change the UID. By the
// subresource status the agent needs no right to change what a pod is.
func (s *Networks) write(ctx context.Context, row network.Status, text *string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": row.UID, "annotations": map[string]*string{cncfv1.NetworkStatusAnnotation: text, cncfv1.OldNetworkStatusAnnotation: text},
	}})
	if err != nil {
		return err
	}
	err = s.pods.PatchStatus(ctx, row.Namespace, row.Pod, patch)
	if err != nil {
		return fmt.Errorf("write annotation %s of pod %s/%s: %w", cncfv1.NetworkStatusAnnotation, row.Namespace, row.Pod, err)
	}
	return nil
}

// PeerLoop tells other nodes of the NICs of this node's pods beside the first.
func PeerLoop(api *rest.Config, node string) (*reconcile.Loop[peer.NIC], error) {
	s, err := sinkpeer.New(api, node)
	if err != nil {
		return nil, err
	}
	return s.Loop(), nil
}
