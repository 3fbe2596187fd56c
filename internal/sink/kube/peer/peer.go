// Package peer tells other nodes which addresses pods of this one have beside those of the pod network: objects of kind PodInterface.
//
// # The world it models
//
//	Published  shop/web-3f9a…  shop/web net1 192.168.100.5 on ens192   ->  PodInterface shop/web-3f9a…, owned by pod shop/web
//
// # Invariants
//
//   - What an object says never changes, so the API server can tell which of two was first; a NIC that gets another address gets
//     another object.
//   - The pod owns the object: Kubernetes deletes it with the pod, also when this node is gone.
//   - Of another node's objects none is touched.
//
// # Example
//
//	s, err := peer.New(api, "node-a")
//	loop := s.Loop()
package peer

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/kube/object"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/peer"
)

// Interfaces keeps PodInterfaces equal to table peer.Published.
type Interfaces struct {
	label string // of this node, as CiliumEndpoints have it
	api   object.Client[v1alpha1.PodInterface, *v1alpha1.PodInterface]
}

var _ reconcile.Sink[peer.NIC] = (*Interfaces)(nil)

// New makes the sink for the node of this name.
func New(api *rest.Config, node string) (*Interfaces, error) {
	c, err := object.Connect[v1alpha1.PodInterface](api, v1alpha1.AddToScheme, v1alpha1.SchemeGroupVersion, v1alpha1.PodInterfaceResource)
	return &Interfaces{object.NodeValue(node), c}, err
}

// Loop keeps the objects equal to the table.
func (s *Interfaces) Loop() *reconcile.Loop[peer.NIC] {
	return &reconcile.Loop[peer.NIC]{Table: peer.Published, Sink: s, WaitSynced: true}
}

// Dump lists the objects of this node.
func (s *Interfaces) Dump(ctx context.Context) (iter.Seq2[state.Key, peer.NIC], error) {
	var list v1alpha1.PodInterfaceList
	if err := s.api.List(ctx, v2.EndpointNodeLabel+"="+s.label, &list); err != nil {
		return nil, fmt.Errorf("list the PodInterfaces of this node: %w", err)
	}
	have := map[state.Key]peer.NIC{}
	for i := range list.Items {
		row := rowOf(&list.Items[i])
		have[table.ObjectKey(row.Namespace, row.Name)] = row
	}
	return maps.All(have), nil
}

func rowOf(o *v1alpha1.PodInterface) peer.NIC {
	p, _ := netobject.PeerRow(o)
	for _, owner := range o.OwnerReferences {
		p.PodUID = string(owner.UID)
	}
	return p.NIC
}

// Set creates objects, in place of those that say something else.
func (s *Interfaces) Set(ctx context.Context, rows []peer.NIC) error {
	return reconcile.Each(peer.Published, rows, func(row peer.NIC) error { return s.publish(ctx, row) })
}

// Unset deletes objects of this node.
func (s *Interfaces) Unset(ctx context.Context, rows []peer.NIC) error {
	return reconcile.Each(peer.Published, rows, func(row peer.NIC) error { return s.withdraw(ctx, row) })
}

func (s *Interfaces) publish(ctx context.Context, row peer.NIC) error {
	o := Object(row)
	o.Labels = map[string]string{v2.EndpointNodeLabel: s.label}
	err := s.api.Create(ctx, o)
	if err == nil {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create PodInterface %s/%s: %w", row.Namespace, row.Name, err)
	}
	have, err := s.api.Get(ctx, row.Namespace, row.Name)
	if err != nil {
		return fmt.Errorf("read PodInterface %s/%s: %w", row.Namespace, row.Name, err)
	}
	if there := rowOf(have); same(there, row) {
		return nil
	}
	if err := s.api.Delete(ctx, have); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete PodInterface %s/%s, to publish other addresses: %w", row.Namespace, row.Name, err)
	}
	if err := s.api.Create(ctx, o); err != nil {
		return fmt.Errorf("create PodInterface %s/%s: %w", row.Namespace, row.Name, err)
	}
	return nil
}

func same(a, b peer.NIC) bool {
	return slices.Equal(a.Row(), b.Row()) && a.PodUID == b.PodUID && a.Overlay == b.Overlay
}

func (s *Interfaces) withdraw(ctx context.Context, row peer.NIC) error {
	have, err := s.api.Get(ctx, row.Namespace, row.Name)
	if err == nil && have.Labels[v2.EndpointNodeLabel] == s.label {
		err = s.api.Delete(ctx, have)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete PodInterface %s/%s: %w", row.Namespace, row.Name, err)
	}
	return nil
}

// Object is what a row becomes.
func Object(row peer.NIC) *v1alpha1.PodInterface {
	o := &v1alpha1.PodInterface{Spec: v1alpha1.PodInterfaceSpec{
		Pod: row.Pod, Node: row.Node, Interface: row.Interface, Network: row.Definition, Wire: row.Wire, Overlay: int32(row.Overlay), MAC: row.MAC,
	}}
	o.Namespace, o.Name = row.Namespace, row.Name
	o.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: row.Pod, UID: types.UID(row.PodUID)}}
	for _, a := range row.Addresses {
		o.Spec.Addresses = append(o.Spec.Addresses, a.String())
	}
	return o
}
