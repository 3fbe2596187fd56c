package kube

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/kube/object"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Endpoints publishes the rows of table Published as CiliumEndpoints.
type Endpoints struct {
	t    *table.Tables
	node string // value of NodeLabel
	api  object.Client[v2.CiliumEndpoint, *v2.CiliumEndpoint]
	pods object.Client[corev1.Pod, *corev1.Pod]
}

var _ reconcile.Sink[table.PublishedEndpoint] = (*Endpoints)(nil)

// NewEndpoints makes the sink of t.Published for the node of this name.
func NewEndpoints(api *rest.Config, t *table.Tables, node string) (*Endpoints, error) {
	endpoints, err := connect[v2.CiliumEndpoint](api, v2.SchemeGroupVersion, v2.EndpointResource)
	if err != nil {
		return nil, err
	}
	pods, err := connect[corev1.Pod](api, corev1.SchemeGroupVersion, "pods")
	return &Endpoints{t, object.NodeValue(node), endpoints, pods}, err
}

// Dump lists the CiliumEndpoints that this node has published.
func (s *Endpoints) Dump(ctx context.Context) (iter.Seq2[state.Key, table.PublishedEndpoint], error) {
	var list v2.CiliumEndpointList
	if err := s.api.List(ctx, NodeLabel+"="+s.node, &list); err != nil {
		return nil, fmt.Errorf("list the CiliumEndpoints of this node: %w", err)
	}
	have := map[state.Key]table.PublishedEndpoint{}
	for i := range list.Items {
		row := rowOf(&list.Items[i])
		have[s.t.Published.Key(row)] = row
	}
	return maps.All(have), nil
}

// Equal compares what is published of two rows.
func (s *Endpoints) Equal(want, have table.PublishedEndpoint) bool {
	return want.PodUID == have.PodUID && reflect.DeepEqual(statusOf(want), statusOf(have))
}

// Set creates or updates CiliumEndpoints.
func (s *Endpoints) Set(ctx context.Context, rows []table.PublishedEndpoint) error {
	return reconcile.Each(s.t.Published, rows, func(row table.PublishedEndpoint) error { return s.publish(ctx, row) })
}

// Unset deletes CiliumEndpoints of this node.
func (s *Endpoints) Unset(ctx context.Context, rows []table.PublishedEndpoint) error {
	return reconcile.Each(s.t.Published, rows, func(row table.PublishedEndpoint) error { return s.withdraw(ctx, row) })
}

func (s *Endpoints) publish(ctx context.Context, row table.PublishedEndpoint) error {
	want := &v2.CiliumEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: row.Namespace, Name: row.Name}}
	s.fill(want, row)
	err := s.api.Create(ctx, want)
	if err == nil {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create CiliumEndpoint %s/%s: %w", row.Namespace, row.Name, err)
	}
	have, err := s.api.Get(ctx, row.Namespace, row.Name)
	if err != nil {
		return fmt.Errorf("read CiliumEndpoint %s/%s: %w", row.Namespace, row.Name, err)
	}
	if s.owns(have, row.PodUID) {
		if reflect.DeepEqual(have.Status, statusOf(row)) {
			return nil
		}
	} else if err := s.mayTake(ctx, row); err != nil {
		return err
	}
	s.fill(have, row)
	if err := s.api.Update(ctx, have); err != nil {
		return fmt.Errorf("update CiliumEndpoint %s/%s: %w", row.Namespace, row.Name, err)
	}
	return nil
}

// mayTake tells whether the name of an endpoint that another pod or node has published is ours by now: the pod of that
// name is the one that lives here.
func (s *Endpoints) mayTake(ctx context.Context, row table.PublishedEndpoint) error {
	pod, err := s.pods.Get(ctx, row.Namespace, row.Name)
	if err != nil {
		return fmt.Errorf("read Pod %s/%s, to take over its CiliumEndpoint from an earlier pod: %w", row.Namespace, row.Name, err)
	}
	if string(pod.UID) != row.PodUID {
		return fmt.Errorf("publish CiliumEndpoint %s/%s: the pod of that name is %s by now, and %s, which is still attached here, "+
			"is gone from the API server", row.Namespace, row.Name, pod.UID, row.PodUID)
	}
	return nil
}

func (s *Endpoints) withdraw(ctx context.Context, row table.PublishedEndpoint) error {
	have, err := s.api.Get(ctx, row.Namespace, row.Name)
	if err == nil && s.owns(have, row.PodUID) {
		err = s.api.Delete(ctx, have)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete CiliumEndpoint %s/%s: %w", row.Namespace, row.Name, err)
	}
	return nil
}

// owns tells whether an endpoint was published by this node for a pod.
func (s *Endpoints) owns(o *v2.CiliumEndpoint, podUID string) bool {
	return o.Labels[NodeLabel] == s.node && owner(o) == podUID
}

func owner(o *v2.CiliumEndpoint) string {
	for _, ref := range o.OwnerReferences {
		if ref.Kind == "Pod" {
			return string(ref.UID)
		}
	}
	return ""
}

func (s *Endpoints) fill(o *v2.CiliumEndpoint, row table.PublishedEndpoint) {
	if o.Labels == nil {
		o.Labels = map[string]string{}
	}
	o.Labels[NodeLabel] = s.node
	o.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: row.Name, UID: types.UID(row.PodUID)}}
	o.Status = statusOf(row)
}

var protocolNames = map[uint8]string{6: "TCP", 17: "UDP", 132: "SCTP"}

// statusOf is what a CiliumEndpoint says of a row.
func statusOf(row table.PublishedEndpoint) v2.EndpointStatus {
	s := v2.EndpointStatus{
		ExternalIdentifiers: &v2.EndpointIdentifiers{
			K8sNamespace: row.Namespace, K8sPodName: row.Name, PodName: row.Namespace + "/" + row.Name,
		},
		Identity:   &v2.EndpointIdentity{ID: int64(row.Identity)},
		Networking: &v2.EndpointNetworking{Addressing: pairs(row.Addresses)},
		State:      v2.EndpointReady,
	}
	for key, value := range row.Labels.All() {
		s.Identity.Labels = append(s.Identity.Labels, key+"="+value)
	}
	if row.Node.IsValid() {
		s.Networking.NodeIP = row.Node.String()
	}
	for _, p := range row.NamedPorts {
		s.NamedPorts = append(s.NamedPorts, v2.NamedPort{Name: p.Name, Port: p.Port, Protocol: protocolNames[p.Protocol]})
	}
	return s
}

// pairs are addresses as a CiliumEndpoint has them: a NIC has one of each family.
func pairs(list []netip.Addr) []v2.AddressPair {
	out := []v2.AddressPair{{}}
	for _, a := range list {
		last := &out[len(out)-1]
		if a.Is4() && last.IPV4 != "" || a.Is6() && last.IPV6 != "" {
			out = append(out, v2.AddressPair{})
			last = &out[len(out)-1]
		}
		if a.Is4() {
			last.IPV4 = a.String()
		} else {
			last.IPV6 = a.String()
		}
	}
	return out
}

// rowOf is the inverse of fill.
func rowOf(o *v2.CiliumEndpoint) table.PublishedEndpoint {
	row := table.PublishedEndpoint{Namespace: o.Namespace, Name: o.Name, PodUID: owner(o)}
	if id := o.Status.Identity; id != nil {
		row.Identity = identity.Number(id.ID)
		labels := map[string]string{}
		for _, l := range id.Labels {
			key, value, _ := strings.Cut(l, "=")
			labels[key] = value
		}
		row.Labels = identity.NewLabels(labels)
	}
	if net := o.Status.Networking; net != nil {
		row.Node, _ = netip.ParseAddr(net.NodeIP)
		for _, pair := range net.Addressing {
			for _, text := range []string{pair.IPV4, pair.IPV6} {
				if a, err := netip.ParseAddr(text); err == nil {
					row.Addresses = append(row.Addresses, a)
				}
			}
		}
	}
	for _, p := range o.Status.NamedPorts {
		for number, name := range protocolNames {
			if name == p.Protocol {
				row.NamedPorts = append(row.NamedPorts, table.NamedPort{Name: p.Name, Protocol: number, Port: p.Port})
			}
		}
	}
	return row
}
